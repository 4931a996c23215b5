"""Contender tednet: its block-term, tensor-train and tensor-ring layers, and its LSTMs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rankbench.bench.contenders.base import Contender, quiet, seeded
from rankbench.bench.dense import block_weight, ring_weight, train_weight
from rankbench.bench.maps import GATES, TIME_STEPS
from rankbench.layers import BlockTerm, Layer, TensorRing, TensorTrain


@dataclass(frozen=True, kw_only=True)
class Tednet(Contender):
    """tednet's layers, in its own LSTM or in ours."""

    distribution: str | None = "tednet"
    package: str | None = "tednet.tnn"
    shipped: bool
    """Whether to use tednet's LSTM, which maps one time step after the other.

    If False, our LSTM gives the map all rows of a clip at once, as tednet's users could do too.
    """

    def supports(self, layer: Layer) -> bool:
        return isinstance(layer, BlockTerm | TensorTrain | TensorRing)

    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        linear = self._new(layer, "Linear", layer.out_modes, seed, bias=False).to(dtype)
        return StepByStep(linear) if self.shipped else linear

    def dense_weight(self, module: nn.Module) -> Tensor:
        linear: Any = module.step_map if isinstance(module, StepByStep) else module
        return _WEIGHTS[linear.tn_info["type"]](linear)

    def recurrent(
        self, layer: Layer, module: nn.Module, seed: int, dtype: torch.dtype
    ) -> nn.Module:
        if not self.shipped:
            return super().recurrent(layer, module, seed, dtype)
        first, *rest = layer.out_modes
        # No dropout, because the other contenders have none either.
        one_gate = (first // GATES, *rest)
        lstm = self._new(layer, "LSTM", one_gate, seed, drop_ih=0.0, drop_hh=0.0)
        return TimeMajor(lstm.to(dtype), layer.out_features // GATES)

    def _new(
        self, layer: Layer, kind: str, out_modes: tuple[int, ...], seed: int, **options: Any
    ) -> nn.Module:
        """Build tednet's Linear or LSTM (`kind`) for the decomposition of `layer`."""
        package, prefix, ranks = _network(layer)
        blocks = {"block_num": layer.cp_rank} if isinstance(layer, BlockTerm) else {}
        make = getattr(self.load(f"{self.package}.{package}"), prefix + kind)
        with seeded(seed), quiet():
            module: nn.Module = make(
                list(layer.in_modes), list(out_modes), list(ranks), **blocks, **options
            )
        return module


class StepByStep(nn.Module):
    """Applies a map to the rows of one time step after the other."""

    def __init__(self, step_map: nn.Module) -> None:
        super().__init__()
        self.step_map = step_map

    def forward(self, x: Float[Tensor, "rows in_features"]) -> Float[Tensor, "rows out_features"]:
        """Return W x for every row."""
        return torch.cat([self.step_map(rows) for rows in x.chunk(TIME_STEPS)])


class TimeMajor(nn.Module):
    """Makes an LSTM for (time, batch, in_features) accept (batch, time, in_features)."""

    def __init__(self, lstm: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.lstm, self.hidden_size = lstm, hidden_size

    def forward(self, x: Float[Tensor, "batch time in_features"]) -> tuple[Tensor, Any]:
        """Return the outputs (batch, time, hidden) and the last state."""
        zeros = x.new_zeros(len(x), self.hidden_size)
        outputs, state = self.lstm(x.transpose(0, 1), (zeros, zeros))
        return outputs.transpose(0, 1), state


def _network(layer: Layer) -> tuple[str, str, tuple[int, ...]]:
    """Return tednet's package, the prefix of its classes, and the ranks in its order."""
    if isinstance(layer, BlockTerm):
        return "bt_tucker", "BTT", layer.ranks[:-1]
    if isinstance(layer, TensorTrain):
        return "tensor_train", "TT", layer.ranks[1:-1]
    return "tensor_ring", "TR", layer.ranks


def _block_term(linear: Any) -> Tensor:
    blocks = range(linear.block_num)
    return torch.stack([_block(linear, block) for block in blocks]).sum(0)


def _block(linear: Any, block: int) -> Tensor:
    # tednet's forward pass uses the core with its ranks in reverse order.
    stored = getattr(linear, f"core_block{block}")
    core = stored.reshape(*reversed(stored.shape)).permute(*reversed(range(stored.ndim)))
    factors = [getattr(linear, f"factor{k}_block{block}") for k in range(stored.ndim)]
    return block_weight(core, factors)


def _train(linear: Any) -> Tensor:
    first, *inner, last = (getattr(linear, f"node{k}") for k in range(linear.nodes_num))
    cores = [first[..., None, :], *inner, last[..., None]]  # Of shape (i, j, r, s).
    return train_weight([core.permute(2, 0, 1, 3) for core in cores])


def _ring(linear: Any) -> Tensor:
    cores = [getattr(linear, f"node{k}") for k in range(linear.nodes_num)]
    return ring_weight(cores, linear.in_num)


_WEIGHTS = {"btt": _block_term, "tt": _train, "tr": _ring}
