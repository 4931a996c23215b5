"""HMDB51's official splits: text files of a line a clip, CLASS_test_split1.txt and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from rankbench.data.split import OFFICIAL_SPLITS

UNLISTED = 0  # of split.OFFICIAL
_NAME = re.compile(rf"([^.].*)_test_split([1-{OFFICIAL_SPLITS}])\.txt")
_LINE = re.compile(r"(\S.*?)\.\w+\s+([012])")

Splits = dict[tuple[str, str], dict[str, int]]  # class and clip -> column -> side


def column(number: int) -> str:
    """The name of the column of split 1, 2 or 3."""
    return f"hmdb_split{number}"


def read_splits(roots: Iterable[Path]) -> Splits:
    """The side of every clip in each split that files below `roots` list; empty without files.

    Raises ValueError for a line that is not `CLIP.avi 0|1|2`.
    """
    found: Splits = {}
    files = sorted(path for root in roots for path in root.rglob("*_test_split*.txt"))
    for path in files:
        named = _NAME.fullmatch(path.name)
        if named is None:
            continue
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            told = _LINE.fullmatch(line.strip())
            if told is None:
                raise ValueError(
                    f"{path}, line {number}: must be a clip and 0, 1 or 2, got {line.strip()!r:.80}"
                )
            found.setdefault((named[1], told[1]), {})[column(int(named[2]))] = int(told[2])
    return found


def sides(splits: Splits, cls: str, clip: str) -> dict[str, int]:
    """The columns of the clip of this class and name; one in no list is on no side."""
    listed = splits.get((cls, clip), {})
    return {
        column(number): listed.get(column(number), UNLISTED)
        for number in range(1, OFFICIAL_SPLITS + 1)
    }
