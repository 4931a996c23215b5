"""Print and draw the verdicts on the claims."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
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
from rankbench.common.table import TerminalTable

FORMATS = ("table", "csv", "json")
_STYLES = {
    REPRODUCED: "green",
    NOT_REPRODUCED: "red",
    CONTRADICTED: "bold red",
    NOT_COMPARABLE: "yellow",
    NOT_MEASURED: "dim",
}


def write(judged: Sequence[Judged], form: str, console: Console) -> None:
    """Print the verdicts.

    Args:
        judged: the judged claims.
        form: "table" (followed by the number of each verdict), "csv" or "json".
        console: where the table is printed; CSV and JSON go to standard output.

    Raises:
        ValueError: `form` is none of these.
    """
    one_of("--format", form, FORMATS)
    if form == "csv":
        table(judged).to_csv(sys.stdout, index=False)
    elif form == "json":
        print(json.dumps(rows(judged), indent=1))
    else:
        console.print(_screen(judged))
        console.print(Text(summary(judged)))


def rows(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Return the verdicts as values that JSON can hold, one dict per claim."""
    # JSON has no NaN or infinity; pandas writes them as null.
    found: list[dict[str, Any]] = json.loads(table(judged).to_json(orient="records"))
    return found


def facts(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the number of each verdict and all claims, as values that JSON can hold."""
    return {"verdicts": dict(counts(judged)), "claims": rows(judged)}


def draw(judged: Sequence[Judged], folder: Path) -> list[Path]:
    """Draw the verdicts into `folder` as claims.png, .pdf and .csv, and return the paths."""
    return save({"claims": figure(table(judged))}, folder)


def summary(judged: Sequence[Judged]) -> str:
    """Return one line of counts, such as "163 claims: 59 reproduced, 13 not reproduced, ..."."""
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts(judged).items())
    return f"{len(judged)} claims: {found}"


def _screen(judged: Sequence[Judged]) -> TerminalTable:
    shown = TerminalTable()
    shown.add_column("id", no_wrap=True)
    shown.add_column("claim", min_width=24)
    shown.add_column("published", min_width=12)
    shown.add_column("measured here", min_width=18)
    shown.add_column("verdict", no_wrap=True)
    shown.add_column("why, or what to run", min_width=24)
    last = ""
    for one in judged:
        if one.claim.source != last:
            last = one.claim.source
            shown.add_row(Text(last, style="bold"))
        verdict = Text(one.verdict, style=_STYLES[one.verdict])
        cells = [one.claim.id, one.claim.claim, one.claim.printed, one.ours.text]
        shown.add_row(*map(Text, cells), verdict, Text(one.why))
    return shown
