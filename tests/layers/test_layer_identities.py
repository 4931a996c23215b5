"""Where one decomposition degenerates into another, both give the same map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rankbench.layers import (
    CP,
    LAYERS,
    BlockTerm,
    Dense,
    Layer,
    LowRank,
    TensorRing,
    TensorTrain,
    Tucker,
)
from rankbench.layers.base import PLANS
from tests.helpers.layer_examples import KERNELS_HERE, module, set_cores

quickly = settings(max_examples=25)
modes = st.integers(1, 4)
ranks = st.integers(1, 4)
paired = st.integers(1, 4).flatmap(
    lambda d: st.tuples(
        st.tuples(*[modes] * d), st.tuples(*[modes] * d), st.tuples(*[ranks] * d), st.just(d)
    )
)
rings = st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda sizes: st.tuples(
        st.tuples(*[modes] * sizes[0]),
        st.tuples(*[modes] * sizes[1]),
        st.tuples(*[ranks] * (sum(sizes) - 1)),
    )
)
ways = st.fixed_dictionaries(
    {"plan": st.sampled_from(PLANS), "kernel": st.sampled_from(KERNELS_HERE)}
)


def assert_same_map(one: Layer, cores: Mapping[str, Tensor], other: Layer, seed: int = 0) -> None:
    """Both layers map alike, to 1e-10 in float64: outputs, dense weights, gradients of x.

    `one` is drawn from `seed` and keeps its values where `cores` does not say otherwise; `other`
    gets them by name and shape.
    """
    left, right = module(one, seed), module(other, seed + 1)
    values = {**left.cores, **cores}
    set_cores(left, {name: values[name] for name in left.cores})
    set_cores(right, {name: values[name] for name in right.cores})
    shape = (3, one.in_features)
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x.requires_grad_()
    outputs = [left(x), right(x)]
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in outputs]
    for a, b in (outputs, gradients, [left.to_dense(), right.to_dense()]):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    assert left.to_dense().abs().max() > 0


@quickly
@given(paired, ranks, ways)
def test_block_term_of_tucker_rank_1_is_cp(shape: Any, terms: int, way: dict[str, str]) -> None:
    in_modes, out_modes, _, d = shape
    common = {"in_modes": in_modes, "out_modes": out_modes, **way}
    one = BlockTerm(**common, tucker_rank=1, cp_rank=terms)
    weights = torch.ones(terms, *(1,) * d, dtype=torch.float64)
    cp = CP(**common, cp_rank=terms)
    assert_same_map(one, {"G": weights}, cp)
    assert one.num_params == cp.num_params + terms


@quickly
@given(paired, ways)
def test_block_term_of_one_block_is_tucker(shape: Any, way: dict[str, str]) -> None:
    in_modes, out_modes, tucker_rank, _ = shape
    common = {"in_modes": in_modes, "out_modes": out_modes, **way}
    one = BlockTerm(**common, tucker_rank=tucker_rank, cp_rank=1)
    tucker = Tucker(**common, tucker_rank=tucker_rank)
    assert_same_map(one, {}, tucker)
    assert one.num_params == tucker.num_params


@quickly
@given(rings, ways)
def test_ring_opened_by_rank_1_is_a_train_over_all_its_cores(
    shape: Any, way: dict[str, str]
) -> None:
    in_modes, out_modes, inner = shape
    ring = TensorRing(in_modes=in_modes, out_modes=out_modes, tr_ranks=(1, *inner), **way)
    train = TensorTrain(
        in_modes=(*in_modes, *(1,) * len(out_modes)),
        out_modes=(*(1,) * len(in_modes), *out_modes),
        tt_ranks=(1, *inner, 1),
        **way,
    )
    assert_same_map(ring, {}, train)
    assert ring.num_params == train.num_params


@quickly
@given(modes, modes, ranks)
def test_ring_of_two_cores_opened_by_rank_1_is_low_rank(i: int, j: int, rank: int) -> None:
    ring = TensorRing(in_modes=(i,), out_modes=(j,), tr_ranks=(1, rank))
    low_rank = LowRank(in_modes=(i,), out_modes=(j,), rank=rank)
    linear = module(ring)
    cores = {"A": linear.cores["G1"][0].detach().T, "B": linear.cores["G2"][..., 0].detach().T}
    other = module(low_rank)
    set_cores(other, cores)
    torch.testing.assert_close(linear.to_dense(), other.to_dense(), rtol=0, atol=1e-10)
    assert ring.num_params == low_rank.num_params


@quickly
@given(modes, modes, st.sampled_from(["cp", "tucker", "block_term", "tensor_train"]))
def test_one_mode_is_dense(i: int, j: int, name: str) -> None:
    settings_of_one = dict.fromkeys(LAYERS[name].RANKS, 1)
    layer = LAYERS[name](in_modes=(i,), out_modes=(j,), **settings_of_one)
    dense = module(Dense(in_modes=(i,), out_modes=(j,)), seed=3)
    linear = module(layer)
    first, *rest = layer.cores()
    values = {core.name: torch.ones_like(linear.cores[core.name]) for core in rest}
    set_cores(linear, {first.name: dense.cores["W"].detach().T, **values})
    torch.testing.assert_close(linear.to_dense(), dense.to_dense(), rtol=0, atol=1e-10)
    x = torch.eye(i, dtype=torch.float64)
    torch.testing.assert_close(linear(x), dense(x), rtol=0, atol=1e-10)
    assert layer.num_params == i * j + len(rest)


@quickly
@given(paired, ranks)
def test_terms_of_cp_and_blocks_of_block_term_add_up(shape: Any, terms: int) -> None:
    in_modes, out_modes, tucker_rank, _ = shape
    common = {"in_modes": in_modes, "out_modes": out_modes}
    for layer, part in (
        (CP(**common, cp_rank=terms), CP(**common, cp_rank=1)),
        (
            BlockTerm(**common, tucker_rank=tucker_rank, cp_rank=terms),
            BlockTerm(**common, tucker_rank=tucker_rank, cp_rank=1),
        ),
    ):
        whole, single = module(layer), module(part)
        total = torch.zeros(layer.out_features, layer.in_features, dtype=torch.float64)
        for n in range(terms):
            set_cores(single, {k: core[n : n + 1].detach() for k, core in whole.cores.items()})
            total += single.to_dense().detach()
        torch.testing.assert_close(whole.to_dense().detach(), total, rtol=0, atol=1e-10)


@quickly
@given(rings, st.integers(1, 4))
def test_a_ring_may_be_turned(shape: Any, first: int) -> None:
    """Reversing the chain reverses modes and ranks: W of a ring has no first core."""
    in_modes, out_modes, inner = shape
    ring = TensorRing(in_modes=in_modes, out_modes=out_modes, tr_ranks=(first, *inner))
    turned = TensorRing(in_modes=out_modes, out_modes=in_modes, tr_ranks=_turn(ring))
    linear, other = module(ring), module(turned)
    values = list(linear.cores.values())
    order = values[len(in_modes) :] + values[: len(in_modes)]
    set_cores(other, {f"G{k}": core.detach() for k, core in enumerate(order, 1)})
    torch.testing.assert_close(linear.to_dense(), other.to_dense().T, rtol=0, atol=1e-10)


def _turn(ring: TensorRing) -> tuple[int, ...]:
    n = len(ring.in_modes)
    return ring.ranks[n:] + ring.ranks[:n]
