"""rankbench report: the page in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rankbench.analysis.report.build import report


def write(studies: Sequence[str], root: Path | str, out: Path) -> str:
    """Write the page of `studies` into the file `out`; returns where it is, and its size.

    Raises ValueError for a study without results and for a file that is no .html, OSError where
    it cannot be written.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out must be a file that ends in .html, got {str(out)!r}")
    text = report(studies, root)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", newline="\n")
    return f"{out} ({len(text.encode()) / 1e6:.1f} MB, works offline)"
