"""End the processes that multiprocessing started once their parent is gone."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Exit this process as soon as its parent has ended, however it ended.

    A worker of a process pool otherwise waits for work forever when its parent is killed, and a
    worker that hangs in a library never learns of it. Call it first in a process that
    multiprocessing started, or pass it to a pool as `initializer`.
    """
    threading.Thread(target=_wait_for_parent, name="wait for parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
