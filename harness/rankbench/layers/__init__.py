"""Linear maps, dense and compressed, behind one interface; `LAYERS` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rankbench.layers.base import Core, Cost, Layer
from rankbench.layers.block_term import BlockTerm
from rankbench.layers.contraction.einsum import Plan, Step, plan_dense
from rankbench.layers.contraction.stages import Contraction
from rankbench.layers.cp import CP
from rankbench.layers.dense import Dense
from rankbench.layers.kernels.target import Target
from rankbench.layers.low_rank import LowRank
from rankbench.layers.planning.choice import KERNELS, PLANS, Choice, choose
from rankbench.layers.tensor_ring import TensorRing
from rankbench.layers.tensor_train import TensorTrain
from rankbench.layers.tucker import Tucker

if TYPE_CHECKING:
    from rankbench.layers.linear import CompressedLinear

LAYERS: dict[str, type[Layer]] = {
    "dense": Dense,
    "low_rank": LowRank,
    "cp": CP,
    "tucker": Tucker,
    "block_term": BlockTerm,
    "tensor_train": TensorTrain,
    "tensor_ring": TensorRing,
}

__all__ = [
    "CP",
    "KERNELS",
    "LAYERS",
    "PLANS",
    "BlockTerm",
    "Choice",
    "CompressedLinear",
    "Contraction",
    "Core",
    "Cost",
    "Dense",
    "Layer",
    "LowRank",
    "Plan",
    "Step",
    "Target",
    "TensorRing",
    "TensorTrain",
    "Tucker",
    "choose",
    "plan_dense",
]


def __getattr__(name: str) -> Any:
    if name == "CompressedLinear":  # a module: it loads torch
        from rankbench.layers.linear import CompressedLinear

        return CompressedLinear
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
