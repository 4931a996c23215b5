"""Find series of points that differ in a single hyperparameter: d, R, N, TT-rank or TR-rank."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from rankbench.analysis.names import SHORT
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.models import beside_layer
from rankbench.analysis.summaries.rows import Row, entries, integer, records, several
from rankbench.common.intervals import wilson


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter of decompositions."""

    name: str
    """The label of its axis."""
    letter: str
    """The letter that papers use for it."""
    decompositions: tuple[str, ...]
    """The decompositions that have it."""


_TENSORS = ("cp", "tucker", "block_term", "tensor_train", "tensor_ring")
KNOBS: dict[str, Hyperparameter] = {
    "core_order": Hyperparameter("core order d", "d", _TENSORS),
    "tucker_rank": Hyperparameter("Tucker-rank R", "R", ("tucker", "block_term")),
    "cp_rank": Hyperparameter("CP-rank N", "N", ("cp", "block_term")),
    "tt_rank": Hyperparameter("largest TT-rank", "R", ("tensor_train",)),
    "tr_rank": Hyperparameter("largest TR-rank", "R", ("tensor_ring",)),
    "rank": Hyperparameter("rank R", "R", ("low_rank",)),
}
_READ = ("family", "num_params", "seed", "test_size", *KNOBS)  # The columns that `_point` reads.


def lines_of(rows: pd.DataFrame, column: str, metric: str) -> pd.DataFrame:
    """Return the points of every line along a hyperparameter.

    The points of a line differ in `column` alone. Modes depend on the core order, so a point of a
    line over core orders is a mean over the modes that were run.

    Args:
        rows: Finished runs with the column `family`.
        column: A key of KNOBS.
        metric: The column to average.

    Returns:
        A frame with the columns `line` (the values of the other hyperparameters), `family`, `x`,
        `mean`, `low`, `high`, `runs`, `by_seed` (the mean of each seed), `num_params`, and the
        other hyperparameters. The interval is a 95% t interval over runs; an accuracy of a single
        run with a known number of test clips has a Wilson interval. Empty if no two points of a
        decomposition differ in `column` alone.
    """
    owners = rows[rows["decomposition"].isin(KNOBS[column].decompositions) & rows[column].notna()]
    if owners.empty:
        return pd.DataFrame()
    keys = pd.Series([_others(row, column) for row in records(owners)], index=owners.index)
    # Group only the needed columns: grouping whole rows is a hundred times slower.
    known = [name for name in (*_READ, metric) if name in owners.columns]
    groups = owners[known].assign(key=keys).groupby(["key", column], sort=True)
    table = pd.DataFrame([_point(group, column, metric) for _, group in groups])
    kept = table[table.groupby("key")["x"].transform("nunique") > 1]
    return kept if kept.empty else kept.assign(line=kept["key"].map(_names(kept, column)))


def means_of(lines: pd.DataFrame) -> pd.DataFrame:
    """Average over the lines that have a point at every x.

    Args:
        lines: The frame that `lines_of` returns, or part of it.

    Returns:
        A frame with the columns `x`, `mean`, `low`, `high` and `num_params`. The interval is that
        of the mean over lines, with one value for each seed that all lines have.
    """
    counts = lines.groupby("line")["x"].nunique()
    complete = lines[lines["line"].isin(counts[counts == lines["x"].nunique()].index)]
    rows = []
    for x, points in complete.groupby("x"):
        seeds = pd.DataFrame(list(points["by_seed"])).dropna(axis="columns")
        found = mean_interval(seeds.mean()) if seeds.shape[1] else mean_interval(points["mean"])
        ends = (found.low, found.high) if seeds.shape[1] else (math.nan, math.nan)
        row = {"x": x, "mean": found.mean, "low": ends[0], "high": ends[1]}
        rows.append({**row, "num_params": points["num_params"].mean()})
    return pd.DataFrame(rows, columns=["x", "mean", "low", "high", "num_params"])


def _others(row: Row, column: str) -> str:
    """Return what is constant along a line: everything but `column` and what depends on it."""
    own = [integer(row, name) for name in KNOBS if name != column]
    modes = [entries(row, name) for name in ("in_modes", "out_modes")]
    layer = [row["family"], own, _pattern(row), [] if column == "core_order" else modes]
    return json.dumps([layer, beside_layer(row)], sort_keys=True)


def _pattern(row: Row) -> list[float] | None:
    """Return unequal ranks as shares of the largest; None if all are equal."""
    ranks = entries(row, "ranks")
    return [round(r / max(ranks), 3) for r in ranks] if "–" in labels.ranks(row) else None


def _point(group: pd.DataFrame, column: str, metric: str) -> dict[str, Any]:
    first = records(group)[0]
    found = asdict(mean_interval(group[metric].astype(float)))
    clips = integer(first, "test_size")
    if found["count"] == 1 and metric.endswith("accuracy") and clips:
        found["low"], found["high"] = wilson(found["mean"], clips)
    return {
        "key": first["key"],
        "family": first["family"],
        "x": int(first[column]),
        "runs": found.pop("count"),
        **found,
        "num_params": float(group["num_params"].astype(float).mean()),
        "by_seed": group[metric].astype(float).groupby(group["seed"]).mean().to_dict(),
        **{name: integer(first, name) for name in KNOBS},
    }


def _names(points: pd.DataFrame, column: str) -> dict[str, str]:
    """Give each key a unique name: its decomposition and the other hyperparameters that vary."""
    firsts = points.drop_duplicates("key")
    mixed = several(firsts["family"])
    names: dict[str, str] = {}
    for family, own in firsts.groupby("family", sort=False):
        differing = [name for name in KNOBS if name != column and several(own[name])]
        for row in records(own):
            words = [SHORT[str(family)]] if mixed or not differing else []
            words += [f"{KNOBS[name].letter}={integer(row, name)}" for name in differing]
            name = " ".join(words)
            same = sum(other == name or other.startswith(f"{name} (") for other in names.values())
            names[row["key"]] = f"{name} ({same + 1})" if same else name
    return names
