"""Read HMDB51's official splits from its text files, CLASS_test_split1.txt and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from rankbench.data.split import OFFICIAL_SPLITS

UNLISTED = 0  # A mark of `rankbench.data.split.OFFICIAL`.
_NAME = re.compile(rf"([^.].*)_test_split([1-{OFFICIAL_SPLITS}])\.txt")
_LINE = re.compile(r"(\S.*?)\.\w+\s+([012])")

# Maps class and clip to the clip's mark in each column.
Splits = dict[tuple[str, str], dict[str, int]]


def column(number: int) -> str:
    """Return the name of the column for split 1, 2 or 3."""
    return f"hmdb_split{number}"


def read_splits(roots: Iterable[Path]) -> Splits:
    """Read the mark of every clip in each split.

    Args:
        roots: Folders with the files of the splits.

    Returns:
        The marks of each class and clip; empty if there are no files.

    Raises:
        ValueError: A line is not `CLIP.avi 0|1|2`.
    """
    splits: Splits = {}
    files = sorted(path for root in roots for path in root.rglob("*_test_split*.txt"))
    for path in files:
        named = _NAME.fullmatch(path.name)
        if named is None:
            continue
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise ValueError(
                    f"{path}, line {number}: must be a clip and 0, 1 or 2, got {line.strip()!r:.80}"
                )
            splits.setdefault((named[1], match[1]), {})[column(int(named[2]))] = int(match[2])
    return splits


def sides(splits: Splits, cls: str, clip: str) -> dict[str, int]:
    """Return the marks of a clip by column; 0 for a split that does not list it."""
    listed = splits.get((cls, clip), {})
    return {
        column(number): listed.get(column(number), UNLISTED)
        for number in range(1, OFFICIAL_SPLITS + 1)
    }
