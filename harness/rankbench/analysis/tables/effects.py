"""Tables of the influence of each hyperparameter: shares of variance, and importances."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.contrasts import LEVEL
from rankbench.analysis.summaries.effects import OUTCOMES, effects, has_effects
from rankbench.analysis.summaries.importances import TOP, has_importances, importances
from rankbench.analysis.summaries.rows import Row, records
from rankbench.analysis.tables.sheet import NOTHING, Sheet

_EXACT = 1e-4  # Smaller p values are printed as "<0.0001".
_EFFECTS = (
    "shares of the variance over a full grid (type II), errors, parameters and times in "
    f"logarithms; shown: Holm's p of an F test over the terms of an outcome is below {LEVEL}; "
    "rest: seeds and interactions of three; times of machines that others used compare only roughly"
)
_IMPORTANCES = (
    f"PED-ANOVA: what tells the best {TOP:.0%} of points from the others, in each decomposition "
    "the hyperparameters it has; 95% bootstrap over seeds"
)


def effect_sheets(frames: dict[str, pd.DataFrame]) -> dict[str, Sheet]:
    """Return those of `effects` and `importance` that a study allows.

    Args:
        frames: The tables of a study by name; only `runs` is read.
    """
    runs = frames["runs"]
    found = {}
    if has_effects(runs):
        title = "Main effects and interactions: share of variance"
        found["effects"] = _sheet(effects(runs), title, _effect_line, _EFFECTS)
    if has_importances(runs):
        title = "Which hyperparameter decides: share of importance"
        found["importance"] = _sheet(importances(runs), title, _importance_line, _IMPORTANCES)
    return found


def _sheet(numbers: pd.DataFrame, title: str, line: Callable[[Row], Row], note: str) -> Sheet:
    shown = pd.DataFrame([line(row) for row in records(numbers)])
    return Sheet(title=title, numbers=numbers, shown=shown, notes=(note,))


def _facts(row: Row) -> Row:
    return {
        "of": row["part"] or NOTHING,
        "layer": NAMES[row["family"]],
        "outcome": OUTCOMES[row["outcome"]],
        "term": row["term"],
        "share": f"{row['share']:.1%}",
    }


def _effect_line(row: Row) -> Row:
    p = float(row["p_holm"])
    if math.isnan(p):
        return {**_facts(row), "p": NOTHING, "verdict": NOTHING}
    shown = f"<{_EXACT:g}" if p < _EXACT else f"{p:.2g}"
    return {**_facts(row), "p": shown, "verdict": "shown" if p < LEVEL else "not shown"}


def _importance_line(row: Row) -> Row:
    ends = NOTHING if math.isnan(row["low"]) else f"{row['low']:.1%} to {row['high']:.1%}"
    return {**_facts(row), "95%": ends, "points": row["points"], "seeds": row["seeds"]}
