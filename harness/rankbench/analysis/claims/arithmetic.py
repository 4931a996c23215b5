"""Statements of the papers that arithmetic decides without any measurement.

Each public function except `published_map` checks one statement, and returns whether it holds and
the numbers that show it. `claims.yaml` names these functions as the `calc` of a claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rankbench.analysis.published import Published
from rankbench.analysis.summaries.comparisons import published_layer
from rankbench.layers import CP, BlockTerm, Dense, Layer, TensorRing, TensorTrain, Tucker
from rankbench.layers.planning.choice import cost as layer_cost


@dataclass(frozen=True)
class Fact:
    """The truth of a statement, and the numbers that show it."""

    holds: bool
    """Whether the statement is true."""
    says: str
    """The numbers in a few words, for tables."""


def bound_is_lower(model: str) -> Fact:
    """Check that the time of a model's forward pass is below the dense I J, by BT Table 1.

    Args:
        model: the name of a published model with a block-term or tensor-train map.

    Raises:
        ValueError: the model is unknown, or BT Table 1 has no order for its decomposition.
    """
    layer = published_map(model).layer
    share = _bound(layer) / layer.out_features
    return Fact(share < 1, f"the order is {share:g} times I J")


def bounds_alike(factor: float, orders: list[int], ranks: list[int]) -> Fact:
    """Check that the times of BT (N = 1) and TT in BT Table 1 differ by less than `factor`.

    Their ratio is N d I R^d J_max / (d I R^2 J_max) = R^(d - 2) for N = 1.

    Args:
        factor: the largest ratio, in either direction, that counts as alike.
        orders: the core orders d to check.
        ranks: the ranks R to check; all combinations with `orders` are checked.
    """
    most = max(rank ** abs(d - 2) for d in orders for rank in ranks)
    return Fact(most < factor, f"R^(d-2) is up to {most}")


def more_compact(model: str, *others: str) -> Fact:
    """Check that the map of a published model has fewer parameters than those of all `others`.

    Raises:
        ValueError: a model is unknown.
    """
    counts = [int(published_map(name).layer.num_params) for name in (model, *others)]
    return Fact(
        counts[0] < min(counts[1:]), f"{counts[0]} against {', '.join(map(str, counts[1:]))}"
    )


def reordering_is_lower(*models: str) -> Fact:
    """Check that BT Eq. 16's last product, I J_max R^d, is below Eq. 11's I J R for every model.

    Raises:
        ValueError: a model is unknown.
    """
    shares = []
    for model in models:
        layer = published_map(model).layer
        rank, largest = max(layer.ranks[:-1]), max(layer.out_modes)
        shares.append(largest * rank**layer.core_order / (layer.out_features * rank))
    return Fact(max(shares) < 1, f"{', '.join(f'{share:g}' for share in shares)} of it")


def input_first_is_cheaper(rows: int, *models: str) -> Fact:
    """Check that the order of BT Eq. 16 takes fewer FLOPs than forming W first, for every model.

    Args:
        rows: the number of rows of the input.
        models: names of published models.

    Raises:
        ValueError: a model is unknown.
    """
    shares = []
    for model in models:
        layer = published_map(model).layer
        first, formed = (
            layer_cost(replace(layer, plan=plan), rows).flops for plan in ("paper", "dense")
        )
        shares.append(first / formed)
    return Fact(max(shares) < 1, f"{', '.join(f'{share:.2g}' for share in shares)} of its FLOPs")


def is_bottleneck(model: str) -> Fact:
    """Check that a ring's input cores leave fewer numbers, R_0 R_n, than the input has features.

    Args:
        model: the name of a published model with a tensor-ring map.

    Raises:
        ValueError: the model is unknown.
    """
    layer = published_map(model).layer
    left = layer.ranks[0] * layer.ranks[len(layer.in_modes)]
    return Fact(left < layer.in_features, f"{left} against {layer.in_features}")


def block_term_is_tucker() -> Fact:
    """Check that a block term with N = 1 has as many parameters as Tucker, for d <= 6, R <= 4."""
    cases = [(d, rank) for d in range(1, 7) for rank in range(1, 5)]
    found = [
        _block(d, rank, 1) == Tucker(**_modes(d), tucker_rank=rank).num_params for d, rank in cases
    ]
    return _all(found)


def block_term_is_cp() -> Fact:
    """Check that a block term with R = 1 has the parameters of a CP layer of rank N, plus N.

    The additional N parameters are the weights of the blocks. Checked for d <= 6 and N <= 4.
    """
    cases = [(d, blocks) for d in range(1, 7) for blocks in range(1, 5)]
    found = [_block(d, 1, n) == CP(**_modes(d), cp_rank=n).num_params + n for d, n in cases]
    return _all(found)


def linear_in_blocks() -> Fact:
    """Check that the parameters of a block term are proportional to N, for d <= 6 and N <= 8."""
    cases = [(d, blocks) for d in range(1, 7) for blocks in range(1, 9)]
    return _all([_block(d, 3, n) == n * _block(d, 3, 1) for d, n in cases])


def ring_of_one_is_train() -> Fact:
    """Check that a ring with R_0 = 1 has the parameters of a tensor train over its n + m cores."""
    ranks = (1, 3, 4, 2)
    ring = TensorRing(in_modes=(4, 5), out_modes=(3, 2), tr_ranks=ranks)
    sizes = (*ring.in_modes, *ring.out_modes)
    ends = (*ranks[1:], 1)
    train = sum(left * i * right for left, i, right in zip(ranks, sizes, ends, strict=True))
    return _all([ring.num_params == train])


def dense_at_order_one() -> Fact:
    """Check that a block term with d = R = N = 1 has the dense parameters plus one weight."""
    return _all([_block(1, 1, 1) == Dense(**_modes(1)).num_params + 1])


def published_map(model: str) -> Published:
    """Return the published input map of a model.

    Raises:
        ValueError: no published map has that name.
    """
    found = published_layer(model)
    if found is None:
        raise ValueError(f"no published map is named {model!r}")
    return found


def _all(found: Sequence[bool]) -> Fact:
    return Fact(all(found), f"{sum(found)} of {len(found)} cases")


def _bound(layer: Layer) -> float:
    """Return the order of the forward time in BT Table 1, divided by I."""
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
