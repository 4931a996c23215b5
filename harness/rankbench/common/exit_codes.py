"""Exit codes of every command: 0 done, 1 some runs failed, 2 usage."""

from __future__ import annotations

DONE, FAILED, USAGE = 0, 1, 2
