"""Start the processes of tests so that none outlives its test, and wait for what they do.

Nothing here measures time: `HANG_S` is far longer than any step takes on a busy machine, and only
ends a test that would otherwise wait forever.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any
from uuid import uuid4

import psutil

HANG_S = 600.0

MARK = "RANKBENCH_TEST"  # an environment variable that every descendant of a test inherits
SESSION = uuid4().hex  # this pytest process; MARK of what `start` starts has a number after it
_POLL_S = 0.02
_GRACE_S = 60.0  # for processes that are just ending when the session does
_numbers = count()


@dataclass(frozen=True, kw_only=True)
class _Started:
    mark: str
    process: subprocess.Popen[Any] | BaseProcess
    watchdog: threading.Timer | None


_running: list[_Started] = []


def start(
    command: Sequence[str], *, limit_s: float | None = HANG_S, **options: Any
) -> subprocess.Popen[Any]:
    """Start a command; the enclosing `ending` block kills it with all its descendants.

    It leads its own session, and dies with the process that runs the tests. It is killed after
    `limit_s` as well, so no wait for it needs a timeout.

    Args:
        command: The program and its arguments.
        limit_s: Seconds after which it counts as hung; None for a server that serves many tests.
        options: Further arguments of `subprocess.Popen`.
    """
    mark = new_mark()
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    environment = {**(options.pop("env", None) or os.environ), MARK: mark}
    process = subprocess.Popen(
        [*tied, *command], env=environment, start_new_session=True, **options
    )
    _register(mark, process, limit_s)
    return process


def run(command: Sequence[str], *, check: bool = True, **options: Any) -> str:
    """Run a command to its end and return what it wrote to standard output.

    Raises:
        AssertionError: `check` is set and the exit code is not 0; the message has standard error.
    """
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    out, errors = process.communicate()
    assert process.returncode == 0 or not check, f"exit code {process.returncode}: {errors}"
    return str(out)


def spawn(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Call a function in a new Python process, which ends as one of `start` does."""
    mark = new_mark()
    process = multiprocessing.get_context("spawn").Process(
        target=target, args=arguments, daemon=True
    )
    resource_tracker.ensure_running()  # it serves the processes of later tests, too
    with marked(mark):
        process.start()
    _register(mark, process, HANG_S)
    return process


def wait_until(holds: Callable[[], bool], *needed: subprocess.Popen[Any] | BaseProcess) -> None:
    """Wait until `holds()` is true.

    Raises:
        AssertionError: One of the `needed` processes ended before, or `HANG_S` passed.
    """
    began = time.monotonic()
    while not holds():
        ended = [process for process in needed if not _is_running(process)]
        assert not ended or holds(), f"{ended} ended before what the test waits for"
        assert time.monotonic() - began < HANG_S, f"{holds} did not hold within {HANG_S:g} s"
        time.sleep(_POLL_S)


def time_limits() -> Iterator[float]:
    """Limits for a run that must do something before its limit ends it, each twice the last.

    A test leaves the loop at the first limit that was long enough on this machine.

    Raises:
        AssertionError: None up to `HANG_S` was long enough.
    """
    limit_s = 0.5
    while limit_s < HANG_S:
        yield limit_s
        limit_s *= 2
    raise AssertionError(f"the run did not do its part within {limit_s / 2:g} s")


@contextmanager
def ending() -> Iterator[None]:
    """Kill whatever is started inside the block, and all its descendants, when the block ends."""
    outer = len(_running)
    try:
        yield
    finally:
        while len(_running) > outer:
            _end(_running.pop())


def new_mark() -> str:
    """A mark that no process has yet, for `marked` and `kill_marked`."""
    return f"{SESSION}-{next(_numbers)}"


@contextmanager
def marked(mark: str) -> Iterator[None]:
    """Let processes that are started inside the block inherit `mark`."""
    outer = os.environ.get(MARK)
    os.environ[MARK] = mark
    try:
        yield
    finally:
        if outer is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = outer


def kill_marked(mark: str) -> None:
    """Kill every process that inherited `mark`, and its descendants, until none is left."""
    began = time.monotonic()
    while family := living(lambda found: found == mark):
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        # Their parents wait for them: whoever else did would take the exit code away.
        time.sleep(_POLL_S)
        assert time.monotonic() - began < HANG_S, f"these processes cannot be killed: {family}"


def living(belongs: Callable[[str], bool], variable: str = MARK) -> list[psutil.Process]:
    """Processes with a mark that `belongs` in their environment, and their descendants.

    A program that overwrites its environment to set its title, as PostgreSQL does, is found as a
    descendant. Zombies are left out.
    """
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if belongs(process.environ().get(variable, "")):
                for member in (process, *process.children(recursive=True)):
                    found[member.pid] = member
    return [process for process in found.values() if is_alive(process)]


def left_over() -> list[str]:
    """What this pytest process started and is still alive, a line each, once it had time to end.

    All of it is killed. Multiprocessing's own servers, which stay for the next test, are not left
    over but stopped.
    """
    if "torch" in sys.modules:  # what starts runs loads it
        from rankbench.engine import child as engine

        while engine._idle:
            engine._idle.pop().close()
    servers = {forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid}
    began = time.monotonic()
    while True:
        left = [each for each in living(lambda m: m.startswith(SESSION)) if each.pid not in servers]
        if not left or time.monotonic() - began > _GRACE_S:
            break
        time.sleep(_POLL_S)
    lines = [_line(process) for process in left]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    forkserver._forkserver._stop()  # it waits for those that were forked from it
    resource_tracker._resource_tracker._stop()
    return lines


def _line(process: psutil.Process) -> str:
    try:
        test = process.environ().get("PYTEST_CURRENT_TEST", "an unknown test")
        return f"process {process.pid} of {test}: {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"process {process.pid}"


def is_alive(process: psutil.Process | int) -> bool:
    """Whether a process, or the one with an id, exists and is no zombie."""
    try:
        process = psutil.Process(process) if isinstance(process, int) else process
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _register(
    mark: str, process: subprocess.Popen[Any] | BaseProcess, limit_s: float | None
) -> None:
    watchdog = None
    if limit_s is not None:
        watchdog = threading.Timer(limit_s, kill_marked, [mark])
        watchdog.daemon = True
        watchdog.start()
    _running.append(_Started(mark=mark, process=process, watchdog=watchdog))


def _end(started: _Started) -> None:
    if started.watchdog is not None:
        started.watchdog.cancel()
    kill_marked(started.mark)
    process = started.process
    process.kill()
    if isinstance(process, subprocess.Popen):
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()
    else:
        process.join()


def _is_running(process: subprocess.Popen[Any] | BaseProcess) -> bool:
    if isinstance(process, subprocess.Popen):
        return process.poll() is None
    return process.is_alive()
