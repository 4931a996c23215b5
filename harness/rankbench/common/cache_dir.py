"""Where this user's caches lie: decoded frames, the compiled kernel, measured plans."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$RANKBENCH_CACHE, or ~/.cache/rankbench."""
    chosen = os.environ.get("RANKBENCH_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "rankbench"
