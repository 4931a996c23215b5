"""What was measured of layers on a task: means over seeds, and which of them are told apart."""

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

# Runs that differ in one of these, or in the epochs they were given, are not compared.
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
    """A layer and its training under one condition: `value` over the seeds and folds of `runs`.

    `shown`: the condition in words; `diverged`: runs that did, which have no value;
    `config`: the settings of its first run; `seeds`: distinct ones.
    """

    layer: Layer
    task: str
    cell: str | None
    study: str
    shown: str
    condition: tuple[Any, ...]
    value: Interval
    seeds: int
    diverged: int
    config: Mapping[str, Any]

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out of the map."""
        return self.layer.in_features, self.layer.out_features


def doublings(sizes: tuple[int, int], others: tuple[int, int]) -> float:
    """How often sizes are to be doubled or halved, input and output together."""
    return sum(abs(math.log2(a / b)) for a, b in zip(sizes, others, strict=True))


def measured(runs: pd.DataFrame, task: str) -> list[MeasuredLayer]:
    """The layers that `runs` (with COLUMNS and the task's metric) have trained on `task`.

    Exact least squares is no training of a layer, and left out.
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
    """The settings of a run, and those that make its layer and its training, as one text."""
    config = json.loads(text)
    layer = {k: v for k, v in config["layer"].items() if k not in ("plan", "kernel")}
    key = json.dumps([layer, config.get("training")], sort_keys=True)
    return config, key


def layer_of(settings: Mapping[str, Any]) -> Layer:
    """The layer that a run's settings state, contracted as `auto` does."""
    kind = LAYERS[settings["decomposition"]]
    names = ("in_modes", "out_modes", *kind.RANKS)
    return kind(**{name: tupled(settings[name]) for name in names})


def leaders(
    pieces: Iterable[MeasuredLayer], max_params: int
) -> dict[tuple[Any, ...], MeasuredLayer]:
    """The best mean of each condition among layers of at most `max_params` with an interval."""
    best: dict[tuple[Any, ...], MeasuredLayer] = {}
    for piece in pieces:
        if piece.value.count > 1 and not piece.diverged and piece.layer.num_params <= max_params:
            other = best.setdefault(piece.condition, piece)
            if _better(piece.task, piece.value.mean, other.value.mean):
                best[piece.condition] = piece
    return best


def best_means(pieces: Iterable[MeasuredLayer], max_params: int) -> dict[tuple[Any, ...], float]:
    """The best mean of each condition, single runs too, of layers of at most `max_params`.

    Where none is so small, of all.
    """
    found: dict[tuple[Any, ...], tuple[bool, float]] = {}
    for piece in pieces:
        fits, mean = piece.layer.num_params <= max_params, piece.value.mean
        known, best = found.setdefault(piece.condition, (fits, mean))
        if fits > known or (fits == known and _better(piece.task, mean, best)):
            found[piece.condition] = (fits, mean)
    return {condition: mean for condition, (_, mean) in found.items()}


def told_worse(piece: MeasuredLayer, best: MeasuredLayer) -> bool:
    """Whether the interval of `piece` lies wholly on the wrong side of the best's, or it diverged.

    Each is Student's 95% interval: where two overlap nothing is said.
    """
    minimize = TASK_METRICS[piece.task][1] == "minimize"
    apart = piece.value.low > best.value.high if minimize else piece.value.high < best.value.low
    return bool(apart) or piece.diverged > 0


def level_with(piece: MeasuredLayer, best: MeasuredLayer) -> bool:
    """Whether the mean of `piece` lies within the best's interval, and no run of it diverged."""
    return best.value.low <= piece.value.mean <= best.value.high and not piece.diverged


def _better(task: str, value: float, other: float) -> bool:
    return value < other if TASK_METRICS[task][1] == "minimize" else value > other


def kind_of(layer: Layer) -> tuple[str, tuple[int, ...]]:
    """The decomposition of a layer and its largest rank of each setting, degenerate ones named.

    Block terms of R = 1 are CP's, of N = 1 Tucker's.
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
    """Steps from each of `layers`, in a cell, to each piece; infinite to another decomposition.

    A step is a doubling of the parameters, of a largest rank, of the input or of the output; a
    core order more or less (a ring's n or m, whichever is further); and another cell.
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
    """The kind of a layer and where it stands: n, m, and logarithms of what is doubled."""
    kind, ranks = kind_of(layer)
    doubled = (layer.num_params, layer.in_features, layer.out_features, *ranks)
    orders = (len(layer.in_modes), len(layer.out_modes))
    return kind, (*orders, *(math.log2(number) for number in doubled))
