"""Exit codes of every command: 0 success, 1 some runs failed, 2 invalid usage."""

from __future__ import annotations

DONE, FAILED, USAGE = 0, 1, 2
