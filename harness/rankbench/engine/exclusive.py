"""A lock that gives a run the machine to itself, shared by all processes of a user.

There are two lock files. The room is locked exclusively by a run that needs the machine alone and
shared by all other runs. The gate is held while waiting for the room, so that later runs cannot
overtake.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rankbench.common.cache_dir import cache_folder

_POLL_S = 0.05
_SILENT_S = 10.0
_log = logging.getLogger(__name__)


@contextmanager
def hold_machine(*, alone: bool, stop: threading.Event) -> Iterator[None]:
    """Hold this machine, alone or together with other runs, while the context is active.

    Runs wait in the order of their arrival, until they get the machine or `stop` is set. The kernel
    releases the lock when the process ends. If the lock file cannot be created, a run that shares
    the machine continues without it.

    Args:
        alone: Whether no other run may execute at the same time.
        stop: Set by another thread to end the waiting.

    Raises:
        OSError: The run must be alone and the lock file cannot be created.
    """
    try:
        path = _lock_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        gate, room = path.with_suffix(".gate").open("a+"), path.open("a+")
    except OSError:
        if alone:
            raise
        yield
        return
    with gate, room:
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        # Hold the gate while waiting for the room, so that later arrivals cannot overtake.
        if _lock(gate, fcntl.LOCK_EX, stop):
            _lock(room, kind, stop)
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield


def _lock_path() -> Path:
    # The home folder may be shared by several machines, so each one has its own file.
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:12]
    return cache_folder() / f"machine-{host}.lock"


def _lock(file: IO[str], kind: int, stop: threading.Event) -> bool:
    """Take a lock and return True, or return False once `stop` is set."""
    began, warned = time.monotonic(), False
    while not stop.is_set():
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not warned and time.monotonic() - began > _SILENT_S:
                warned = True
                _log.warning(
                    "waiting for other runs on this machine, which a run that measures time needs"
                    " to itself"
                )
            stop.wait(_POLL_S)
        else:
            return True
    return False
