"""The table of drawing: the bound in nats by model, and what compressing the encoder changes."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis import labels
from analysis.paired import holm, p_value
from analysis.rows import Row, done, one_condition, records
from analysis.sheet import NOTHING, Sheet, or_nothing
from analysis.statistics import mean_interval
from harness.label import ratio

METRIC = "nelbo_nats"


def draw_sheets(frames: dict[str, pd.DataFrame]) -> dict[str, Sheet]:
    """The table of the runs that draw, none where there are none or they cannot be compared."""
    try:
        return {"nats": nats_sheet(frames["runs"])}
    except ValueError:
        return {}


def nats_sheet(runs: pd.DataFrame) -> Sheet:
    """The negative ELBO of every model, and what it adds to the dense encoder's, seed by seed.

    Raises ValueError where no finished run draws, or runs cannot be compared.
    """
    numbers = nats_of(runs)
    shown = pd.DataFrame([_shown(row) for row in records(numbers)])
    note = "less the dense encoder's: paired by seed, 95% t interval; two-sided p, Holm's"
    return Sheet(
        title="Negative ELBO of the test images (nats): less is better",
        numbers=numbers,
        shown=shown,
        notes=("mean over seeds and its 95% t interval; all seeds share their test images", note),
    )


def nats_of(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per model: `mean`, `low`, `high` over `runs`, and the same of its differences.

    Differences (`less`, `less_low`, `less_high`, `p`, `p_holm` over `pairs`) are from the dense
    encoder of the same seed, NaN where there is none.

    Raises ValueError where no finished run draws, or runs cannot be compared.
    """
    kept = done(runs, "nats", "point_id", "num_params", METRIC)
    one_condition(kept, "nats")
    names = labels.points(kept)
    dense = kept[kept["family"] == "dense"].drop_duplicates("seed").set_index("seed")[METRIC]
    rows = [_row(own, names[str(point)], dense) for point, own in kept.groupby("point_id")]
    corrected = holm([row["p"] for row in rows])
    table = pd.DataFrame([row | {"p_holm": p} for row, p in zip(rows, corrected, strict=True)])
    first = (table["family"] != "dense").rename("compressed")
    ordered = table.assign(compressed=first).sort_values(["compressed", "mean"], kind="stable")
    return ordered.drop(columns="compressed").reset_index(drop=True)


def _row(own: pd.DataFrame, name: str, dense: pd.Series[float]) -> dict[str, Any]:
    first, values = records(own)[0], own.set_index("seed")[METRIC].astype(float)
    found = mean_interval(values)
    shared = [] if first["family"] == "dense" else sorted(set(values.index) & set(dense.index))
    apart = [float(values[seed]) - float(dense[seed]) for seed in shared]
    less = mean_interval(apart or [math.nan])
    sided = [p_value(sign, apart, 0) for sign in "<>"]
    return {
        "model": name,
        "family": first["family"],
        "num_params": first["num_params"],
        "compression_ratio": first["compression_ratio"],
        "runs": found.count,
        **{"mean": found.mean, "low": found.low, "high": found.high},
        "pairs": len(apart),
        **{"less": less.mean, "less_low": less.low, "less_high": less.high},
        "p": min(1.0, 2 * min(sided)) if len(apart) > 1 else math.nan,
    }


def _shown(row: Row) -> dict[str, str]:
    return {
        "model": str(row["model"]),
        "parameters": labels.count(row["num_params"]),
        "fewer": NOTHING if row["family"] == "dense" else ratio(row["compression_ratio"]),
        "runs": str(row["runs"]),
        "nats": _spread(row["mean"], row["low"], row["high"]),
        "less the dense encoder's": _spread(row["less"], row["less_low"], row["less_high"]),
        "p (Holm)": or_nothing(row["p_holm"], "{:.3f}"),
    }


def _spread(mean: float, low: float, high: float) -> str:
    if mean != mean:
        return NOTHING
    return f"{mean:.1f}" if low != low else f"{mean:.1f} [{low:.1f}, {high:.1f}]"
