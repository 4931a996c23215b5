"""Measure whether the planner's choice is among the fastest contractions of a layer."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rankbench.layers import Layer
from rankbench.layers.base import PLANS
from rankbench.layers.kernels.target import Target
from rankbench.layers.planning.choice import Choice, choices
from rankbench.layers.planning.tuning import time_choices
from rankbench.layers.settings import LayerSettings

UCF11 = {"in_modes": (8, 20, 20, 18), "out_modes": (4, 4, 4, 4)}
RING = {"in_modes": (4, 2, 5, 8, 6, 5, 3, 2), "out_modes": (4, 4, 2, 4, 2)}
FEATURES = {"in_modes": (32, 64), "out_modes": (32, 64), "tr_ranks": (40, 60, 48, 48)}

CORE_ORDERS = (2, 3, 4, 6, 8)
SIZES = ((1, 16, 4096, 256), (4, 256, 4096, 256), (16, 64, 1024, 512), (8, 4096, 256, 256))
_MOST_RANKS = 20_000  # Largest number of elements of a Tucker core.
_RANKS: dict[str, Any] = {
    "cp": lambda rank: {"cp_rank": rank},
    "tucker": lambda rank: {"tucker_rank": rank},
    "block_term": lambda rank: {"tucker_rank": rank, "cp_rank": 2},
    "tensor_train": lambda rank: {"tt_ranks": rank},
    "tensor_ring": lambda rank: {"tr_ranks": rank},
}
# A named plan whose predicted time exceeds that of the choice by this factor is not timed.
_HOPELESS = 6.0
_BY_KERNEL = 3  # Number of the best predictions of each kernel that are timed.


@dataclass(frozen=True)
class Shape:
    """A layer and the number of input rows."""

    layer: Layer
    rows: int

    @property
    def name(self) -> str:
        """Name for people: "tensor_train 4096 -> 256, d=4, ranks 1 4 4 4 1, 256 rows"."""
        layer = self.layer
        ranks = list(dict.fromkeys(layer.ranks))
        return (
            f"{layer.name} {layer.in_features} -> {layer.out_features}, d={layer.core_order}, "
            f"ranks {' '.join(map(str, ranks))}, {self.rows} rows"
        )


@dataclass(frozen=True)
class Verdict:
    """The measured times of the planner's choice and of its alternatives."""

    shape: Shape
    """Layer and rows."""
    timed: tuple[tuple[Choice, list[float]], ...]
    """The choice, then its alternatives, each with its times in seconds."""

    @property
    def chosen_s(self) -> float:
        """Median seconds of forward and backward pass of the planner's choice."""
        return statistics.median(self.timed[0][1])

    @property
    def best(self) -> tuple[Choice, float]:
        """The fastest contraction and its median seconds."""
        medians = [(choice, statistics.median(times)) for choice, times in self.timed if times]
        return min(medians, key=lambda pair: pair[1])

    @property
    def ratio(self) -> float:
        """Time of the choice divided by that of the fastest, 1 if the choice is the fastest."""
        return self.chosen_s / self.best[1]


def shapes() -> list[Shape]:
    """Return the papers' maps, and all decompositions over core-orders, ranks, rows and sizes."""
    return [*_published(), *_grid()]


def _published() -> Iterator[Shape]:
    maps: list[tuple[int, int, dict[str, Any]]] = [
        *(
            (57600, 256, {"decomposition": "block_term", "tucker_rank": R, "cp_rank": 2, **UCF11})
            for R in (1, 2, 4)
        ),
        (57600, 256, {"decomposition": "tensor_train", "tt_ranks": 4, **UCF11}),
        (57600, 256, {"decomposition": "tensor_ring", "tr_ranks": (10, *[5] * 12), **RING}),
        (2048, 2048, {"decomposition": "tensor_ring", **FEATURES}),
    ]
    for rows, (features, hidden, settings) in itertools.product((96, 384), maps):
        yield Shape(LayerSettings(**settings).resolve(features, hidden, gates=4), rows)


def _grid() -> Iterator[Shape]:
    for d, name, (rank, rows, features, outputs) in itertools.product(CORE_ORDERS, _RANKS, SIZES):
        core = name in ("tucker", "block_term")
        ranks = _RANKS[name](2 if core and rank**d > _MOST_RANKS else rank)
        settings = LayerSettings(decomposition=name, core_order=d, **ranks)
        yield Shape(settings.resolve(features, outputs), rows)
    for rank in (1, 16):
        yield Shape(LayerSettings(decomposition="low_rank", rank=rank).resolve(4096, 1024), 64)


def judge(shape: Shape, target: Target, budget_s: float) -> Verdict:
    """Time the planner's choice, the best predictions of each kernel, and the named plans.

    Args:
        shape: Layer and rows.
        target: The machine and type that is planned for.
        budget_s: Seconds for all measurements together.
    """
    ranked = choices(replace(shape.layer, plan="auto"), shape.rows, target)
    candidates = [ranked[0]]
    for kernel in ("torch", "native"):
        candidates += [choice for choice in ranked if choice.kernel == kernel][:_BY_KERNEL]
    for plan in PLANS:
        named = choices(replace(shape.layer, plan=plan), shape.rows, target)
        candidates += [c for c in named[:2] if c.seconds < _HOPELESS * ranked[0].seconds]
    unique = {(c.contraction.groups, c.kernel): c for c in reversed(candidates)}
    contenders = sorted(unique.values(), key=lambda c: c is not ranked[0])
    return Verdict(shape, tuple(time_choices(contenders, shape.rows, target, budget_s)))
