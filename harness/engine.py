"""Where runs execute: a child process for one, or for replicates, with a hard time limit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from harness.point import Point
from harness.run import Outcome, execute, execute_together
from harness.tasks.base import Context, Row

# The server imports torch once; a run then starts as its fork, in milliseconds. The first
# optimiser of a process imports torch._dynamo, which takes as long as all the rest.
_processes = multiprocessing.get_context("forkserver")
_PRELOAD = ["harness.run", "harness.tasks", "torch._dynamo"]
_POLL_S = 0.2
_GRACE_S = 5.0
# Where glibc reads it, a run keeps what it frees, in huge pages. The few MB of a stack's tensors,
# given back and faulted in anew at every step, can take longer than the step's arithmetic.
_MALLOC = ":".join(
    f"glibc.malloc.{setting}"
    for setting in ("hugetlb=1", f"mmap_threshold={2**25}", f"trim_threshold={2**30}")
)

OnRow = Callable[[str, dict[str, Any]], None]


def run_in_child(
    point: Point,
    contexts: Sequence[Context],
    *,
    time_limit_s: float,
    stop: threading.Event,
    on_row: OnRow = lambda table, row: None,
    verdict: Callable[[], str | None] = lambda: None,
) -> list[Outcome]:
    """Execute a run, or replicates as one program, in a child process; collect rows as they come.

    The child is killed at `time_limit_s` (status timeout) or once `stop` is set (interrupted);
    a child that dies by itself gives killed. Where `verdict`, asked after every row, gives a
    reason, it is killed too (pruned). That is the status of each of `contexts` that has
    not ended. Rows that came before are in the outcomes.
    """
    os.environ.setdefault("GLIBC_TUNABLES", _MALLOC)  # for the server, which starts once
    _processes.set_forkserver_preload(_PRELOAD)
    ours, theirs = _processes.Pipe()
    child = _processes.Process(target=_child, args=(theirs, point, contexts), daemon=True)
    outcomes = [Outcome() for _ in contexts]
    deadline = time.monotonic() + time_limit_s
    child.start()
    theirs.close()
    try:
        while not _receive(ours, outcomes, on_row):
            if stop.is_set():
                _end(outcomes, "interrupted", "stopped before it was done")
            elif (reason := verdict()) is not None:
                _end(outcomes, "pruned", reason)
            elif time.monotonic() > deadline:
                _end(outcomes, "timeout", f"did not end within time_limit_s {time_limit_s:g}")
            if not _running(outcomes):
                break
        if _running(outcomes):
            child.join(_GRACE_S)
    finally:
        child.kill()
        child.join()
        ours.close()
    _end(outcomes, "killed", f"the process ended without a result, {_exit(child.exitcode)}")
    return outcomes


def _receive(ours: Connection, outcomes: Sequence[Outcome], on_row: OnRow) -> bool:
    """Take one message within the poll interval; true once all has ended."""
    try:
        if not ours.poll(_POLL_S):
            return False
        rows = ours.recv()
    except (EOFError, OSError):
        return True
    for place, (table, row) in rows:
        if table == "end":
            outcomes[place].end(**row)
        else:
            outcomes[place].add(table, row)
            on_row(table, row)
    return not _running(outcomes)


def _running(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status == "killed"]


def _end(outcomes: Sequence[Outcome], status: str, error: str) -> None:
    """Give a status to each outcome that has not ended."""
    for outcome in _running(outcomes):
        outcome.end(status, error)


def _child(pipe: Connection, point: Point, contexts: Sequence[Context]) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what happens to a run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(pipe,), daemon=True).start()
    for rows in _execute(point, contexts):
        pipe.send(rows)
    pipe.close()


def _execute(point: Point, contexts: Sequence[Context]) -> Iterator[Sequence[tuple[int, Row]]]:
    if len(contexts) > 1:
        return execute_together(point, contexts)
    return ([(0, row)] for row in execute(point, contexts[0]))


def _die_with_parent(pipe: Connection) -> None:
    """The parent never sends: a pipe that ends says it is gone, however it went."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by signal {-code} ({signal.Signals(-code).name})"
    return f"with exit code {code}"
