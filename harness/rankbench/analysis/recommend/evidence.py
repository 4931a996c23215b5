"""Collect what was measured of the layers on a task, and tell which of them differ.

Runs are grouped by layer and by condition (the data, the cell, the training). Only layers that
were measured under the same condition are compared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rankbench.analysis.metrics import TASK_METRICS
from rankbench.analysis.stats.intervals import Interval, mean_interval
from rankbench.layers import LAYERS, Layer
from rankbench.layers.base import tupled

# Runs that differ in one of these columns, or in their number of epochs, are not compared.
_CONDITION = (
    *("study", "task", "target", "noise", "samples", "split", "dataset", "time_steps"),
    *("permute", "glimpses", "attention", "binarise", "vocabulary", "beam"),
    *("sampling", "ordered", "in_features", "out_features", "cell", "hidden_size"),
)
_SHOWN = ("target", "split", "dataset", "permute")
Steps = NDArray[np.float64]
COLUMNS = (*_CONDITION, "seed", "status", "learner", "config")


@dataclass(frozen=True, kw_only=True)
class MeasuredLayer:
    """A layer that was trained under one condition, with its metric over all seeds and folds."""

    layer: Layer
    """The layer, contracted with the plan `auto` whatever plan the runs used."""
    task: str
    """The registry name of the task."""
    cell: str | None
    """The registry name of the cell, None for a bare map."""
    study: str
    """The name of the study that holds the runs."""
    shown: str
    """The condition in words, for tables."""
    condition: tuple[Any, ...]
    """The values of _CONDITION and the epochs; equal for layers that may be compared."""
    value: Interval
    """The mean and the 95% interval of the task's metric over the finished runs."""
    seeds: int
    """The number of distinct seeds."""
    diverged: int
    """The number of runs that diverged; they have no metric and are not in `value`."""
    config: Mapping[str, Any]
    """The complete settings of the first run."""

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of input and output features of the map."""
        return self.layer.in_features, self.layer.out_features


def doublings(sizes: tuple[int, int], others: tuple[int, int]) -> float:
    """Return how many doublings or halvings turn one pair of sizes into another.

    Args:
        sizes: the features in and out of one map.
        others: those of the other map.

    Returns:
        The absolute log2 of the ratio of the inputs, plus that of the ratio of the outputs.
    """
    return sum(abs(math.log2(a / b)) for a, b in zip(sizes, others, strict=True))


def measured(runs: pd.DataFrame, task: str) -> list[MeasuredLayer]:
    """Group the training runs of `task` by layer and condition.

    Runs that solve exact least squares are left out, since they train no layer. So is a layer of
    which every run diverged.

    Args:
        runs: rows of `runs` with COLUMNS and the task's metric.
        task: a key of TASK_METRICS.

    Returns:
        One item per study, condition, layer and training settings.
    """
    metric, _ = TASK_METRICS[task]
    kept = runs[(runs["task"] == task) & (runs["learner"] != "least_squares").fillna(True)]
    kept = kept[kept["status"].isin(["done", "diverged"])]
    known = {text: _parts(text) for text in kept["config"].unique()}
    keys = [known[text][1] for text in kept["config"]]
    groups = kept.groupby([*_CONDITION, pd.Series(keys, index=kept.index)], dropna=False)
    found = []
    for condition, rows in groups:
        config, _ = known[rows["config"].iloc[0]]
        values = rows.loc[rows["status"] == "done", metric].astype(float).dropna()
        if not values.empty:
            epochs = (config.get("training") or {}).get("epochs")
            found.append(_one(config, (*condition[:-1], epochs), rows, values))
    return found


def _one(
    config: dict[str, Any], condition: tuple[Any, ...], rows: pd.DataFrame, values: pd.Series[float]
) -> MeasuredLayer:
    first = rows.iloc[0]
    words = [str(first[column]) for column in _SHOWN if pd.notna(first[column])]
    words += [f"noise {first['noise']:g}"] if pd.notna(first["noise"]) else []
    words += [f"{condition[-1]} epochs"] if condition[-1] else []
    return MeasuredLayer(
        layer=layer_of(config["layer"]),
        task=str(first["task"]),
        cell=None if pd.isna(first["cell"]) else str(first["cell"]),
        study=str(first["study"]),
        shown=", ".join(words).replace("_", " "),
        condition=tuple(None if pd.isna(value) else value for value in condition),
        value=mean_interval(values),
        seeds=int(rows["seed"].nunique()),
        diverged=int((rows["status"] == "diverged").sum()),
        config=config,
    )


def _parts(text: str) -> tuple[dict[str, Any], str]:
    """Return a run's settings, and the part that identifies its layer and training, as JSON."""
    config = json.loads(text)
    layer = {k: v for k, v in config["layer"].items() if k not in ("plan", "kernel")}
    key = json.dumps([layer, config.get("training")], sort_keys=True)
    return config, key


