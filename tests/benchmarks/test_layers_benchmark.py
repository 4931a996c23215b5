"""Time of a forward and backward pass of every layer at the papers' UCF11 size; `make bench`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rankbench.layers import LAYERS
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.planning.choice import cost
from rankbench.layers.settings import LayerSettings

PAIRED = {"in_modes": (8, 20, 20, 18), "out_modes": (4, 4, 4, 4)}
UCF11: dict[str, dict[str, Any]] = {
    "dense": {},
    "low_rank": {"rank": 4},
    "cp": {**PAIRED, "cp_rank": 4},
    "tucker": {**PAIRED, "tucker_rank": 4},
    "block_term": {**PAIRED, "tucker_rank": 4, "cp_rank": 2},
    "tensor_train": {**PAIRED, "tt_ranks": 4},
    "tensor_ring": {
        "in_modes": (4, 2, 5, 8, 6, 5, 3, 2),
        "out_modes": (4, 4, 2, 4, 2),
        "tr_ranks": (10, *[5] * 12),
    },
}
ROWS = 96  # 16 clips of 6 frames


@pytest.mark.parametrize("plan", ["auto", "optimal", "paper"])
@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_backward(benchmark: Any, name: str, plan: str) -> None:
    settings = LayerSettings(decomposition=name, plan=plan, **UCF11[name])
    layer = settings.resolve(57600, 256, gates=4)
    model = CompressedLinear(layer, seed=0)
    x = torch.randn(ROWS, layer.in_features)

    def step() -> torch.Tensor:
        model.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    benchmark.group = name
    benchmark.extra_info.update(num_params=layer.num_params, flops=cost(layer, ROWS).flops)
    loss = benchmark(step)
    assert torch.isfinite(loss)
    assert all(core.grad is not None for core in model.cores.values())
