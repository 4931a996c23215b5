"""Execute a run, or replicates as one program, in a child process with hard limits.

This file is the study's side: it sends a program to a supervisor process, collects the rows that
the run sends, and has the run killed if it exceeds a limit. `rankbench.engine.supervisor` is the
other side.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import send_handle
from pathlib import Path
from typing import Any

import psutil

from rankbench.engine.execute import Outcome
from rankbench.engine.supervisor import Begun, ExitInfo, RunRequest, serve
from rankbench.tasks.base import Context, Point

# The fork server imports torch once. Supervisors are forked from the server, and runs from a
# supervisor, within milliseconds. The server also imports torch._dynamo, which otherwise the first
# optimiser of each run would import; that takes as long as all other imports.
_processes = multiprocessing.get_context("forkserver")
_PRELOAD = [
    "rankbench.engine.supervisor",
    "rankbench.tasks",
    # What tasks import when they run, and with it torch.
    "rankbench.cells.modules",
    "rankbench.layers.stacked",
    "rankbench.measure.timing",
    "rankbench.tasks.caption.training",
    "rankbench.tasks.clips.classifier",
    "rankbench.tasks.draw.pictures",
    "rankbench.tasks.draw.training",
    "rankbench.tasks.learning",
    "rankbench.tasks.recovery.pictures",
    "rankbench.tasks.recovery.replicated",
    "safetensors.torch",
    "scipy.stats",
    "torch._dynamo",
]
_POLL_S = 0.2
_GRACE_S = 5.0  # Seconds in which a run that has sent its last row must exit.
_DEATH_S = 20.0  # Seconds in which a supervisor must end a run.
# Settings of glibc that keep freed memory, in huge pages. Otherwise the few MB of a stack's tensors
# are returned to the kernel and mapped again in every step, which can take longer than the
# arithmetic of the step.
_MALLOC = ":".join(
    f"glibc.malloc.{setting}"
    for setting in ("hugetlb=1", f"mmap_threshold={2**25}", f"trim_threshold={2**30}")
)
# Libraries that a run loads later, and processes that it starts, read their threads from these.
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TORCHINDUCTOR_COMPILE_THREADS",
)
_SIGKILL_HINT = (
    "; the kernel kills a process when memory runs out: set memory_limit_gb or fewer workers"
)

OnRow = Callable[[str, dict[str, Any]], None]
Reason = tuple[str, str]  # Status and error of a run that must end.


def run_in_child(
    point: Point,
    contexts: Sequence[Context],
    *,
    time_limit_s: float,
    stop: threading.Event,
    memory_limit_gb: float | None = None,
    environment: Mapping[str, str] | None = None,
    on_row: OnRow = lambda table, row: None,
    prune_reason: Callable[[], str | None] = lambda: None,
) -> list[Outcome]:
    """Execute a run, or replicates as one program, in a child process.

    The child and all processes that it started are killed when it ends, and earlier in these cases,
    which give each unfinished run its status: it exceeds `time_limit_s` (timeout) or
    `memory_limit_gb` (out_of_memory), `stop` is set (interrupted), or `prune_reason` returns a
    reason (pruned). A child that dies for another reason gives the status killed.

    Args:
        point: What is measured.
        contexts: One context per replicate, with its seed.
        time_limit_s: Limit in seconds on the duration of the program.
        stop: Set by another thread to interrupt the run.
        memory_limit_gb: Limit in GB on the memory of the child and its processes.
        environment: Variables that the child sets before anything else.
        on_row: Called with each row as soon as it arrives.
        prune_reason: Called after every row; returns why the run should end, or None.

    Returns:
        The outcome of each context, with the rows that arrived before it ended.
    """
    threads = contexts[0].threads
    # The supervisor may have been started with another environment and in another folder.
    inherited = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
    order = RunRequest(
        program=pickle.dumps((point, contexts)),
        threads=threads,
        time_limit_s=time_limit_s,
        memory_limit_gb=memory_limit_gb,
        environment={**inherited, **(environment or {})},
        folder=str(Path.cwd()),
    )
    outcomes = [Outcome() for _ in contexts]

    def reason(begun: float) -> Reason | None:
        if stop.is_set():
            return "interrupted", "stopped before it was done"
        if (why := prune_reason()) is not None:
            return "pruned", why
        # Usually the supervisor has ended the run by now, but it may itself have been stopped.
        late = time.monotonic() > begun + time_limit_s + _DEATH_S
        return ("timeout", f"did not end within time_limit_s {time_limit_s:g}") if late else None

    with _borrow_supervisor() as supervisor, supervisor.begin(order) as rows:
        end = _follow(supervisor, rows, outcomes, on_row, reason)
    _conclude(outcomes, end)
    return outcomes


def _follow(
    supervisor: _Supervisor,
    rows: Connection,
    outcomes: Sequence[Outcome],
    on_row: OnRow,
    reason: Callable[[float], Reason | None],
) -> ExitInfo:
    """Collect rows until the process has ended, and kill it if there is a reason to.

    `reason` is given the time at which the process began, infinite until it has: importing torch
    into the server that it is forked from does not count towards a run's time limit.
    """
    sources, begun, kill_at, killed = [rows], math.inf, math.inf, False
    while True:
        ready = wait([supervisor.control, *sources], _POLL_S)
        if rows in ready:
            sources = [rows] if _take(rows, outcomes, on_row) else []
        elif ready:
            answer = supervisor.answer()
            if isinstance(answer, ExitInfo):
                return answer
            begun = time.monotonic()
        if _running(outcomes) and (why := reason(begun)) is not None:
            _end(outcomes, *why)
            kill_at = time.monotonic()
        if not _running(outcomes):
            kill_at = min(kill_at, time.monotonic() + _GRACE_S)
        if time.monotonic() >= kill_at:
            if killed:
                return supervisor.abandon()
            supervisor.kill()
            killed, kill_at = True, time.monotonic() + _DEATH_S


def _take(rows: Connection, outcomes: Sequence[Outcome], on_row: OnRow) -> bool:
    """Receive one message and add its rows to unfinished outcomes; False if the pipe has closed."""
    try:
        sent = rows.recv()
    except (EOFError, OSError):
        return False
    for index, (table, row) in sent:
        if not _running([outcomes[index]]):
            continue
        if table == "end":
            outcomes[index].end(**row)
        else:
            outcomes[index].add(table, row)
            on_row(table, row)
    return True


def _running(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status == "killed"]


def _end(outcomes: Sequence[Outcome], status: str, error: str) -> None:
    """End all unfinished outcomes with this status and error."""
    for outcome in _running(outcomes):
        outcome.end(status, error)


def _conclude(outcomes: Sequence[Outcome], end: ExitInfo) -> None:
    died = f"the process ended without a result, {_exit(end.code)}"
    _end(outcomes, end.status or "killed", end.error or died)
    for outcome in outcomes:
        outcome.add("runs", {"peak_rss_mb": end.peak_rss_mb})


def _exit(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    hint = _SIGKILL_HINT if code == -signal.SIGKILL else ""
    return f"by signal {-code} ({signal.Signals(-code).name}){hint}"


class _Supervisor:
    """A supervisor process that runs programs, seen from the study's side."""

    def __init__(self) -> None:
        # The fork server, which starts once, passes this variable on to all runs.
        os.environ.setdefault("GLIBC_TUNABLES", _MALLOC)
        _processes.set_forkserver_preload(_PRELOAD)
        self.control, theirs = _processes.Pipe()
        self.process = _processes.Process(target=serve, args=(theirs,), daemon=True)
        self.session: int | None = None  # of the program that runs or ran last
        with theirs:
            self.process.start()

    def begin(self, order: RunRequest) -> Connection:
        """Start a program, and return the connection from which to receive its rows."""
        rows, theirs = _processes.Pipe(duplex=False)
        with theirs:
            self.control.send(order)
            send_handle(self.control, theirs.fileno(), self.process.pid)
        return rows

    def kill(self) -> None:
        """Ask the supervisor to kill the running program; its ExitInfo follows."""
        with contextlib.suppress(OSError):
            self.control.send("kill")

    def answer(self) -> Begun | ExitInfo:
        """Receive what `control` has ready: that the program began, or how it ended."""
        try:
            answer: Begun | ExitInfo = self.control.recv()
        except (EOFError, OSError):
            return self.abandon()
        if isinstance(answer, Begun):
            self.session = answer.session
        return answer

    def abandon(self) -> ExitInfo:
        """Kill a supervisor that does not answer, with its run and all that the run started."""
        below = _descendants(self.process.pid)
        self.process.kill()
        self.process.join()
        # The kernel kills the run with its supervisor, but no process that the run started.
        for process in (*below, *_members(self.session)):
            with contextlib.suppress(psutil.Error):
                process.kill()
        error = "the supervisor of the run was killed or did not answer"
        return ExitInfo(code=-signal.SIGKILL, peak_rss_mb=None, status="killed", error=error)

    def close(self) -> None:
        """Close the connection, upon which the supervisor kills its run and exits."""
        self.control.close()
        self.process.join(_DEATH_S)


def _descendants(pid: int | None) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _members(session: int | None) -> Iterator[psutil.Process]:
    """Every process in a session: what a run started, unless that left for a session of its own."""
    for process in psutil.process_iter() if session is not None else ():
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) == session:
                yield process


_idle: list[_Supervisor] = []
os.register_at_fork(after_in_child=_idle.clear)


@contextlib.contextmanager
def _borrow_supervisor() -> Iterator[_Supervisor]:
    """Take an idle supervisor or start one, and make it idle again afterwards."""
    supervisor = _idle_supervisor() or _Supervisor()
    try:
        yield supervisor
    except BaseException:
        supervisor.close()
        raise
    if supervisor.process.is_alive():
        _idle.append(supervisor)


def _idle_supervisor() -> _Supervisor | None:
    with contextlib.suppress(IndexError):  # Other threads may have taken the last one.
        while True:
            if (supervisor := _idle.pop()).process.is_alive():
                return supervisor
    return None
