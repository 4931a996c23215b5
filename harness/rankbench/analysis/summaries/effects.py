"""Analyse the variance that hyperparameters of a decomposition and their interactions explain.

Sums of squares are of type II (Langsrud 2003), computed by statsmodels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from rankbench.analysis.metrics import METRICS
from rankbench.analysis.stats.paired import holm
from rankbench.analysis.summaries.budgets import conditions, metric_of
from rankbench.analysis.summaries.rows import at_noise, done, several
from rankbench.analysis.summaries.sweeps import KNOBS

TIMES = ("step_ms", "duration_s")
OUTCOMES = {name: metric.name for name, metric in METRICS.items()} | {
    "duration_s": "time of a run (s)"
}
BETWEEN = " x "


def outcomes(runs: pd.DataFrame) -> list[str]:
    """List the columns to explain: the metric, the number of parameters, and a time if measured."""
    times = [c for c in TIMES if c in runs and runs[c].notna().any()]
    return [metric_of(runs).column, "num_params", *times[:1]]


def grids(runs: pd.DataFrame) -> list[pd.DataFrame]:
    """Extract a full grid of hyperparameters from each condition and decomposition.

    A value that was not run at every combination of the others is dropped, beginning with the value
    that has the fewest runs. A grid is skipped if it has no more runs than the model of main
    effects and pairs has parameters, because nothing would be left to test them against.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        One frame per grid, with the new columns `part` (the condition) and one per hyperparameter,
        named by its letter.
    """
    metric = metric_of(runs).column
    finished = at_noise(done(runs, "effects", "point_id", "num_params", metric))
    found = []
    for part, rows in conditions(finished).items():
        for _, own in rows.groupby("family", sort=False):
            knobs = varied(own)
            grid = _full(own, knobs)
            letters = {KNOBS[c].letter: grid[c].astype(int) for c in knobs}
            kept = [letter for letter, values in letters.items() if several(values)]
            if len(kept) > 1 and len(grid) > _fitted([letters[name] for name in kept]):
                found.append(grid.assign(part=part, **{name: letters[name] for name in kept}))
    return found


def _fitted(values: Sequence[pd.Series[int]]) -> int:
    """Count the parameters of a model of main effects and pairs, including its mean."""
    steps = [one.nunique() - 1 for one in values]
    return 1 + sum(steps) + sum(a * b for a, b in itertools.combinations(steps, 2))


def varied(rows: pd.DataFrame) -> list[str]:
    """List the keys of KNOBS that have a value in all `rows`, and more than one among them."""
    return [c for c in KNOBS if rows[c].notna().all() and several(rows[c])]


def letters_of(grid: pd.DataFrame) -> list[str]:
    """List the letters of the hyperparameters of a grid."""
    letters = dict.fromkeys(knob.letter for knob in KNOBS.values())
    return [letter for letter in letters if letter in grid.columns]


def _full(rows: pd.DataFrame, knobs: list[str]) -> pd.DataFrame:
    while knobs:
        cells = rows[knobs].drop_duplicates()
        if len(cells) == math.prod(rows[knob].nunique() for knob in knobs):
            return rows
        shares = {
            (knob, value): count / (len(cells) / rows[knob].nunique())
            for knob in knobs
            for value, count in cells[knob].value_counts().items()
        }
        knob, value = min(shares, key=lambda key: (shares[key], -int(str(key[1]))))
        rows = rows[rows[knob] != value]
    return rows


def effects(runs: pd.DataFrame) -> pd.DataFrame:
    """Compute the share of variance that each hyperparameter and each pair of them explains.

    Errors, parameters and times are analysed as logarithms. The term `rest` holds what remains:
    seeds and interactions of three or more.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        A frame with the columns part, family, outcome (a column of runs), term (d, R, d x R),
        share, and p_holm (of an F test, corrected over the terms of an outcome; NaN if the outcome
        does not vary between seeds). Empty if there is no grid of two hyperparameters.
    """
    rows = []
    for grid in grids(runs):
        for outcome in outcomes(runs):
            table = _shares(grid, outcome)
            facts = {"part": grid["part"].iloc[0], "family": grid["family"].iloc[0]}
            rows += [{**facts, "outcome": outcome, **row} for row in table]
    return pd.DataFrame(rows)


def _shares(grid: pd.DataFrame, outcome: str) -> list[dict[str, object]]:
    letters = letters_of(grid)
    values = grid[outcome].astype(float)
    y = values if outcome.endswith("accuracy") else np.log10(values.clip(lower=1e-300))
    pairs = [f"C({a}):C({b})" for a, b in itertools.combinations(letters, 2)]
    terms = [f"C({letter})" for letter in letters] + pairs
    data = grid[letters].assign(y=y.astype(float)).astype(dict.fromkeys(letters, str))
    found = anova_lm(ols(f"y ~ {' + '.join(terms)}", data).fit(), typ=2)
    varies = grid.groupby("point_id")[outcome].nunique().max() > 1
    total = float(found["sum_sq"].sum())
    corrected = holm([float(p) if varies else math.nan for p in found.loc[terms, "PR(>F)"]])
    rows: list[dict[str, object]] = [
        {"term": _term(term), "share": float(found.loc[term, "sum_sq"]) / total, "p_holm": p}
        for term, p in zip(terms, corrected, strict=True)
    ]
    rest = float(found.loc["Residual", "sum_sq"]) / total
    return [*rows, {"term": "rest", "share": rest, "p_holm": math.nan}]


def _term(term: str) -> str:
    return term.replace("C(", "").replace(")", "").replace(":", BETWEEN)


def has_effects(runs: pd.DataFrame) -> bool:
    """Return whether any decomposition has a full grid of two hyperparameters."""
    try:
        return bool(grids(runs))
    except ValueError:
        return False
