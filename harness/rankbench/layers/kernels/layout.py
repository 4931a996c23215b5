"""Lay out the stages of a contraction as matrix products of torch that seldom copy large tensors.

A stage is either a `right` product, U = T W with T as (kept, free, summed), or a `left` product,
U = W T with T as (outer, summed, inner).
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

_BEAM = 4  # The partial layouts that the search keeps after each stage.


@dataclass(frozen=True)
class StageProduct:
    """One stage as a matrix product U = T W or U = W T."""

    stage: Stage
    """The stage."""
    side: str
    """`right` for U = T W, `left` for U = W T."""
    parts: tuple[Indices, Indices, Indices]
    """T's indices in three blocks: (kept, free, summed) for `right`, (outer, summed, inner) for
    `left`."""
    weight: Indices
    """W's indices in order: kept + summed + made for a `right` product with kept indices (a
    batched product), else made + summed."""
    after: Indices
    """U's indices in order."""
    copies: bool
    """Whether T must be permuted in memory."""


@dataclass(order=True)
class _State:
    """A partial layout in the search; states compare by their time."""

    seconds: float
    products: tuple[StageProduct, ...] = field(compare=False)
    order: Indices = field(compare=False)


@functools.lru_cache(maxsize=4096)
def layout(contraction: Contraction, rows: int, target: Target) -> tuple[StageProduct, ...]:
    """Return the product of every stage, laid out for the shortest predicted time.

    Args:
        contraction: The stages.
        rows: Number of rows of the input.
        target: Device, dtype and number of threads.
    """
    network = contraction.network
    sizes = {**network.sizes, ROWS: rows}
    states = [_State(0.0, (), (ROWS, *network.in_indices))]
    output = (ROWS, *network.out_indices)
    for place, stage in enumerate(contraction.stages):
        last = place + 1 == len(contraction.stages)
        following = None if last else contraction.stages[place + 1]
        final_order = output if last else None
        grown = [
            _State(state.seconds + seconds, (*state.products, product), product.after)
            for state in states
            for product in _products(stage, state.order, following, output, sizes)
            for seconds in [product_seconds(product, sizes, target, final_order)]
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
    """Yield T as (outer, summed, inner) if its summed indices are neighbours in the middle or last.

    In the middle, T needs no copy.
    """
    places = [order.index(label) for label in summed]
    first, end = min(places), max(places) + 1
    if end - first == len(summed):
        outer, inner = order[:first], order[end:]
        if inner:
            yield outer, summed, inner
        elif len(free) > 1:
            yield free[:-1], summed, free[-1:]


def _orders_of_made(stage: Stage, following: Stage | None, output: Indices) -> Iterable[Indices]:
    """Return the orders of W's own indices that keep those of one role in the next stage together.

    After the last stage there is one order, the output's.
    """
    if following is None:
        return [tuple(label for label in output if label in stage.made)]
    blocks = [
        tuple(label for label in stage.made if label in part)
        for part in (following.kept, following.free, following.summed)
    ]
    filled = [block for block in blocks if block]
    return [tuple(itertools.chain(*order)) for order in itertools.permutations(filled)]


def _viewable(
    parts: tuple[Indices, Indices, Indices], order: Indices, sizes: Mapping[str, int]
) -> bool:
    """Return whether a contiguous tensor can be viewed as a batch of matrices in these parts."""
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
    product: StageProduct,
    sizes: Mapping[str, int],
    target: Target,
    output: Indices | None = None,
) -> float:
    """Predict the seconds of a product in the forward pass.

    Args:
        product: The product.
        sizes: Size of every index, the rows included.
        target: Device, dtype and number of threads.
        output: The order to which the result is permuted, for the last product; None for others.
    """
    speed, stage = target.speed, product.stage
    made = elements(stage.made, sizes)
    first, second, third = (elements(part, sizes) for part in product.parts)
    if product.side == "right":
        batch, m, n, k = first, second, made, third
    else:
        batch, m, n, k = first, made, third, second
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
