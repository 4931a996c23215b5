"""Estimate how much each hyperparameter determines which points are best, per decomposition.

Method: PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023), as implemented in Optuna. The search
space is conditional, so each decomposition is a branch with the hyperparameters that it has.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

from rankbench.analysis.summaries.budgets import conditions, metric_of
from rankbench.analysis.summaries.effects import outcomes, varied
from rankbench.analysis.summaries.rows import at_noise, done, records
from rankbench.analysis.summaries.sweeps import KNOBS

with warnings.catch_warnings():  # Optuna's progress bars warn in a notebook without widgets.
    warnings.simplefilter("ignore")
    import optuna
    from optuna.distributions import BaseDistribution, IntDistribution
    from optuna.importance import PedAnovaImportanceEvaluator

TOP = 0.25  # The share of points that count as good.
FEW_POINTS = 8
DRAWS = 200
COLUMNS = ["part", "family", "outcome", "term", "share", "low", "high", "points", "seeds"]


def branches(runs: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return the condition, decomposition and runs of each branch with enough points to analyse.

    A branch needs eight points and two hyperparameters that vary.
    """
    metric = metric_of(runs).column
    finished = at_noise(done(runs, "importances", "point_id", "num_params", metric))
    return [
        (part, str(family), own)
        for part, here in conditions(finished).items()
        for family, own in here.groupby("family", sort=False)
        if len(varied(own)) > 1 and own["point_id"].nunique() >= FEW_POINTS
    ]


def importances(runs: pd.DataFrame) -> pd.DataFrame:
    """Compute the importance of each hyperparameter for each outcome, by decomposition.

    The best quarter of points counts as good. Accuracies are to be maximised, all other outcomes to
    be minimised.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        A frame with the columns part (the condition), family, outcome (a column of runs), term (the
        letter of a hyperparameter), share, low and high (95% bootstrap interval over seeds; NaN if
        there is only one), points and seeds. Empty if no decomposition has eight points that differ
        in two hyperparameters.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = [
        {"part": part, "family": family, "outcome": outcome} | row
        for part, family, own in branches(runs)
        for outcome in outcomes(runs)
        for row in _branch(own, varied(own), outcome)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _branch(rows: pd.DataFrame, knobs: list[str], outcome: str) -> list[dict[str, object]]:
    points = rows.groupby("point_id", sort=True)[knobs].first().astype(int)
    table = rows.astype({outcome: float}).pivot_table(outcome, "point_id", "seed").loc[points.index]
    table = table.dropna(axis="columns")
    upwards = outcome.endswith("accuracy")
    means = rows[outcome].astype(float).groupby(rows["point_id"]).mean().loc[points.index]
    shares = _evaluate(points, means.to_numpy(float), upwards=upwards)
    values, generator = table.to_numpy(float), np.random.default_rng(0)
    varies = values.shape[1] > 1 and bool((np.ptp(values, axis=1) > 0).any())
    known: dict[tuple[int, ...], list[float]] = {}  # With few seeds, many draws repeat.
    drawn = []
    for _ in range(DRAWS if varies else 0):
        seeds = tuple(sorted(generator.integers(values.shape[1], size=values.shape[1]).tolist()))
        if seeds not in known:
            known[seeds] = _evaluate(points, values[:, seeds].mean(axis=1), upwards=upwards)
        drawn.append(known[seeds])
    ends = (
        np.percentile(drawn, [2.5, 97.5], axis=0) if drawn else np.full((2, len(knobs)), math.nan)
    )
    facts = {"points": len(points), "seeds": values.shape[1]}
    return [
        {"term": KNOBS[c].letter, "share": share, "low": low, "high": high, **facts}
        for c, share, low, high in zip(knobs, shares, *ends, strict=True)
    ]


def _evaluate(points: pd.DataFrame, values: np.ndarray, *, upwards: bool) -> list[float]:
    """Return the shares of the columns of `points`; all are 0 if none matters."""
    study = optuna.create_study(direction="maximize" if upwards else "minimize")
    space: dict[str, BaseDistribution] = {
        str(c): IntDistribution(int(points[c].min()), int(points[c].max()), log=True)
        for c in points.columns
    }
    study.add_trials(
        optuna.trial.create_trial(params=params, distributions=space, value=float(value))
        for params, value in zip(records(points), values, strict=True)
    )
    found = PedAnovaImportanceEvaluator(target_quantile=TOP).evaluate(study)
    total = sum(found.values())
    return [found[str(c)] / total if total else 0.0 for c in points.columns]


def has_importances(runs: pd.DataFrame) -> bool:
    """Return whether any decomposition has enough points to analyse."""
    try:
        return bool(branches(runs))
    except ValueError:
        return False
