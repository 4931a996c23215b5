"""Contraction plans: what they cost is what runs, and which order they follow."""

from __future__ import annotations

import math
import os
import random
import sys

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from rankbench.layers import LAYERS, Layer, TensorRing
from rankbench.layers.base import PLANS
from rankbench.layers.contraction.einsum import plan_dense, plan_squared_norm
from rankbench.layers.planning.choice import contraction_of
from rankbench.layers.planning.choice import cost as layer_cost
from tests.helpers.layer_examples import SHAPES, examples, label, layer_of, module
from tests.helpers.processes import run

TORCH = [layer for plan in PLANS for layer in examples(plan, "torch")]
BOTH = ("paper", "optimal")
UCF11 = {"in_modes": (8, 20, 20, 18), "out_modes": (16, 4, 4, 4)}
every_decomposition = pytest.mark.parametrize("name", LAYERS)


class Executed(TorchFunctionMode):
    """Counts the FLOPs and the largest result of the products that really run."""

    flops = largest = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if func is torch.einsum:
            terms = args[0].split("->")[0].split(",")
            sizes = {}
            for term, operand in zip(terms, args[1:], strict=True):
                sizes |= dict(zip(term, operand.shape, strict=True))
            assert len(terms) <= 2
            self.flops += 2 * math.prod(sizes.values()) if len(terms) == 2 else 0
        elif func in (torch.bmm, torch.nn.functional.linear):
            self.flops += 2 * result.numel() * (args[0].shape[-1])
        else:
            return result
        self.largest = max(self.largest, result.numel())
        return result


@pytest.mark.parametrize("layer", TORCH, ids=label)
def test_cost_is_what_runs(layer: Layer) -> None:
    linear = module(layer)
    cost = linear.choice(7).contraction.cost(7)  # first: tuning runs products too
    with Executed() as executed:
        linear(torch.zeros(7, layer.in_features, dtype=torch.float64))
    assert (cost.flops, cost.largest_intermediate) == (executed.flops, executed.largest)


@every_decomposition
@pytest.mark.parametrize("plan", ["paper", "optimal", "sequential"])  # no outer products
def test_cost_is_what_torch_counts_in_its_matrix_products(name: str, plan: str) -> None:
    layer = layer_of(name, (4, 3, 2), (2, 3, 5), 2, plan=plan, kernel="torch")
    linear, x = module(layer), torch.zeros(11, 24, dtype=torch.float64)
    with FlopCounterMode(display=False) as counter:
        linear(x)
    assert counter.get_total_flops() == layer_cost(layer, 11).flops


@every_decomposition
def test_optimal_never_costs_more_than_paper(name: str) -> None:
    saved = 0
    for modes in SHAPES.values():
        for rank in (1, 2, 3):
            for rows in (1, 4, 100):
                flops = [layer_cost(layer_of(name, *modes, rank, plan=p), rows).flops for p in BOTH]
                paper, optimal = flops
                assert optimal <= paper
                saved += paper - optimal
    assert (saved > 0) == (name != "dense"), "one core leaves no choice of order"


def cheapest(tensors: list[frozenset[str]], output: frozenset[str], sizes: dict[str, int]) -> int:
    """FLOPs of the best of all pairwise orders, outer products included, by trying them."""
    if len(tensors) == 1:
        return 0
    costs = []
    for b in range(len(tensors)):
        for a in range(b):
            others = [t for k, t in enumerate(tensors) if k not in (a, b)]
            both = tensors[a] | tensors[b]
            kept = both & output.union(*others)
            flops = 2 * math.prod(sizes[s] for s in both)
            costs.append(flops + cheapest([*others, kept], output, sizes))
    return min(costs)


@every_decomposition
@pytest.mark.parametrize("rows", [1, 50])
@pytest.mark.parametrize("shape", ["two", "ones", "three"])
def test_optimal_is_the_cheapest_of_all_orders(name: str, shape: str, rows: int) -> None:
    modes = SHAPES[shape]
    if name == "tensor_ring" and shape == "three":
        modes = ((2, 3, 2), (4, 2))
    layer = layer_of(name, *modes, 2, plan="optimal")
    network = [frozenset(("b", *layer.in_indices)), *(frozenset(c.indices) for c in layer.cores())]
    output, sizes = frozenset(("b", *layer.out_indices)), {"b": rows, **layer.sizes()}
    assert layer_cost(layer, rows).flops == cheapest(network, output, sizes)


# ---- contraction orders


def test_paper_order_of_block_term_is_eq_16() -> None:
    """x with A_1 .. A_d, then the core: each factor trades I_k for J_k R_k."""
    layer = layer_of("block_term", **UCF11, rank=4, plan="paper")
    rows, N, R = 96, 4, 4
    i, j = layer.in_modes, layer.out_modes
    flops, largest = 0, 0
    for k in range(4):
        made, left = math.prod(j[:k]) * R**k, math.prod(i[k:])
        flops += 2 * rows * N * made * left * j[k] * R
        largest = max(largest, rows * N * made * j[k] * R * math.prod(i[k + 1 :]))
    flops += 2 * rows * N * math.prod(j) * R**4
    cost = layer_cost(layer, rows)
    assert (cost.flops, cost.largest_intermediate) == (flops, largest)


