"""The table of DRAW models: their negative ELBO, and what compressing the encoder changes."""

from __future__ import annotations

import pandas as pd

from rankbench.analysis.stats.contrasts import NOTE, by_seed, compare
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import Row, done, one_condition, records
from rankbench.analysis.tables.points import summary
from rankbench.analysis.tables.sheet import NOTHING, Sheet, or_nothing
from rankbench.common.text import ratio

METRIC = "nelbo_nats"
_APART = "_difference"  # Suffix of comparison columns that a summary also has.


def draw_sheets(frames: dict[str, pd.DataFrame]) -> dict[str, Sheet]:
    """Return the table `nats`, or nothing if no finished runs draw or they are not comparable."""
    try:
        return {"nats": nats_sheet(frames["runs"])}
    except ValueError:
        return {}


def nats_sheet(runs: pd.DataFrame) -> Sheet:
    """Tabulate each model's negative ELBO and, paired by seed, its difference from the dense one.

    Raises:
        ValueError: If no finished run draws, or the runs are not comparable.
    """
    numbers = nats_of(runs)
    return Sheet(
        title="Negative ELBO of the test images (nats): less is better",
        numbers=numbers,
        shown=pd.DataFrame([_shown(row) for row in records(numbers)]),
        notes=("mean over seeds and its 95% t interval; all seeds share their test images", NOTE),
    )


def nats_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Summarise each point and compare it with the dense encoder.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        The rows of `tables.points.summary`, dense encoder first, with the columns of
        `stats.contrasts.compare`. Comparison columns that a summary also has end in "_difference".
        The comparison is NaN for the dense encoder and for points that share no seed with it.

    Raises:
        ValueError: If no finished run draws, or the runs are not comparable.
    """
    kept = done(runs, "nats", "point_id", "num_params", METRIC)
    one_condition(kept, "nats")
    dense = by_seed(kept[kept["family"] == "dense"], METRIC)
    pairs = [
        ({"point_id": point}, by_seed(own, METRIC), dense)
        for point, own in kept[kept["family"] != "dense"].groupby("point_id")
        if own["seed"].isin(dense.index).any()
    ]
    found = compare(pairs, less_is_better=True)
    points = summary(kept, METRIC).sort_values("mean", kind="stable")
    points = pd.concat([points[points["family"] == "dense"], points[points["family"] != "dense"]])
    if found.empty:
        return points.reset_index(drop=True)
    return points.merge(found, how="left", on="point_id", suffixes=("", _APART))


def _shown(row: Row) -> dict[str, str]:
    shown = {
        "model": str(row["label"]),
        "parameters": labels.count(row["num_params"]),
        "fewer": NOTHING if row["family"] == "dense" else ratio(row["compression_ratio"]),
        "seeds": str(row["seeds"]),
        "nats": _spread(row["mean"], row["low"], row["high"]),
    }
    if "difference" not in row:
        return shown
    apart = (row["difference"], row[f"low{_APART}"], row[f"high{_APART}"])
    return {
        **shown,
        "less the dense encoder's": _spread(*apart),
        "g": or_nothing(row["effect"], "{:.1f}"),
        "p (Holm)": or_nothing(row["p_holm"], "{:.3f}"),
        "verdict": or_nothing(row["verdict"], "{}"),
    }


def _spread(mean: float, low: float, high: float) -> str:
    if mean != mean:
        return NOTHING
    return f"{mean:.1f}" if low != low else f"{mean:.1f} [{low:.1f}, {high:.1f}]"
