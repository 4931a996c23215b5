"""The supervisor process: it forks one run at a time, and kills it when it exceeds a limit.

The supervisor has imported torch and never computes anything, so that a run can start as its fork
within milliseconds. It is also the subreaper of its descendants: processes that a run started and
left behind, daemons included, become its children. It kills all of them when the run ends.
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
_MOST_S = 3600.0  # Longest single wait in seconds; `wait` accepts at most 24 days.
_DEATH_S = 10.0  # Seconds that a killed process may take to die.
_SHARE = 20  # Measuring memory takes at most 1/20 of a core.
_GB = 10**9


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A program to run, sent from the study to a supervisor."""

    program: bytes
    """Pickled (point, contexts); unpickled only in the process that runs it."""
    threads: int
    """Threads of torch, BLAS and other libraries."""
    time_limit_s: float
    """Limit in seconds on the duration of the program."""
    memory_limit_gb: float | None = None
    """Limit in GB on the memory of the process and all that it starts; None sets no limit."""
    environment: dict[str, str]
    """Variables that the process sets first."""
    folder: str
    """Working directory of the process."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A program's process exists and its time limit runs; it leads the session `session`."""

    session: int


@dataclass(frozen=True, kw_only=True)
class ExitInfo:
    """How the process of a program ended, sent from a supervisor to the study."""

    code: int
    """Exit code; a negative one is the number of a signal."""
    peak_rss_mb: float | None
    """Peak resident memory of the process in MB; None if unknown."""
    status: str | None = None
    """timeout or out_of_memory if the supervisor killed the process; else None."""
    error: str | None = None
    """Message for `status`."""


def serve(control: Connection) -> None:
    """Run programs one after the other, until the study closes its end of the connection.

    Args:
        control: Receives a RunRequest, followed by the handle of a pipe for its rows. Sends Begun
            when the program begins and an ExitInfo when it has ended. Any other message kills the
            running program.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The study decides what Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    # A daemon's children could not start processes. Here they can, because all are killed below.
    current_process().daemon = False
    adopt_orphans()
    _pools()
    gc.freeze()  # Garbage collection in a run then does not touch, and so copy, shared pages.
    try:
        while True:
            order = control.recv()
            if isinstance(order, RunRequest):
                control.send(_serve_one(order, control))
    except (EOFError, OSError):
        pass  # The study has closed the connection or died.
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
        control.send(Begun(session=pid))
        verdict = _watch(pid, control, order)
    finally:
        os.kill(pid, signal.SIGKILL)  # Safe: until wait4, no other process can have this id.
        _, status, usage = os.wait4(pid, 0)
        _end_all()
    peak = usage.ru_maxrss * 1024 / 10**6
    return ExitInfo(code=os.waitstatus_to_exitcode(status), peak_rss_mb=peak, **verdict)


def _watch(pid: int, control: Connection, order: RunRequest) -> dict[str, str]:
    """Wait until the process ends or must be killed.

    Returns:
        Status and error if it has exceeded a limit; otherwise an empty dict.
    """
    deadline, pause = time.monotonic() + order.time_limit_s, _POLL_S
    ended = os.pidfd_open(pid)
    try:
        while True:
            left_s = max(0.0, min(deadline - time.monotonic(), _MOST_S))
            ready = wait(
                [control, ended], left_s if order.memory_limit_gb is None else min(left_s, pause)
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
    """Measure the memory of all descendants of this process, in bytes.

    The result is the sum of their resident memory if that is within `limit`. Otherwise it is the
    sum of their proportional memory, which counts shared pages, mostly torch, only once, but takes
    longer to measure.
    """
    family = psutil.Process().children(recursive=True)
    resident = sum(_bytes(process, "rss") for process in family)
    return resident if resident <= limit else sum(_bytes(process, "pss") for process in family)


def _bytes(process: psutil.Process, kind: str) -> float:
    try:
        memory = process.memory_info() if kind == "rss" else process.memory_full_info()
        return float(getattr(memory, kind))
    except psutil.Error:  # The process has ended.
        return 0.0


def _end_all() -> None:
    """Kill and reap all descendants of this process."""
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
    """Run a program in the forked process; never returns."""
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
        # When memory runs out, the kernel should kill the run rather than the study.
        Path("/proc/self/oom_score_adj").write_text("500")
    os.environ.update(order.environment)
    os.chdir(order.folder)
    if order.memory_limit_gb is not None and not order.environment.get("CUDA_VISIBLE_DEVICES"):
        _limit_data(order.memory_limit_gb)


def _limit_data(memory_limit_gb: float) -> None:
    """Make a single huge allocation fail with a Python exception.

    The limit is twice `memory_limit_gb`, because it also counts memory that is reserved but never
    used.
    """
    now = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = now + int(2 * memory_limit_gb * _GB)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


@functools.cache
def _pools() -> ThreadpoolController:
    """Find the thread pools of the loaded libraries; cached, because it takes 15 ms."""
    return ThreadpoolController()


@functools.lru_cache(maxsize=1)
def _set_threads(threads: int) -> None:
    """Limit the BLAS threads of processes forked from here; each run sets torch's threads itself.

    Cached, so that consecutive calls with the same number do nothing.
    """
    _pools().limit(limits=threads, user_api="blas")


def _execute(point: Point, contexts: Sequence[Context]) -> Iterator[Sequence[tuple[int, Row]]]:
    if len(contexts) > 1:
        return execute_together(point, contexts)
    return ([(0, row)] for row in execute(point, contexts[0]))
