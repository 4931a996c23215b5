"""How the native kernel walks a contraction: its stages lowered to tables of offsets.

Per row, T is kept in the order kept, free, made of the stage that left it, row-major, `made`
padded to whole vectors. A stage reads T at ho[h] + fo[f] + ko[k], so nothing is ever permuted.
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
TILE = 40 << 10  # numbers that a tile's tensors may take: they stay in a second-level cache
KEEP = 2.0  # numbers kept for the backward pass, at most this many times the input's
KEEPING = 44  # FLOPs that take as long as writing a number to memory and reading it back


@dataclass(frozen=True, eq=False)
class Lowered:
    """One stage: sizes, offsets into T (ho, fo, ko), W's order, and `made` padded to `width`."""

    sizes: tuple[int, int, int, int]
    offsets: tuple[Offsets, Offsets, Offsets]
    run: int
    weight: Indices
    width: int

    @property
    def result(self) -> int:
        """Numbers that the stage leaves of one tile or row."""
        h, f, _, _ = self.sizes
        return h * f * self.width


@dataclass(frozen=True, eq=False)
class Chain:
    """All stages; those before `split` run once for each tile, which begins at `tiles`.

    The output is read at `uo` of the last result and written at `yo`. `keep`: whether the result
    of stage split - 1 is kept for the backward pass, in place of being made again.
    """

    stages: tuple[Lowered, ...]
    split: int
    tiles: Offsets
    uo: Offsets
    yo: Offsets
    keep: bool

    @property
    def joined(self) -> int:
        """Numbers of one row that stage split - 1 leaves, over all tiles."""
        return len(self.tiles) * self.stages[self.split - 1].result


@functools.lru_cache(maxsize=1024)
def lower(contraction: Contraction) -> Chain:
    """Offsets and tiles of every stage, for any number of rows."""
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
    """A stage that reads T at `strides`, and the strides of what it leaves."""
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
    """How many leading input modes are tiled, and before which stage the tiles are joined.

    As few modes as keep a tile's tensors within TILE, joined after the stage whose result is the
    best to keep for the backward pass: costly to make again, and small.
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
    """W's own indices: those that the next stage sums come last, so that it reads runs of them."""
    if following is None:
        return tuple(label for label in output if label in stage.made)
    rank = dict.fromkeys(following.summed, 2) | dict.fromkeys(following.kept, 0)
    return tuple(sorted(stage.made, key=lambda label: rank.get(label, 1)))


def _row_major(order: Indices, sizes: Mapping[str, int]) -> dict[str, int]:
    return {label: elements(order[place + 1 :], sizes) for place, label in enumerate(order)}


def _offsets(order: Indices, strides: Mapping[str, int], sizes: Mapping[str, int]) -> Offsets:
    """Offsets of every combination of `order`'s indices, row-major."""
    total = np.zeros(1, dtype=np.int64)
    for label in order:
        total = (total[:, None] + np.arange(sizes[label]) * strides[label]).ravel()
    return total.astype(np.int32)


def _run(offsets: Offsets) -> int:
    """The longest run of neighbours that offsets come in, all runs being as long."""
    breaks = np.flatnonzero(np.diff(offsets) != 1) + 1
    return math.gcd(len(offsets), *(int(b) for b in breaks))
