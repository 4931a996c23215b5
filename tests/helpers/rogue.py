"""A task that does what a run must not.

`python -m tests.helpers.rogue HOW FILE` runs one and waits.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from threadpoolctl import threadpool_info

from rankbench.engine.child import run_in_child
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Context, Point, Row
from tests.helpers.probe import Probe
from tests.helpers.processes import HANG_S

_EATER = "kept = [bytearray(b'x') * 2**25 for _ in range(40)]; import time; time.sleep(3600)"


@dataclass(frozen=True, kw_only=True)
class Rogue(Probe):
    """Notes the id of every process it is or starts in the file `log`, and behaves as `how`."""

    name: ClassVar[str] = "rogue"

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        self.note(os.getpid())
        yield "runs", {"epochs": 1}
        for part in self.how.split():
            getattr(self, part)()
        yield "runs", {"rmse": 0.0}

    def note(self, what: object) -> None:
        with Path(self.log).open("a") as log:
            log.write(f"{what}\n")

    def tells_gpus(self) -> None:
        self.note(f"gpus {os.environ.get('CUDA_VISIBLE_DEVICES')} {torch.cuda.is_initialized()}")

    def tells_its_place(self) -> None:
        self.note(f"{Path.cwd()} {os.environ.get('RANKBENCH_CACHE')}")

    def tells_threads(self) -> None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        told = [torch.get_num_threads(), *(int(os.environ[name]) for name in names)]
        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        self.note(f"threads {sorted({*told, *pools})} interop {torch.get_num_interop_threads()}")

    def forever(self) -> None:
        time.sleep(3600)

    def forks(self) -> None:
        for _ in range(3):
            self._fork(self.forever)

    def daemonises(self) -> None:
        def leave() -> None:
            os.setsid()
            self._fork(self.forever)

        os.waitpid(self._fork(leave), 0)

    def deaf(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def stopped(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def native(self) -> None:
        ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock: no thread of Python runs

    def dies(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def kills_its_warden(self) -> None:
        os.kill(os.getppid(), signal.SIGKILL)

    def eats(self) -> None:
        exec(_EATER)

    def feeds_a_child(self) -> None:
        self.note(subprocess.Popen([sys.executable, "-c", _EATER]).pid)
        time.sleep(3600)

    def asks_for_all(self) -> None:
        torch.empty(2**36)

    def fills_the_gpu(self) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has")

    def _fork(self, act: Callable[[], None]) -> int:
        pid = os.fork()
        if pid == 0:
            act()
            os._exit(0)
        self.note(pid)
        return pid


def rogue_point(how: str, log: Path) -> Point:
    layer = LayerSettings(decomposition="dense").resolve(4, 4)
    return Point(task=Rogue(how=how, log=str(log)), layer=layer)


if __name__ == "__main__":
    run_in_child(
        rogue_point(sys.argv[1], Path(sys.argv[2])),
        [Context(seed=0)],
        time_limit_s=HANG_S,
        stop=threading.Event(),
    )
