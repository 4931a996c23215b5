"""Timing runs take this machine alone: a lock that all processes of a user share."""

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
    """Share this machine with other runs, or have it `alone`.

    Waits for those that have it, in the order of asking, or until `stop` is set. The lock goes
    with the process that holds it, however that ends. Runs that share go on without where none
    can be kept.

    Raises OSError naming the file where one that is to be alone cannot lock it.
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
        # Who waits for the room holds the gate, so that nobody enters the room before.
        if _lock(gate, fcntl.LOCK_EX, stop):
            _lock(room, kind, stop)
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield


def _lock_path() -> Path:
    # A home folder may be on a network: other machines have files of their own.
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:12]
    return cache_folder() / f"machine-{host}.lock"


def _lock(file: IO[str], kind: int, stop: threading.Event) -> bool:
    """Take a lock, or return false once `stop` is set."""
    began, told = time.monotonic(), False
    while not stop.is_set():
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told and time.monotonic() - began > _SILENT_S:
                told = True
                _log.warning("waiting for other runs on this machine: timings take it alone")
            stop.wait(_POLL_S)
        else:
            return True
    return False
