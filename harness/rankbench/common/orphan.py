"""Exit processes that multiprocessing started when their parent has ended."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Exit this process as soon as its parent has ended, for whatever reason.

    Otherwise, a worker of a process pool whose parent is killed waits for work forever, and a
    worker that hangs in a library does not notice. Call this function first in a process that
    multiprocessing started, or pass it to a pool as `initializer`.
    """
    threading.Thread(target=_wait_for_parent, name="wait for parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
