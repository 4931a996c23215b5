"""The verdicts as people and programs read them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rankbench.analysis.claims.evaluate import counts, table
from rankbench.analysis.claims.verdicts import Judged
from rankbench.analysis.figures.catalog import save
from rankbench.analysis.figures.claims import claims as figure
from rankbench.analysis.names import (
    CONTRADICTED,
    NOT_COMPARABLE,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
)
from rankbench.common.checks import one_of

FORMATS = ("table", "csv", "json")
_STYLES = {
    REPRODUCED: "green",
    NOT_REPRODUCED: "red",
    CONTRADICTED: "bold red",
    NOT_COMPARABLE: "yellow",
    NOT_MEASURED: "dim",
}
_WIDTH = 150  # a narrower screen wraps sentences into columns of words


def write(judged: Sequence[Judged], form: str, console: Console) -> None:
    """Print the verdicts in a form: a table and how many have each verdict, csv, or json.

    Raises ValueError for another form.
    """
    one_of("--format", form, FORMATS)
    if form == "csv":
        table(judged).to_csv(sys.stdout, index=False)
    elif form == "json":
        # pandas writes NaN and infinity as null, which JSON can hold.
        print(json.dumps(json.loads(table(judged).to_json(orient="records")), indent=1))
    else:
        wide = (
            console if console.width >= _WIDTH else type(console)(file=console.file, width=_WIDTH)
        )
        wide.print(_screen(judged))
        console.print(Text(summary(judged)))


def draw(judged: Sequence[Judged], folder: Path) -> list[Path]:
    """Draw the verdicts into `folder` as claims.png, .pdf and .csv; return the paths."""
    return save({"claims": figure(table(judged))}, folder)


def summary(judged: Sequence[Judged]) -> str:
    """'163 claims: 59 reproduced, 13 not reproduced, ...'"""
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts(judged).items())
    return f"{len(judged)} claims: {found}"


def _screen(judged: Sequence[Judged]) -> Table:
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, ratio in (("id", 5), ("claim", 8), ("published", 3), ("measured here", 7)):
        shown.add_column(name, ratio=ratio, overflow="fold")
    shown.add_column("verdict", ratio=4, overflow="fold")
    shown.add_column("why, or what to run", ratio=8, overflow="fold")
    last = ""
    for one in judged:
        if one.claim.source != last:
            last = one.claim.source
            shown.add_row(Text(last, style="bold"))
        verdict = Text(one.verdict, style=_STYLES[one.verdict])
        cells = [one.claim.id, one.claim.claim, one.claim.printed, one.ours.text]
        shown.add_row(*map(Text, cells), verdict, Text(one.why))
    return shown
