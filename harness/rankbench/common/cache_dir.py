"""The folder of this user's caches: decoded frames, the compiled kernel, measured plans."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return $RANKBENCH_CACHE if it is set, else ~/.cache/rankbench. The folder may not exist."""
    chosen = os.environ.get("RANKBENCH_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "rankbench"
