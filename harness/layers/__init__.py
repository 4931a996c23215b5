"""Linear maps, dense and compressed, behind one interface; `LAYERS` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.layers.base import Core, Cost, Layer
from harness.layers.block_term import BlockTerm
from harness.layers.choice import KERNELS, PLANS, Choice, choose
from harness.layers.contraction import Contraction
from harness.layers.cp import CP
from harness.layers.dense import Dense
from harness.layers.low_rank import LowRank
from harness.layers.plan import Plan, Step, plan_dense
from harness.layers.speed import Target
from harness.layers.tensor_ring import TensorRing
from harness.layers.tensor_train import TensorTrain
from harness.layers.tucker import Tucker

if TYPE_CHECKING:
    from harness.layers.linear import CompressedLinear

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
        from harness.layers.linear import CompressedLinear

        return CompressedLinear
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
