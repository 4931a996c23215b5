"""Where runs execute: one child process each, with a hard time limit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from harness.point import Point
from harness.run import Outcome, execute
from harness.tasks.base import Context

# The server imports torch once; a run then starts as its fork, in milliseconds. The first
# optimiser of a process imports torch._dynamo, which takes as long as all the rest.
_processes = multiprocessing.get_context("forkserver")
_PRELOAD = ["harness.run", "harness.tasks", "torch._dynamo"]
_POLL_S = 0.2
_GRACE_S = 5.0

OnRow = Callable[[str, dict[str, Any]], None]


def run_in_child(
    point: Point,
    context: Context,
    *,
    time_limit_s: float,
    stop: threading.Event,
    on_row: OnRow = lambda table, row: None,
) -> Outcome:
    """Execute a run in a child process and collect its rows as they come.

    The child is killed at `time_limit_s` (status timeout) or once `stop` is set (interrupted);
    a child that dies by itself gives killed. Rows that came before are in the outcome.
    """
    _processes.set_forkserver_preload(_PRELOAD)
    ours, theirs = _processes.Pipe()
    child = _processes.Process(target=_child, args=(theirs, point, context), daemon=True)
    outcome = Outcome()
    deadline = time.monotonic() + time_limit_s
    child.start()
    theirs.close()
    try:
        while not _receive(ours, outcome, on_row):
            if stop.is_set():
                outcome.status, outcome.error = "interrupted", "stopped before it was done"
                break
            if time.monotonic() > deadline:
                outcome.status = "timeout"
                outcome.error = f"did not end within time_limit_s {time_limit_s:g}"
                break
        if outcome.status == "killed":
            child.join(_GRACE_S)
    finally:
        child.kill()
        child.join()
        ours.close()
    if outcome.status == "killed":
        outcome.error = f"the process ended without a result, {_exit(child.exitcode)}"
    return outcome


def _receive(ours: Connection, outcome: Outcome, on_row: OnRow) -> bool:
    """Take one message within the poll interval; true once the run has ended."""
    try:
        if not ours.poll(_POLL_S):
            return False
        table, row = ours.recv()
    except (EOFError, OSError):
        return True
    if table == "end":
        outcome.status, outcome.error = row["status"], row["error"]
        outcome.traceback = row["traceback"]
        return True
    outcome.add(table, row)
    on_row(table, row)
    return False


def _child(pipe: Connection, point: Point, context: Context) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what happens to a run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(pipe,), daemon=True).start()
    for message in execute(point, context):
        pipe.send(message)
    pipe.close()


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
