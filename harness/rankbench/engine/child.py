"""Where runs execute: a child process for one, or for replicates, with hard limits."""

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

from rankbench.engine.execute import Outcome
from rankbench.engine.supervisor import ExitInfo, RunRequest, serve
from rankbench.tasks.base import Context, Point

# A server imports torch once. Each supervisor is forked from the server and each run from a
# supervisor, in milliseconds. The server also imports torch._dynamo, which the first optimiser of
# a process would import otherwise: that takes as long as everything else.
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
_GRACE_S = 5.0  # for a run that has said that it is done
_DEATH_S = 20.0  # for a supervisor that is to end a run
# Where glibc reads it, a run keeps what it frees, in huge pages. The few MB of a stack's tensors,
# given back and faulted in anew at every step, can take longer than the step's arithmetic.
_MALLOC = ":".join(
    f"glibc.malloc.{setting}"
    for setting in ("hugetlb=1", f"mmap_threshold={2**25}", f"trim_threshold={2**30}")
)
# What a run loads later, or starts, reads its threads from these.
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TORCHINDUCTOR_COMPILE_THREADS",
)
_SIGKILL_HINT = "; the kernel does that when memory runs out: set memory_limit_gb or fewer workers"

OnRow = Callable[[str, dict[str, Any]], None]
Reason = tuple[str, str]  # status and error


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
    """Execute a run, or replicates as one program, in a child process; collect rows as they come.

    The child and all it started are killed at `time_limit_s` (status timeout), once they take more
    than `memory_limit_gb` (out_of_memory) or `stop` is set (interrupted), and when it ends; a
    child that dies by itself gives killed. It is killed too (pruned) where `prune_reason`, called
    after every row, returns a reason. That is the status of each of `contexts` that has not ended.
    Rows that came before are in the outcomes. `environment`: variables that the child sets first.
    """
    threads = contexts[0].threads
    # As any child inherits them: its supervisor may have been started in another folder.
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
    deadline = time.monotonic() + time_limit_s + _DEATH_S

    def reason() -> Reason | None:
        if stop.is_set():
            return "interrupted", "stopped before it was done"
        if (why := prune_reason()) is not None:
            return "pruned", why
        # Its supervisor has ended the run before, unless that is stopped itself.
        late = time.monotonic() > deadline
        return ("timeout", f"did not end within time_limit_s {time_limit_s:g}") if late else None

    with _lent() as supervisor, supervisor.begin(order) as rows:
        end = _follow(supervisor, rows, outcomes, on_row, reason)
    _conclude(outcomes, end)
    return outcomes


def _follow(
    supervisor: _Supervisor,
    rows: Connection,
    outcomes: Sequence[Outcome],
    on_row: OnRow,
    reason: Callable[[], Reason | None],
) -> ExitInfo:
    """Collect rows until the process has ended; end it where there is a reason to."""
    sources, due, killed = [rows], math.inf, False
    while True:
        ready = wait([supervisor.control, *sources], _POLL_S)
        if rows in ready:
            sources = [rows] if _take(rows, outcomes, on_row) else []
        elif ready:
            return supervisor.end()
        if _running(outcomes) and (why := reason()) is not None:
            _end(outcomes, *why)
            due = time.monotonic()
        if not _running(outcomes):
            due = min(due, time.monotonic() + _GRACE_S)
        if time.monotonic() >= due:
            if killed:
                return supervisor.abandon()
            supervisor.kill()
            killed, due = True, time.monotonic() + _DEATH_S


def _take(rows: Connection, outcomes: Sequence[Outcome], on_row: OnRow) -> bool:
    """Take one message, of those that have not ended; false where there will be no other."""
    try:
        sent = rows.recv()
    except (EOFError, OSError):
        return False
    for place, (table, row) in sent:
        if not _running([outcomes[place]]):
            continue
        if table == "end":
            outcomes[place].end(**row)
        else:
            outcomes[place].add(table, row)
            on_row(table, row)
    return True


def _running(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status == "killed"]


def _end(outcomes: Sequence[Outcome], status: str, error: str) -> None:
    """Give a status to each outcome that has not ended."""
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
    """The study's end of a process that runs programs, see rankbench.engine.supervisor."""

    def __init__(self) -> None:
        os.environ.setdefault("GLIBC_TUNABLES", _MALLOC)  # for the server, which starts once
        _processes.set_forkserver_preload(_PRELOAD)
        self.control, theirs = _processes.Pipe()
        self.process = _processes.Process(target=serve, args=(theirs,), daemon=True)
        with theirs:
            self.process.start()

    def begin(self, order: RunRequest) -> Connection:
        """Start a program; return where its rows come from."""
        rows, theirs = _processes.Pipe(duplex=False)
        with theirs:
            self.control.send(order)
            send_handle(self.control, theirs.fileno(), self.process.pid)
        return rows

    def kill(self) -> None:
        """End the program that runs; how it ended is still to come."""
        with contextlib.suppress(OSError):
            self.control.send("kill")

    def end(self) -> ExitInfo:
        """How the program ended, which `control` has ready."""
        try:
            end: ExitInfo = self.control.recv()
        except (EOFError, OSError):
            return self.abandon()
        return end

    def abandon(self) -> ExitInfo:
        """Kill a supervisor that does not answer; its run goes with it."""
        self.process.kill()
        self.process.join()
        gone = "the process that watched the run was killed or did not answer"
        return ExitInfo(code=-signal.SIGKILL, peak_rss_mb=None, status="killed", error=gone)

    def close(self) -> None:
        """Let it end its run and itself."""
        self.control.close()
        self.process.join(_DEATH_S)


_idle: list[_Supervisor] = []
os.register_at_fork(after_in_child=_idle.clear)


@contextlib.contextmanager
def _lent() -> Iterator[_Supervisor]:
    """A supervisor that nobody else uses: an idle one, or a new one."""
    supervisor = _idle_supervisor() or _Supervisor()
    try:
        yield supervisor
    except BaseException:
        supervisor.close()
        raise
    if supervisor.process.is_alive():
        _idle.append(supervisor)


def _idle_supervisor() -> _Supervisor | None:
    with contextlib.suppress(IndexError):  # other threads take from it too
        while True:
            if (supervisor := _idle.pop()).process.is_alive():
                return supervisor
    return None
