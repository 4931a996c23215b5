"""Contractions as matrix products of torch: which dimensions go where, and when one is copied.

A stage is `right`, U = T W with T as (kept, free, summed), or `left`, U = W T with T as
(outer, summed, inner). A layout is chosen so that large tensors are seldom permuted.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rankbench.layers.contraction.einsum import elements
from rankbench.layers.contraction.stages import ROWS, Contraction, Stage
from rankbench.layers.kernels.target import Target
from rankbench.layers.network import Indices

_BEAM = 4


@dataclass(frozen=True)
class StageProduct:
    """One stage as a product: how T is arranged, W's order of indices, and U's.

    `parts`: T's indices in three blocks, (kept, free, summed) of a right product or (outer,
    summed, inner) of a left one. W: kept + summed + made if right and batched, else made +
    summed. `copies`: whether T must be permuted in memory.
    """

    stage: Stage
    side: str
    parts: tuple[Indices, Indices, Indices]
    weight: Indices
    after: Indices
    copies: bool


@dataclass(order=True)
class _State:
    seconds: float
    products: tuple[StageProduct, ...] = field(compare=False)
    order: Indices = field(compare=False)


@functools.lru_cache(maxsize=4096)
def layout(contraction: Contraction, rows: int, target: Target) -> tuple[StageProduct, ...]:
    """The products of every stage, arranged for the least estimated time."""
    network = contraction.network
    sizes = {**network.sizes, ROWS: rows}
    states = [_State(0.0, (), (ROWS, *network.in_indices))]
    output = (ROWS, *network.out_indices)
    for place, stage in enumerate(contraction.stages):
        last = place + 1 == len(contraction.stages)
        following = None if last else contraction.stages[place + 1]
        grown = [
            _State(state.seconds + seconds, (*state.products, product), product.after)
            for state in states
            for product in _products(stage, state.order, following, output, sizes)
            for seconds in [product_seconds(product, sizes, target, last and output)]
        ]
        best: dict[Indices, _State] = {}
        for state in sorted(grown):
            best.setdefault(state.order, state)
        states = heapq.nsmallest(_BEAM, best.values())
    return states[0].products


def _products(
    stage: Stage,
    order: Indices,
    following: Stage | None,
    output: Indices,
    sizes: Mapping[str, int],
) -> Iterator[StageProduct]:
    kept, free, summed = (
        tuple(label for label in order if label in part)
        for part in (stage.kept, stage.free, stage.summed)
    )
    for made in _orders_of_made(stage, following, output):
        right = (kept, free, summed)
        weight = (*kept, *summed, *made) if kept else (*made, *summed)
        copies = not _viewable(right, order, sizes)
        yield StageProduct(stage, "right", right, weight, (*kept, *free, *made), copies)
        if summed and not kept:
            for left in _left(order, free, summed):
                after = (*left[0], *made, *left[2])
                copies = not _viewable(left, order, sizes)
                yield StageProduct(stage, "left", left, (*made, *summed), after, copies)


def _left(
    order: Indices, free: Indices, summed: Indices
) -> Iterator[tuple[Indices, Indices, Indices]]:
    """T as (outer, summed, inner) where that needs no copy: summed in the middle, or at the end."""
    places = [order.index(label) for label in summed]
    first, end = min(places), max(places) + 1
    if end - first == len(summed):
        outer, inner = order[:first], order[end:]
        if inner:
            yield outer, summed, inner
        elif len(free) > 1:
            yield free[:-1], summed, free[-1:]


def _orders_of_made(stage: Stage, following: Stage | None, output: Indices) -> Iterable[Indices]:
    """Sensible orders of W's own indices: the next stage's kept and summed ones lie together."""
    if following is None:
        return [tuple(label for label in output if label in stage.made)]
    blocks = [
        tuple(label for label in stage.made if label in part)
        for part in (following.kept, following.free, following.summed)
    ]
    some = [block for block in blocks if block]
    return [tuple(itertools.chain(*blocks)) for blocks in itertools.permutations(some)]


def _viewable(
    parts: tuple[Indices, Indices, Indices], order: Indices, sizes: Mapping[str, int]
) -> bool:
    """Whether a contiguous tensor is a batch of matrices in these parts without a copy."""
    strides, step = {}, 1
    for label in reversed(order):
        strides[label] = step
        step *= sizes[label]
    ends = []
    for part in parts:
        longer = [label for label in part if sizes[label] > 1]
        for a, b in itertools.pairwise(longer):
            if strides[a] != strides[b] * sizes[b]:
                return False
        ends.append(strides[longer[-1]] if longer else 1)
    return 1 in ends[1:]


def product_seconds(
    product: StageProduct, sizes: Mapping[str, int], target: Target, output: Indices | bool = False
) -> float:
    """Estimated seconds of one forward of `product`; `output` is the order it must end in."""
    speed, stage = target.speed, product.stage
    made = elements(stage.made, sizes)
    one, two, three = (elements(part, sizes) for part in product.parts)
    batch, m, n, k = (one, two, made, three) if product.side == "right" else (one, made, three, two)
    if product.side == "right" and not stage.kept:
        batch, m = 1, two
    efficiency = 1.0
    for size in (m, n, k):
        efficiency *= size / (size + speed.small)
    if made % 8:
        efficiency *= speed.uneven
    flops = 2 * batch * m * n * k
    moved = batch * (m * k + m * n) * (3 if product.copies else 1)
    if output and product.after != output:
        moved += 2 * batch * m * n
    seconds = flops / (speed.gemm * efficiency * target.threads)
    return seconds + target.itemsize * moved / speed.memory + 4 * speed.call_s