def layer_of(settings: Mapping[str, Any]) -> Layer:
    """Build the layer that a run's settings describe, with the plan `auto`.

    Args:
        settings: the `layer` entry of a run's config.
    """
    kind = LAYERS[settings["decomposition"]]
    names = ("in_modes", "out_modes", *kind.RANKS)
    return kind(**{name: tupled(settings[name]) for name in names})


def leaders(
    pieces: Iterable[MeasuredLayer], max_params: int
) -> dict[tuple[Any, ...], MeasuredLayer]:
    """Find the layer with the best mean under each condition.

    Args:
        pieces: the measured layers.
        max_params: larger layers are left out; so are those with one run or a diverged one.

    Returns:
        The best measured layer by condition; a condition without a candidate is missing.
    """
    best: dict[tuple[Any, ...], MeasuredLayer] = {}
    for piece in pieces:
        if piece.value.count > 1 and not piece.diverged and piece.layer.num_params <= max_params:
            other = best.setdefault(piece.condition, piece)
            if _better(piece.task, piece.value.mean, other.value.mean):
                best[piece.condition] = piece
    return best


def best_means(pieces: Iterable[MeasuredLayer], max_params: int) -> dict[tuple[Any, ...], float]:
    """Find the best mean under each condition, including layers with a single run.

    Args:
        pieces: the measured layers.
        max_params: larger layers count only under conditions where every layer is larger.

    Returns:
        The best mean by condition.
    """
    found: dict[tuple[Any, ...], tuple[bool, float]] = {}
    for piece in pieces:
        fits, mean = piece.layer.num_params <= max_params, piece.value.mean
        known, best = found.setdefault(piece.condition, (fits, mean))
        if fits > known or (fits == known and _better(piece.task, mean, best)):
            found[piece.condition] = (fits, mean)
    return {condition: mean for condition, (_, mean) in found.items()}


def told_worse(piece: MeasuredLayer, best: MeasuredLayer) -> bool:
    """Return whether `piece` is significantly worse than `best`, or a run of it diverged.

    It is worse where its 95% interval is wholly on the wrong side of that of `best`. Nothing is
    concluded where the two intervals overlap.
    """
    minimize = TASK_METRICS[piece.task][1] == "minimize"
    apart = piece.value.low > best.value.high if minimize else piece.value.high < best.value.low
    return bool(apart) or piece.diverged > 0


def level_with(piece: MeasuredLayer, best: MeasuredLayer) -> bool:
    """Return whether the mean of `piece` is in the interval of `best` and no run of it diverged."""
    return best.value.low <= piece.value.mean <= best.value.high and not piece.diverged


def _better(task: str, value: float, other: float) -> bool:
    return value < other if TASK_METRICS[task][1] == "minimize" else value > other


def kind_of(layer: Layer) -> tuple[str, tuple[int, ...]]:
    """Return the decomposition of a layer, and the largest value of each of its rank settings.

    Degenerate block terms are named after what they are: with R = 1 they are "cp", with N = 1
    "tucker".
    """
    largest = [max(v) if isinstance(v := getattr(layer, n), tuple) else v for n in layer.RANKS]
    if layer.name == "block_term":
        tucker_rank, blocks = largest
        if tucker_rank == 1:
            return "cp", (blocks,)
        if blocks == 1:
            return "tucker", (tucker_rank,)
    return layer.name, tuple(largest)


def distances(layers: Sequence[Layer], cell: str | None, pieces: Sequence[MeasuredLayer]) -> Steps:
    """Return how many steps each candidate layer is away from each measured one.

    One step is a doubling of the parameters, of a largest rank, of the input or of the output, or
    one more or less in core order (for a ring in n or m, whichever differs more). Another cell is
    one step too. The distance to another decomposition is infinite.

    Args:
        layers: the candidates.
        cell: the cell of the candidates, None for a bare map.
        pieces: the measured layers.

    Returns:
        The numbers of steps, shape (layers, pieces).
    """
    here, there = [_place(layer) for layer in layers], [_place(piece.layer) for piece in pieces]
    found = np.full((len(layers), len(pieces)), np.inf)
    for kind in {kind for kind, _ in there}:
        rows = [k for k, (other, _) in enumerate(here) if other == kind]
        columns = [k for k, (other, _) in enumerate(there) if other == kind]
        ours, theirs = (
            np.array([p[k][1] for k in at]) for p, at in ((here, rows), (there, columns))
        )
        if rows:
            apart = np.abs(ours[:, None, :] - theirs[None, :, :])
            found[np.ix_(rows, columns)] = apart[..., :2].max(-1) + apart[..., 2:].sum(-1)
    found += np.array([float(piece.cell != cell) for piece in pieces])
    return found


def _place(layer: Layer) -> tuple[str, tuple[float, ...]]:
    """Return the kind of a layer and its coordinates: n, m, then the logarithms of its sizes."""
    kind, ranks = kind_of(layer)
    doubled = (layer.num_params, layer.in_features, layer.out_features, *ranks)
    orders = (len(layer.in_modes), len(layer.out_modes))
    return kind, (*orders, *(math.log2(number) for number in doubled))
