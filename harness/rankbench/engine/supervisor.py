"""The process that runs are forked from: it watches one at a time, and none outlives it.

It has torch imported and never computes, so that a run starts as its fork in milliseconds. As the
subreaper of what it forks, it is the parent of every process that a run started and left, also of
one that made itself a daemon; all are killed when the run ends, however it ends.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import current_process
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle
from pathlib import Path

import psutil
from threadpoolctl import ThreadpoolController

from rankbench.common.prctl import adopt_orphans, end_with_parent
from rankbench.engine.execute import execute, execute_together
from rankbench.tasks.base import Context, Point, Row

_POLL_S = 0.2
_MOST_S = 3600.0  # of one wait, which takes no time beyond 24 days
_DEATH_S = 10.0  # how long a killed process may take to die
_SHARE = 20  # looking at memory takes at most 1/20 of one core
_GB = 10**9


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A program to run: `program` is a pickled (point, contexts), which only its process opens.

    `threads`: of its libraries; `memory_limit_gb`: of its process and all that it starts;
    `environment`: variables set first.
    """

    program: bytes
    threads: int
    time_limit_s: float
    memory_limit_gb: float | None = None
    environment: dict[str, str]
    folder: str


@dataclass(frozen=True, kw_only=True)
class ExitInfo:
    """How a program's process ended: exit code (negative: a signal), peak of its memory.

    `status` and `error`: why its supervisor killed it, None where it did not.
    """

    code: int
    peak_rss_mb: float | None
    status: str | None = None
    error: str | None = None


def serve(control: Connection) -> None:
    """Run programs one after the other until the other end of `control` closes.

    Takes an Order and the handle of a pipe for its rows, answers with an End. Any other message
    kills the program that runs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the study, which decides
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    current_process().daemon = False  # what a run starts is ended here: it may start processes
    adopt_orphans()
    _pools()
    gc.freeze()  # a run's collector then leaves the pages that it shares alone
    try:
        while True:
            order = control.recv()
            if isinstance(order, RunRequest):
                control.send(_serve_one(order, control))
    except (EOFError, OSError):
        pass  # the study is gone
    finally:
        _end_all()


def _serve_one(order: RunRequest, control: Connection) -> ExitInfo:
    rows = Connection(recv_handle(control), readable=False)
    _set_threads(order.threads)
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        control.close()
        _run(order, rows, supervisor)
    rows.close()
    try:
        verdict = _watch(pid, control, order)
    finally:
        os.kill(pid, signal.SIGKILL)  # not waited for yet: the id is still its own
        _, status, usage = os.wait4(pid, 0)
        _end_all()
    peak = usage.ru_maxrss * 1024 / 10**6
    return ExitInfo(code=os.waitstatus_to_exitcode(status), peak_rss_mb=peak, **verdict)


def _watch(pid: int, control: Connection, order: RunRequest) -> dict[str, str]:
    """Return once the process has ended or has to: the status and error of a limit it crossed."""
    deadline, pause = time.monotonic() + order.time_limit_s, _POLL_S
    ended = os.pidfd_open(pid)
    try:
        while True:
            left = max(0.0, min(deadline - time.monotonic(), _MOST_S))
            ready = wait(
                [control, ended], left if order.memory_limit_gb is None else min(left, pause)
            )
            if control in ready:
                control.recv()
            if ready:
                return {}
            if time.monotonic() >= deadline:
                error = f"did not end within time_limit_s {order.time_limit_s:g}"
                return {"status": "timeout", "error": error}
            if order.memory_limit_gb is not None:
                began = time.monotonic()
                taken = _memory(order.memory_limit_gb * _GB) / _GB
                pause = max(_POLL_S, _SHARE * (time.monotonic() - began))
                if taken > order.memory_limit_gb:
                    error = f"took {taken:.3g} GB, over memory_limit_gb {order.memory_limit_gb:g}"
                    return {"status": "out_of_memory", "error": error}
    finally:
        os.close(ended)


def _memory(limit: float) -> float:
    """Bytes that everything below this process takes; resident where that is within `limit`.

    Else proportional: what processes share, torch above all, counts once among them.
    """
    family = psutil.Process().children(recursive=True)
    resident = sum(_bytes(process, "rss") for process in family)
    return resident if resident <= limit else sum(_bytes(process, "pss") for process in family)


def _bytes(process: psutil.Process, kind: str) -> float:
    try:
        found = process.memory_info() if kind == "rss" else process.memory_full_info()
        return float(getattr(found, kind))
    except psutil.Error:  # it has ended
        return 0.0


def _end_all() -> None:
    """Kill every process below this one, and take leave of it."""
    deadline = time.monotonic() + _DEATH_S
    while _has_children() and time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _run(order: RunRequest, rows: Connection, supervisor: int) -> None:
    """What the forked process does; it never returns."""
    import torch

    code = 1
    try:
        _set_up(order, supervisor)
        point, contexts = pickle.loads(order.program)
        torch.set_num_interop_threads(1)
        for sent in _execute(point, contexts):
            rows.send(sent)
        code = 0
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _set_up(order: RunRequest, supervisor: int) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(supervisor, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")  # the kernel takes it before the study
    os.environ.update(order.environment)
    os.chdir(order.folder)
    if order.memory_limit_gb is not None and not order.environment.get("CUDA_VISIBLE_DEVICES"):
        _limit_data(order.memory_limit_gb)


def _limit_data(memory_limit_gb: float) -> None:
    """Refuse a single huge allocation, as an error of Python's.

    What is reserved and never touched counts here, so that this is twice the limit.
    """
    now = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = now + int(2 * memory_limit_gb * _GB)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


@functools.cache
def _pools() -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; finding them takes 15 ms."""
    return ThreadpoolController()


@functools.lru_cache(maxsize=1)
def _set_threads(threads: int) -> None:
    """Let BLAS use no more threads in what is forked from here; torch's are set with each run."""
    _pools().limit(limits=threads, user_api="blas")


def _execute(point: Point, contexts: Sequence[Context]) -> Iterator[Sequence[tuple[int, Row]]]:
    if len(contexts) > 1:
        return execute_together(point, contexts)
    return ([(0, row)] for row in execute(point, contexts[0]))
