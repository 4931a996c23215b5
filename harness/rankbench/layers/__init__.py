"""Linear maps, dense and compressed, behind one interface.

`LAYERS` maps each registry name to its class. To add a decomposition, write one file beside these
and add one line to `LAYERS`; tests, documentation and benchmarks loop over it.
"""

from __future__ import annotations

from rankbench.layers.base import Layer
from rankbench.layers.block_term import BlockTerm
from rankbench.layers.cp import CP
from rankbench.layers.dense import Dense
from rankbench.layers.low_rank import LowRank
from rankbench.layers.tensor_ring import TensorRing
from rankbench.layers.tensor_train import TensorTrain
from rankbench.layers.tucker import Tucker

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
    "LAYERS",
    "BlockTerm",
    "Dense",
    "Layer",
    "LowRank",
    "TensorRing",
    "TensorTrain",
    "Tucker",
]