def test_paper_order_of_tensor_train_is_left_to_right() -> None:
    layer = layer_of("tensor_train", **UCF11, rank=4, plan="paper")
    i, j, r = layer.in_modes, layer.out_modes, layer.ranks
    flops = sum(
        2 * 96 * math.prod(j[: k + 1]) * r[k] * r[k + 1] * math.prod(i[k:]) for k in range(4)
    )
    assert layer_cost(layer, 96).flops == flops


def test_paper_order_of_tensor_ring_is_eq_11() -> None:
    """x with the input cores, leaving R_0 x R_n a row, then the output cores."""
    i, j, r = (4, 3, 5), (2, 6), (7, 2, 3, 4, 5)
    layer = TensorRing(in_modes=i, out_modes=j, tr_ranks=r, plan="paper")
    inputs = i[0] * i[1] * i[2] * r[0] * r[1]
    inputs += r[0] * i[1] * i[2] * r[1] * r[2] + r[0] * i[2] * r[2] * r[3]
    outputs = r[0] * r[3] * j[0] * r[4] + r[0] * j[0] * r[4] * j[1]
    assert layer_cost(layer, 10).flops == 2 * 10 * (inputs + outputs)
    assert layer_cost(layer, 10).largest_intermediate == 10 * r[0] * r[1] * i[1] * i[2]


def test_optimal_may_be_an_outer_product() -> None:
    """One row, rank 1: A_1 with A_2 first, which share no index but the block's, of size 1."""
    layer = layer_of("block_term", (3, 2), (8, 8), 1, plan="optimal")
    x, a1, a2, g = "b i1 i2", "n i1 j1 r1", "n i2 j2 r2", "n r1 r2"
    network = [frozenset(indices.split()) for indices in (x, a1, a2, g)]
    sizes = {"b": 1, **layer.sizes()}
    assert (
        layer_cost(layer, 1).flops == cheapest(network, frozenset({"b", "j1", "j2"}), sizes) == 364
    )


@pytest.mark.parametrize(
    "modes",
    [
        ((6, 3, 2, 2, 3, 2, 2, 1, 2, 1, 1), (1, 2, 1, 3, 1, 6, 2, 6, 3, 1, 2)),
        ((2, 1, 1, 3, 3, 3, 6, 6, 1, 3, 1), (2, 3, 2, 6, 1, 6, 6, 3, 6, 3, 2)),
    ],
)
def test_optimal_falls_back_to_paper_where_the_search_finds_worse(modes: tuple) -> None:
    for name in ("cp", "block_term"):
        costs = [layer_cost(layer_of(name, *modes, 1, plan=plan), 1000) for plan in BOTH]
        assert costs[1].flops <= costs[0].flops


def test_plans_are_pairwise_and_cover_every_core() -> None:
    for layer in TORCH:
        cores = len(layer.cores())
        found = contraction_of(layer, 3)
        assert sorted(place for group in found.groups for place in group) == list(range(cores))
        merges = [
            (plan, len(group)) for plan, group in zip(found.merges(), found.groups, strict=True)
        ]
        for plan, tensors in (
            *merges,
            (plan_dense(layer.network), cores),
            (plan_squared_norm(layer.network), 2 * cores),
        ):
            assert len(plan.steps) == max(tensors - 1, 1)
            assert all(len(step.positions) <= 2 for step in plan.steps)


SHOW_PLANS = """
from rankbench.layers import BlockTerm, TensorRing
from rankbench.layers.contraction.einsum import plan_squared_norm
from rankbench.layers.planning.choice import contraction_of
for plan in ("paper", "optimal", "auto"):
    small = TensorRing(in_modes=(2, 2, 2), out_modes=(2, 2), tr_ranks=2, plan=plan)
    large = BlockTerm(in_modes=(2,)*11, out_modes=(2,)*11, tucker_rank=2, cp_rank=2, plan=plan)
    print(contraction_of(small, 4), contraction_of(large, 4).merges())
    print(plan_squared_norm(small.network))
"""


def test_plans_are_the_same_in_every_process() -> None:
    """Sets of text are walked in an order that changes with the hash seed; plans must not."""
    shown = [
        run([sys.executable, "-c", SHOW_PLANS], env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert shown[0] == shown[1]
    assert "equation" in shown[0]


def test_planning_leaves_pythons_random_numbers_alone() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    layer_cost(layer_of("cp", (2,) * 12, (2,) * 12, 3), 3)
    assert random.random() == expected


def test_too_many_modes_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError) as error:
        layer_of("tensor_train", (2,) * 60, (1,) * 60, 2)
    assert str(error.value) == (
        "core_order is too large: in_modes and out_modes have 120 entries, "
        "at most 50 fit the letters of torch.einsum"
    )


@pytest.mark.parametrize("rows", [0, -1, 2.0])
def test_cost_needs_rows(rows: float) -> None:
    with pytest.raises(ValueError, match=f"rows must be a positive integer, got {rows}"):
        layer_cost(layer_of("cp", (2, 3), (3, 2), 2), rows)  # type: ignore[arg-type]
