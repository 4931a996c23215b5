"""Who takes part in a bench: our layers, the peers, and references; `CONTENDERS` lists them."""

from __future__ import annotations

from harness.bench.contenders.base import SAME, Contender
from harness.bench.contenders.ours import Rankbench
from harness.bench.contenders.sequential import Sequential
from harness.bench.contenders.tednet import Tednet
from harness.bench.contenders.tensorly_torch import TensorlyTorch
from harness.bench.contenders.torch_dense import TorchDense
from harness.bench.contenders.torchtt import TorchTT

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
