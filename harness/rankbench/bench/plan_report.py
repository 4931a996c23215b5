"""What a person reads of the planner's check: its choices beside the fastest measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.text import Text

from rankbench.bench.plans import Verdict
from rankbench.common.table import TerminalTable
from rankbench.common.text import metric

LIMIT = 1.25  # times the fastest contender: a choice beyond is reported as missed


def missed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those whose choice takes more than 1.25 times the fastest contender."""
    return [verdict for verdict in verdicts if verdict.ratio > LIMIT]


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many choices are within the limit, and the median and largest ratio."""
    if not verdicts:
        return "nothing was measured"
    ratios = sorted(verdict.ratio for verdict in verdicts)
    within = len(verdicts) - len(missed(verdicts))
    return (
        f"{within} of {len(verdicts)} choices within {LIMIT:g} times the fastest measured; "
        f"median {statistics.median(ratios):.2f}, largest {ratios[-1]:.2f}"
    )


def table(verdicts: Sequence[Verdict]) -> TerminalTable:
    """A row a shape: the choice and the fastest, in ms of forward and backward."""
    shown = TerminalTable("shape, chosen, fastest where it is another", drop=("fastest",))
    shown.add_numbers("chosen", "fastest", "ratio")
    for verdict in verdicts:
        best, best_s = verdict.best
        lines = [f"  {verdict.timed[0][0].describe()}"]
        if best is not verdict.timed[0][0]:
            lines.append(f"  {best.describe()}")
        shown.add_row(
            Text.assemble((verdict.shape.name, "bold"), *(f"\n{line}" for line in lines)),
            metric(1e3 * verdict.chosen_s),
            metric(1e3 * best_s),
            f"{verdict.ratio:.2f}",
        )
    return shown
