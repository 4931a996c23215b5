"""Lower a contraction to the tables of offsets that the native kernel reads.

A stage leaves its result U for one row in the order kept, free, made, row-major, with `made` padded
to whole vectors. The next stage reads it as T at ho[h] + fo[f] + ko[k], so that no tensor is ever
permuted. Letters: h, f, k, m are the sizes of a stage's kept, free, summed and made indices.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankbench.layers.contraction.einsum import elements
from rankbench.layers.contraction.stages import Contraction, Stage
from rankbench.layers.network import Indices

Offsets = NDArray[np.int32]
TILE = 40 << 10  # Numbers in the tensors of a tile, so that they stay in the second-level cache.
KEEP = 2.0  # Numbers kept for the backward pass, as a multiple of the input's at most.
KEEPING = 44  # FLOPs that take as long as writing a number to memory and reading it again.


@dataclass(frozen=True, eq=False)
class Lowered:
    """One stage as the native kernel runs it."""

    sizes: tuple[int, int, int, int]
    """Numbers of values of the kept, free, summed and made indices: (h, f, k, m)."""
    offsets: tuple[Offsets, Offsets, Offsets]
    """Offsets into T of every value of the kept, free and summed indices: (ho, fo, ko)."""
    run: int
    """Length of the runs of consecutive offsets in ko."""
    weight: Indices
    """W's indices in order: kept, summed, made."""
    width: int
    """m, padded to whole vectors."""

    @property
    def result(self) -> int:
        """Numbers in the stage's result for one tile or row."""
        h, f, _, _ = self.sizes
        return h * f * self.width


@dataclass(frozen=True, eq=False)
class Chain:
    """All stages of a contraction as the native kernel runs them.

    The input of a row is divided into tiles that fit into the cache. The first stages run tile by
    tile; their results are joined, and the other stages run once for a row.
    """

    stages: tuple[Lowered, ...]
    """The stages, in order."""
    split: int
    """Number of stages that run tile by tile."""
    tiles: Offsets
    """Offset into the row of the input at which each tile begins."""
    uo: Offsets
    """Offset into the last stage's result of each number of the output."""
    yo: Offsets
    """Offset into the row of the output of the same number."""
    keep: bool
    """Whether the joined result of the tiles is kept for the backward pass, not computed again."""

    @property
    def joined(self) -> int:
        """Numbers in the joined result of all tiles of one row."""
        return len(self.tiles) * self.stages[self.split - 1].result


@functools.lru_cache(maxsize=1024)
def lower(contraction: Contraction) -> Chain:
    """Return the tables of a contraction, which serve any number of rows."""
    network, stages = contraction.network, contraction.stages
    sizes = network.sizes
    count, split = _tiling(contraction)
    tiled = network.in_indices[:count]
    strides = _row_major(network.in_indices, sizes)
    tiles = _offsets(tiled, strides, sizes)
    lowered = []
    for place, stage in enumerate(stages):
        following = stages[place + 1] if place + 1 < len(stages) else None
        made = _order_of_made(stage, following, network.out_indices)
        free = tuple(label for label in stage.free if label in strides)
        if place < split:
            free = tuple(label for label in free if label not in tiled)
        step, strides = _lower_stage(stage, free, made, strides, sizes)
        if place == split - 1:
            outer = _row_major(tiled, sizes)
            strides |= {label: outer[label] * step.result for label in tiled}
        lowered.append(step)
    keep = len(tiles) * lowered[split - 1].result <= KEEP * network.in_features
    out = network.out_indices
    uo, yo = _offsets(out, strides, sizes), _offsets(out, _row_major(out, sizes), sizes)
    return Chain(tuple(lowered), split, tiles, uo, yo, keep and split < len(stages))


def _lower_stage(
    stage: Stage, free: Indices, made: Indices, strides: Mapping[str, int], sizes: Mapping[str, int]
) -> tuple[Lowered, dict[str, int]]:
    """Return the stage that reads T at `strides`, and the strides of its result."""
    largest_first = [
        sorted(part, key=lambda s: -strides[s]) for part in (stage.kept, free, stage.summed)
    ]
    kept, free, summed = (tuple(part) for part in largest_first)
    h, f, k, m = (elements(part, sizes) for part in (kept, free, summed, made))
    width = -(-m // 8) * 8 if m > 4 else m if m in (1, 2) else 4
    offsets = tuple(_offsets(part, strides, sizes) for part in (kept, free, summed))
    left = _row_major(made, sizes)
    for part, step in ((free, width), (kept, f * width)):
        left |= {label: stride * step for label, stride in _row_major(part, sizes).items()}
    weight = (*kept, *summed, *made)
    return Lowered((h, f, k, m), offsets, _run(offsets[2]), weight, width), left  # type: ignore[arg-type]


def _tiling(contraction: Contraction) -> tuple[int, int]:
    """Choose how many leading input modes number the tiles, and how many stages run tile by tile.

    As few modes are tiled as keep the tensors of a tile within TILE. The tiles are joined after
    the stage whose result is the best one to keep for the backward pass: small, and costly to
    compute again.
    """
    network, stages = contraction.network, contraction.stages
    results, flops = contraction.intermediates(1), contraction.stage_flops(1)
    for count in range(len(network.in_indices)):
        tiled = network.in_indices[:count]
        end = next((p for p, s in enumerate(stages) if set(tiled) & set(s.summed)), len(stages))
        if end == 0:
            break
        best = (count, min(end, max(len(stages) - 1, 1)))
        if sum(results[:end]) // elements(tiled, network.sizes) <= TILE:
            break
    count, end = best

    def gain(split: int) -> float:
        kept = results[split - 1] <= KEEP * network.in_features
        return flops[split - 1] - KEEPING * results[split - 1] if kept else 0.0

    return count, max(range(1, end + 1), key=lambda split: (gain(split), split))


def _order_of_made(stage: Stage, following: Stage | None, output: Indices) -> Indices:
    """Order W's own indices so that the next stage's summed ones come last.

    The next stage then reads runs of neighbours. After the last stage the order is the output's.
    """
    if following is None:
        return tuple(label for label in output if label in stage.made)
    rank = dict.fromkeys(following.summed, 2) | dict.fromkeys(following.kept, 0)
    return tuple(sorted(stage.made, key=lambda label: rank.get(label, 1)))


def _row_major(order: Indices, sizes: Mapping[str, int]) -> dict[str, int]:
    return {label: elements(order[place + 1 :], sizes) for place, label in enumerate(order)}


def _offsets(order: Indices, strides: Mapping[str, int], sizes: Mapping[str, int]) -> Offsets:
    """Return the offset of every combination of the values of `order`'s indices, row-major."""
    total = np.zeros(1, dtype=np.int64)
    for label in order:
        total = (total[:, None] + np.arange(sizes[label]) * strides[label]).ravel()
    return total.astype(np.int32)


def _run(offsets: Offsets) -> int:
    """Return the largest length such that `offsets` consist of runs of so many neighbours."""
    breaks = np.flatnonzero(np.diff(offsets) != 1) + 1
    return math.gcd(len(offsets), *(int(b) for b in breaks))
