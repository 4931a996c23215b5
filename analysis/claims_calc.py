"""What can be worked out without a measurement, for claims that arithmetic decides.

A function gives the number a paper should have printed, or whether its statement holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.comparisons import published_layer
from analysis.published import PUBLISHED_RESULTS, Published
from harness.layers import CP, BlockTerm, Dense, Layer, TensorRing, TensorTrain, Tucker


@dataclass(frozen=True)
class Fact:
    """Whether a statement holds, and the numbers that say so."""

    holds: bool
    says: str


def num_params(model: str) -> float:
    """Parameters of the input map of a published model."""
    return float(_published(model).layer.num_params)


def compression_ratio(model: str) -> float:
    """How often they go into the dense map."""
    return _published(model).layer.compression_ratio


def product(*factors: float) -> float:
    """The product of numbers."""
    return math.prod(factors)


def fewer(model: str, other: str) -> float:
    """Parameters of `other` over those of `model`."""
    return num_params(other) / num_params(model)


def gap(task: str, metric: str, source: str, model: str, other: str) -> float:
    """A published result of `model` less that of `other`."""
    return _result(task, metric, source, model) - _result(task, metric, source, other)


def quotient(task: str, metric: str, source: str, model: str, other: str) -> float:
    """A published result of `model` over that of `other`."""
    return _result(task, metric, source, model) / _result(task, metric, source, other)


def least_squares_rmse(noise: float, input_variance: float, samples: int, features: int) -> float:
    """Expected RMSE of W by least squares: sqrt(noise / input_variance / (samples - features - 1)).

    The expectation of an inverse Wishart matrix, for x ~ N(0, input_variance I).
    """
    return math.sqrt(noise / input_variance / (samples - features - 1))


def bound_is_lower(model: str) -> Fact:
    """Whether the order of time that BT Table 1 gives a model forward is below the dense I J."""
    layer = _published(model).layer
    share = _bound(layer) / layer.out_features
    return Fact(share < 1, f"the order is {share:g} times I J")


def bounds_alike(factor: float, orders: list[int], ranks: list[int]) -> Fact:
    """Whether the times of BT (N=1) and TT in BT Table 1 differ by less than `factor` throughout.

    N d I R^d J_max over d I R^2 J_max is R^(d - 2).
    """
    most = max(rank ** abs(d - 2) for d in orders for rank in ranks)
    return Fact(most < factor, f"R^(d-2) is up to {most}")


def more_compact(model: str, *others: str) -> Fact:
    """Whether the map of a published model has fewer parameters than those of all `others`."""
    counts = [int(num_params(name)) for name in (model, *others)]
    return Fact(
        counts[0] < min(counts[1:]), f"{counts[0]} against {', '.join(map(str, counts[1:]))}"
    )


def block_term_is_tucker() -> Fact:
    """A block term of N=1 has the parameters of a Tucker layer, for any d and R."""
    cases = [(d, rank) for d in range(1, 7) for rank in range(1, 5)]
    found = [
        _block(d, rank, 1) == Tucker(**_modes(d), tucker_rank=rank).num_params for d, rank in cases
    ]
    return _all(found)


def block_term_is_cp() -> Fact:
    """A block term of R=1 has the parameters of a CP layer of rank N, and a weight for each."""
    cases = [(d, blocks) for d in range(1, 7) for blocks in range(1, 5)]
    found = [_block(d, 1, n) == CP(**_modes(d), cp_rank=n).num_params + n for d, n in cases]
    return _all(found)


def linear_in_blocks() -> Fact:
    """The parameters of a block term grow in proportion to N."""
    cases = [(d, blocks) for d in range(1, 7) for blocks in range(1, 9)]
    return _all([_block(d, 3, n) == n * _block(d, 3, 1) for d, n in cases])


def ring_of_one_is_train() -> Fact:
    """A ring with R_0 = 1 has the parameters of a train over its n + m cores."""
    ranks = (1, 3, 4, 2)
    ring = TensorRing(in_modes=(4, 5), out_modes=(3, 2), tr_ranks=ranks)
    sizes = (*ring.in_modes, *ring.out_modes)
    ends = (*ranks[1:], 1)
    train = sum(left * i * right for left, i, right in zip(ranks, sizes, ends, strict=True))
    return _all([ring.num_params == train])


def dense_at_order_one() -> Fact:
    """A block term of d=1, R=1, N=1 has the dense matrix, and one weight."""
    return _all([_block(1, 1, 1) == Dense(**_modes(1)).num_params + 1])


def _all(found: Sequence[bool]) -> Fact:
    return Fact(all(found), f"{sum(found)} of {len(found)} cases")


def _bound(layer: Layer) -> float:
    """The order of time over I in BT Table 1, forward."""
    d, largest = layer.core_order, max(layer.out_modes)
    if isinstance(layer, BlockTerm):
        rank, blocks = max(layer.ranks[:-1]), layer.ranks[-1]
        return float(blocks * d * rank**d * largest)
    if isinstance(layer, TensorTrain):
        return d * max(layer.ranks) ** 2 * largest
    raise ValueError(f"bound_is_lower: BT Table 1 has no order for a map that is {layer.name}")


def _modes(order: int) -> dict[str, Any]:
    return {"in_modes": (4,) * order, "out_modes": (3,) * order}


def _block(order: int, rank: int, blocks: int) -> int:
    return BlockTerm(**_modes(order), tucker_rank=rank, cp_rank=blocks).num_params


def _published(model: str) -> Published:
    found = published_layer(model)
    if found is None:
        raise ValueError(f"no published map is named {model!r}")
    return found


def _result(task: str, metric: str, source: str, model: str) -> float:
    found = [
        result.value
        for result in PUBLISHED_RESULTS
        if (result.task, result.model, result.metric) == (task, model, metric)
        and result.source.startswith(source)
    ]
    if len(found) != 1:
        raise ValueError(f"{len(found)} results are {metric} of {model} in {source}, not one")
    return found[0]


CALCS: dict[str, Callable[..., float | Fact]] = {
    "num_params": num_params,
    "compression_ratio": compression_ratio,
    "product": product,
    "fewer": fewer,
    "gap": gap,
    "quotient": quotient,
    "least_squares_rmse": least_squares_rmse,
    "bound_is_lower": bound_is_lower,
    "bounds_alike": bounds_alike,
    "more_compact": more_compact,
    "block_term_is_tucker": block_term_is_tucker,
    "block_term_is_cp": block_term_is_cp,
    "linear_in_blocks": linear_in_blocks,
    "ring_of_one_is_train": ring_of_one_is_train,
    "dense_at_order_one": dense_at_order_one,
}
