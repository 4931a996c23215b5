"""The papers' closed-form gradients against autograd: BT Eq. 13 and 14, TR Eq. 12."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from rankbench.layers import BlockTerm, Layer, TensorRing
from tests.helpers.layer_examples import every_way, module


def autograd(layer: Layer, x: Tensor, towards: Tensor) -> dict[str, Tensor]:
    """dL/dcore by name, for a loss with dL/dY = `towards`."""
    linear = module(layer, seed=4)
    linear(x).backward(towards)
    return {name: core.grad for name, core in linear.cores.items()}


def random_pair(layer: Layer) -> tuple[Tensor, Tensor]:
    """One input x and the gradient dL/dY that reaches the layer's output."""
    source = torch.Generator().manual_seed(9)
    sizes = (layer.in_features, layer.out_features)
    x, towards = (torch.randn(n, dtype=torch.float64, generator=source) for n in sizes)
    return x, towards


BT_LAYERS = [
    {"in_modes": (2, 3), "out_modes": (3, 2), "tucker_rank": (2, 3), "cp_rank": 2},
    {"in_modes": (2, 2, 2), "out_modes": (2, 1, 2), "tucker_rank": 2, "cp_rank": 3},
    {"in_modes": (3, 2), "out_modes": (2, 2), "tucker_rank": 1, "cp_rank": 1},
]


@every_way
@pytest.mark.parametrize("settings", BT_LAYERS, ids=["d2", "d3", "ones"])
def test_block_term_factors_eq_13(settings: dict, plan: str, kernel: str) -> None:
    """dL/dA_n^(k)[i_k, j_k, r_k]: every other index summed over, factor k left out."""
    layer = BlockTerm(**settings, plan=plan, kernel=kernel)
    x, towards = random_pair(layer)
    gradients = autograd(layer, x, towards)
    cores = {name: core.detach() for name, core in module(layer, seed=4).cores.items()}
    X, dY = x.reshape(layer.in_modes), towards.reshape(layer.out_modes)
    d = layer.core_order
    for k in range(d):
        expected = torch.zeros_like(gradients[f"A{k + 1}"])
        for n, i, j, r in every_index(layer):
            others = torch.ones((), dtype=torch.float64)
            for m in range(d):
                if m != k:
                    others = others * cores[f"A{m + 1}"][n, i[m], j[m], r[m]]
            expected[n, i[k], j[k], r[k]] += cores["G"][(n, *r)] * others * X[i] * dY[j]
        torch.testing.assert_close(gradients[f"A{k + 1}"], expected, rtol=0, atol=1e-10)


@every_way
@pytest.mark.parametrize("settings", BT_LAYERS, ids=["d2", "d3", "ones"])
def test_block_term_core_eq_14(settings: dict, plan: str, kernel: str) -> None:
    """dL/dG_n[r] = sum_i sum_j prod_k A_n^(k)[i_k, j_k, r_k] X[i] dL/dY[j]."""
    layer = BlockTerm(**settings, plan=plan, kernel=kernel)
    x, towards = random_pair(layer)
    gradients = autograd(layer, x, towards)
    cores = {name: core.detach() for name, core in module(layer, seed=4).cores.items()}
    X, dY = x.reshape(layer.in_modes), towards.reshape(layer.out_modes)
    expected = torch.zeros_like(gradients["G"])
    for n, i, j, r in every_index(layer):
        factors = torch.ones((), dtype=torch.float64)
        for m in range(layer.core_order):
            factors = factors * cores[f"A{m + 1}"][n, i[m], j[m], r[m]]
        expected[(n, *r)] += factors * X[i] * dY[j]
    torch.testing.assert_close(gradients["G"], expected, rtol=0, atol=1e-10)


def every_index(layer: BlockTerm) -> itertools.product:
    """(n, i, j, r): a block, and a multi-index of the input, the output and the core."""
    *ranks, blocks = layer.ranks
    return itertools.product(
        range(blocks),
        itertools.product(*map(range, layer.in_modes)),
        itertools.product(*map(range, layer.out_modes)),
        itertools.product(*map(range, ranks)),
    )


# Eq. 12 as printed needs an inner input core, with another on either side of it in the chain.
RING = {"in_modes": (2, 3, 4, 2), "out_modes": (3, 2, 2), "tr_ranks": (2, 3, 2, 4, 3, 2, 5)}


@every_way
@pytest.mark.parametrize("k", [2, 3])
def test_tensor_ring_input_cores_eq_12(k: int, plan: str, kernel: str) -> None:
    """Eq. 12 step by step: X, the cores before k, those after it, the outputs, dL/dY."""
    layer = TensorRing(**RING, plan=plan, kernel=kernel)
    n, m = len(layer.in_modes), len(layer.out_modes)
    x, towards = random_pair(layer)
    gradients = autograd(layer, x, towards)
    g = [core.detach() for core in module(layer, seed=4).cores.values()]
    X, dY = x.reshape(layer.in_modes), towards.reshape(layer.out_modes)
    # Dimensions: (i_2 .. i_n, r_0, r_1), then i_2 .. i_{k-1} and r_1 .. r_{k-2} are summed.
    t = torch.tensordot(X, g[0], ([0], [1]))
    for core in g[1 : k - 1]:
        t = torch.tensordot(t, core, ([0, t.ndim - 1], [1, 0]))
    # Now (i_k .. i_n, r_0, r_{k-1}); i_{k+1} joins core k+1, which brings r_k and r_{k+1}.
    t = torch.tensordot(t, g[k], ([1], [1]))
    for core in g[k + 1 : n]:
        t = torch.tensordot(t, core, ([1, t.ndim - 1], [1, 0]))
    # Now (i_k, r_0, r_{k-1}, r_k, r_n); output cores add o_1 .. o_{m-1}, the last closes the ring.
    for core in g[n : n + m - 1]:
        t = torch.tensordot(t, core, ([t.ndim - 1], [0]))
    t = torch.tensordot(t, g[n + m - 1], ([t.ndim - 1, 1], [0, 2]))
    # Now (i_k, r_{k-1}, r_k, o_1 .. o_m).
    t = torch.tensordot(t, dY, (list(range(3, 3 + m)), list(range(m))))
    expected = t.permute(1, 0, 2)
    torch.testing.assert_close(gradients[f"G{k}"], expected, rtol=0, atol=1e-10)


@every_way
def test_tensor_ring_gradient_of_every_core(plan: str, kernel: str) -> None:
    """Eq. 12's content for any core: the ring cut open there, contracted with X and dL/dY."""
    layer = TensorRing(**RING, plan=plan, kernel=kernel)
    x, towards = random_pair(layer)
    gradients = autograd(layer, x, towards)
    g = [core.detach() for core in module(layer, seed=4).cores.values()]
    modes = (*layer.in_modes, *layer.out_modes)
    outer = torch.outer(x, towards).reshape(modes)
    for k in range(len(g)):
        expected = torch.zeros_like(g[k])
        for place in itertools.product(*map(range, modes)):
            chain = torch.eye(g[k].shape[2], dtype=torch.float64)
            for step in range(1, len(g)):
                core = (k + step) % len(g)
                chain = chain @ g[core][:, place[core], :]
            expected[:, place[k], :] += chain.T * outer[place]
        torch.testing.assert_close(gradients[f"G{k + 1}"], expected, rtol=0, atol=1e-10)
