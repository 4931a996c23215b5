"""The contenders of a benchmark: our layers, peers and references. CONTENDERS lists them."""

from __future__ import annotations

from rankbench.bench.contenders.base import SAME, Contender
from rankbench.bench.contenders.ours import Rankbench
from rankbench.bench.contenders.sequential import Sequential
from rankbench.bench.contenders.tednet import Tednet
from rankbench.bench.contenders.tensorly_torch import TensorlyTorch
from rankbench.bench.contenders.torch_dense import TorchDense
from rankbench.bench.contenders.torchtt import TorchTT

OURS = "rankbench"

CONTENDERS: dict[str, Contender] = {
    OURS: Rankbench(),
    "tednet": Tednet(title="tednet", shipped=True),
    "tednet-map": Tednet(title="tednet, map only", shipped=False),
    "tensorly-torch": TensorlyTorch(title="tensorly-torch", factorization="BlockTT"),
    "tensorly-torch-dense": TensorlyTorch(
        title="tensorly-torch, reconstructed",
        factorization="BlockTT",
        implementation="reconstructed",
    ),
    "tensorly-torch-tucker": TensorlyTorch(title="tensorly-torch, Tucker", factorization="Tucker"),
    "tensorly-torch-cp": TensorlyTorch(title="tensorly-torch, CP", factorization="CP"),
    "torchTT": TorchTT(),
    "torch": TorchDense(),
    "sequential": Sequential(),
}

__all__ = ["CONTENDERS", "OURS", "SAME", "Contender"]
