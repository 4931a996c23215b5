"""Check whether the results of a study suffice for each figure.

The `has_` functions take the tables of a study by name. `figures.catalog` pairs them with figures.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from rankbench.analysis.figures.convergence import reaches_a_level
from rankbench.analysis.figures.curves import RIGHT
from rankbench.analysis.figures.draw import SHEET
from rankbench.analysis.figures.features import TASK as FEATURES
from rankbench.analysis.figures.parameter_counts import has_core_orders
from rankbench.analysis.figures.rank_bound import has_bound
from rankbench.analysis.figures.timing import PHASES
from rankbench.analysis.metrics import LEARNED
from rankbench.analysis.summaries import objectives as asked
from rankbench.analysis.summaries.accuracy import TOP, classified
from rankbench.analysis.summaries.captions import TASK as CAPTION
from rankbench.analysis.summaries.complexity import QUANTITIES
from rankbench.analysis.summaries.models import TASKS
from rankbench.analysis.summaries.rows import at_noise, done, several
from rankbench.analysis.summaries.sweeps import KNOBS, lines_of
from rankbench.bench.contenders import SAME

Frames = dict[str, pd.DataFrame]


def finished(frames: Frames, column: str) -> pd.DataFrame:
    """Return the finished runs with a value in `column`."""
    runs = frames["runs"]
    return runs[(runs["status"] == "done").fillna(False) & runs[column].notna()]


def has_rows_in(frames: Frames, table: str, column: str = "run_id") -> bool:
    """Return whether a finished run has rows of `table` with a value in `column`."""
    known = frames[table].dropna(subset=[column])["run_id"]
    return bool(finished(frames, "run_id")["run_id"].isin(known).any())


def has_counts(frames: Frames) -> bool:
    """Return whether parameters were counted at two core orders with the same ranks."""
    return has_core_orders(unswept(frames)["runs"])


def has_weights(frames: Frames) -> bool:
    """Return whether a finished run kept its recovered weights."""
    weights = frames["weights"]
    kept = weights.loc[weights["name"] == "recovered", "run_id"]
    return bool(finished(frames, "rmse")["run_id"].isin(kept).any())


def has_rivals(frames: Frames) -> bool:
    """Return whether weights were kept and several decompositions or learners recovered a W."""
    kinds = finished(frames, "rmse")[["decomposition", "learner"]]
    return has_weights(frames) and len(kinds.drop_duplicates()) > 1


def has_noises(frames: Frames) -> bool:
    """Return whether a W was recovered at several noise variances."""
    return several(finished(frames, "rmse")["noise"])


def has_curves(frames: Frames) -> bool:
    """Return whether a finished run has a curve of accuracy or RMSE."""
    return any(has_rows_in(frames, "epochs", column) for column in RIGHT)


def has_nats(frames: Frames) -> bool:
    """Return whether a finished run has a curve of negative ELBO with several epochs."""
    later = frames["epochs"][frames["epochs"]["epoch"] > 1]  # A single epoch is not a curve.
    return has_rows_in({**frames, "epochs": later}, "epochs", "nelbo_nats")


def has_drawn(frames: Frames) -> bool:
    """Return whether a finished run has stored a sheet of samples."""
    files = frames["artifacts"]
    drawn = files.loc[files["name"] == SHEET, "run_id"]
    return bool(finished(frames, "nelbo_nats")["run_id"].isin(drawn).any())


def has_choice(frames: Frames) -> bool:
    """Return whether a metric was measured at several numbers of parameters."""
    return any(several(finished(frames, column)["num_params"]) for column in LEARNED)


def has_objectives(frames: Frames) -> bool:
    """Return whether several points have all objectives of a search with several."""
    try:
        objectives, _ = asked.objectives(frames["runs"])
    except ValueError:
        return False
    runs = finished(frames, "point_id").dropna(subset=list(objectives))
    return several(runs["point_id"])


def has_samples(frames: Frames) -> bool:
    """Return whether a finished run, not of a sweep, has samples of times."""
    frames, samples = unswept(frames), frames["samples"]
    return has_rows_in({**frames, "samples": samples[samples["phase"].isin(PHASES)]}, "samples")


def has_contenders(frames: Frames) -> bool:
    """Return whether a contender that computes the same map was timed."""
    runs = finished(frames, "step_ms")
    return bool((runs["computes"] == SAME).any())


def classifies(frames: Frames) -> pd.DataFrame:
    """Return the finished runs that classify clips, with model and condition; may be empty."""
    runs = finished(frames, TOP)
    here = runs[runs["task"].isin(TASKS) & runs["num_params"].notna()]
    return here if here.empty else classified(here, "figures")


def has_splits(frames: Frames) -> bool:
    """Return whether a model was tested under several conditions."""
    runs = classifies(frames)
    return not runs.empty and bool(runs.groupby("model")["condition"].nunique().max() > 1)


def has_curves_by_split(frames: Frames) -> bool:
    """Return whether there are accuracy curves, with several conditions or with validation."""
    runs = classifies(frames)
    known = frames["epochs"].dropna(subset=["accuracy"])
    validated = known["validation_accuracy"].notna().any()
    drawn = runs["run_id"].isin(known["run_id"]).any()
    return bool(drawn and (several(runs["condition"]) or validated))


def has_sizes(frames: Frames) -> bool:
    """Return whether compressed models of several sizes classify clips."""
    runs = classifies(frames)
    return not runs.empty and several(runs.loc[runs["family"] != "dense", "num_params"])


def has_levels(frames: Frames) -> bool:
    """Return whether a run that classifies clips reached the lowest accuracy level."""
    runs = classifies(frames)
    return not runs.empty and reaches_a_level(runs, frames["epochs"])


def has_features(frames: Frames) -> bool:
    """Return whether a finished run is on features."""
    return bool((finished(frames, TOP)["task"] == FEATURES).any())


def has_knobs(frames: Frames) -> bool:
    """Return whether points differ in a single hyperparameter."""
    metric = next((c for c in LEARNED if not finished(frames, c).empty), None)
    if metric is None or finished(frames, metric)["num_params"].isna().all():
        return False
    runs = at_noise(done(frames["runs"], "sensitivity", "point_id", "num_params", metric))
    return any(not lines_of(runs, column, metric).empty for column in KNOBS)


def has_sweeps(frames: Frames, quantity: str) -> bool:
    """Return whether `quantity`, a key of QUANTITIES, was measured in a sweep."""
    found = finished(frames, "sweep")
    if quantity == "time":
        return has_rows_in({**frames, "runs": found}, "samples", "cpu_ms")
    columns = list(QUANTITIES[quantity].columns.values())
    return bool(found[columns].notna().any(axis=None))


def unswept(frames: Frames) -> Frames:
    """Return the tables without runs of sweeps and plans.

    The sizes of those runs are inputs of the measurement, not settings that a study compares.
    """
    runs = frames["runs"]
    return {**frames, "runs": runs[runs["sweep"].isna() & (runs["task"] != "plans").fillna(True)]}


def has_ranks_beyond(frames: Frames) -> bool:
    """Return whether block terms recovered a W with R within BT's bound and beyond it."""
    return has_bound(unswept(frames)["runs"])


def has_captions(frames: Frames) -> bool:
    """Return whether a finished run has captioning scores."""
    return bool((finished(frames, "cider")["task"] == CAPTION).any())


def has_sentences(frames: Frames) -> bool:
    """Return whether a finished run has stored the sentences it wrote."""
    return has_captions(frames) and has_rows_in(frames, "sentences", "sentence")


def of_runs(applies: Callable[[pd.DataFrame], bool]) -> Callable[[Frames], bool]:
    """Turn a check of the `runs` table into a check of all tables."""
    return lambda frames: applies(frames["runs"])
