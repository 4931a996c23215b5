"""Layers for tests: every decomposition in LAYERS, built alike, and their weights written out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from rankbench.layers import LAYERS, Layer
from rankbench.layers.base import PLANS
from rankbench.layers.kernels.compiler import unavailable
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.modes import product

# Modes in -> out with a common length, which every decomposition takes.
SHAPES = {
    "matrix": ((6,), (4,)),
    "two": ((2, 3), (3, 2)),
    "ones": ((1, 5), (4, 1)),
    "three": ((2, 3, 2), (4, 1, 2)),
    "four": ((2, 1, 3, 2), (2, 2, 1, 3)),
}

# Every way to contract: each plan with each kernel that this machine has.
KERNELS_HERE = ("torch", "native") if unavailable("float64") is None else ("torch",)
WAYS = [(plan, kernel) for plan in PLANS for kernel in KERNELS_HERE]
every_way = pytest.mark.parametrize(("plan", "kernel"), WAYS)

# A small setting of every decomposition, as a study file would give it.
RANKS: dict[str, dict[str, Any]] = {
    "dense": {},
    "low_rank": {"rank": 3},
    "cp": {"core_order": 2, "cp_rank": 3},
    "tucker": {"core_order": 2, "tucker_rank": 2},
    "block_term": {"core_order": 2, "tucker_rank": 2, "cp_rank": 2},
    "tensor_train": {"core_order": 2, "tt_ranks": 3},
    "tensor_ring": {"core_order": 2, "tr_ranks": 3},
}


def layer_of(
    name: str, in_modes: tuple[int, ...], out_modes: tuple[int, ...], rank: int, **settings: Any
) -> Layer:
    """A layer with the same number for each of its rank settings."""
    ranks = dict.fromkeys(LAYERS[name].RANKS, rank)
    return LAYERS[name](in_modes=in_modes, out_modes=out_modes, **ranks, **settings)


def examples(plan: str = "auto", kernel: str = "auto") -> list[Layer]:
    """Every decomposition at every shape and rank, and the freedoms only some of them have."""
    common = [
        layer_of(name, *modes, rank, plan=plan, kernel=kernel)
        for name in LAYERS
        for modes in SHAPES.values()
        for rank in (1, 3)
    ]
    uneven: list[tuple[str, Any, Any, dict[str, Any]]] = [
        ("dense", (2, 3, 2), (4, 3), {}),
        ("low_rank", (2, 3, 2), (4, 3), {"rank": 2}),
        ("tucker", (2, 3, 2), (4, 3, 2), {"tucker_rank": (1, 3, 2)}),
        ("block_term", (2, 3), (4, 3), {"tucker_rank": (3, 1), "cp_rank": 2}),
        ("tensor_train", (2, 3, 2), (4, 3, 2), {"tt_ranks": (1, 3, 2, 1)}),
        ("tensor_ring", (2, 3, 2), (4, 3), {"tr_ranks": (2, 1, 3, 2, 4)}),
        ("tensor_ring", (6,), (4, 3, 2), {"tr_ranks": 2}),
    ]
    return common + [
        LAYERS[name](in_modes=i, out_modes=o, plan=plan, kernel=kernel, **ranks)
        for name, i, o, ranks in uneven
    ]


def label(layer: Layer) -> str:
    """A name for a test's parameter."""
    modes = "x".join(map(str, layer.in_modes)) + "-" + "x".join(map(str, layer.out_modes))
    return f"{layer.name}-{modes}-{'.'.join(map(str, layer.ranks))}-{layer.plan}-{layer.kernel}"


def module(layer: Layer, seed: int = 0) -> CompressedLinear:
    """A layer's module in float64."""
    return CompressedLinear(layer, seed, dtype=torch.float64)


def set_cores(linear: CompressedLinear, cores: Mapping[str, Tensor]) -> None:
    """Copy values into every core of `linear`."""
    assert set(cores) == set(linear.cores)
    with torch.no_grad():
        for name, value in cores.items():
            linear.cores[name].copy_(value.reshape(linear.cores[name].shape))


def kron(factors: Sequence[Tensor]) -> Tensor:
    """The Kronecker product of matrices, the first the slowest index: row-major."""
    result = torch.ones(1, 1, dtype=torch.float64)
    for factor in factors:
        # torch.kron fails on some transposed matrices.
        blocks = result[:, None, :, None] * factor[None, :, None, :]
        result = blocks.reshape(len(result) * len(factor), -1)
    return result


def written_out(layer: Layer, cores: Mapping[str, Tensor]) -> Tensor:
    """W (J, I) by its decomposition's definition: loops over ranks, no einsum, no plan."""
    values = {name: core.detach() for name, core in cores.items()}
    J, I = layer.out_features, layer.in_features  # noqa: E741
    if layer.name == "dense":
        return values["W"].reshape(J, I)
    if layer.name == "low_rank":
        return values["B"].reshape(J, -1) @ values["A"].reshape(-1, I)
    factors = [values[core.name] for core in layer.cores() if core.name != "G"]
    if layer.name == "cp":
        return sum(
            (kron([a[n].T for a in factors]) for n in range(layer.ranks[0])), torch.zeros(())
        )
    if layer.name == "tucker":
        return _tucker(factors, values["G"])
    if layer.name == "block_term":
        blocks = range(layer.ranks[-1])
        return sum(
            (_tucker([a[n] for a in factors], values["G"][n]) for n in blocks), torch.zeros(())
        )
    if layer.name == "tensor_train":
        factors[0], factors[-1] = factors[0].unsqueeze(0), factors[-1].unsqueeze(-1)
        if layer.core_order == 1:
            factors = [values["G1"][None, :, :, None]]
        return _train(factors, layer.ranks)
    assert layer.name == "tensor_ring", f"write {layer.name} out here"
    return _ring(layer, factors)


def _tucker(factors: Sequence[Tensor], core: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for r in itertools.product(*map(range, core.shape)):
        total = total + core[r] * kron([a[:, :, k].T for a, k in zip(factors, r, strict=True)])
    return total


def _train(factors: Sequence[Tensor], ranks: Sequence[int]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for r in itertools.product(*map(range, ranks)):
        total = total + kron([g[r[k], :, :, r[k + 1]].T for k, g in enumerate(factors)])
    return total


def _ring(layer: Layer, factors: Sequence[Tensor]) -> Tensor:
    modes = (*layer.in_modes, *layer.out_modes)
    entries = []
    for place in itertools.product(*map(range, modes)):
        chain = torch.eye(layer.ranks[0], dtype=torch.float64)
        for factor, k in zip(factors, place, strict=True):
            chain = chain @ factor[:, k, :]
        entries.append(chain.trace())
    return torch.stack(entries).reshape(product(layer.in_modes), product(layer.out_modes)).T
