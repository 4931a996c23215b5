"""A contraction's FLOPs as torch counts them, operation by operation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rankbench.layers.contraction.stages import Contraction
from rankbench.layers.kernels.target import Target
from rankbench.layers.kernels.torch_kernel import TorchKernel
from rankbench.layers.modes import product


def count(contraction: Contraction, rows: int) -> tuple[int, int]:
    """FLOPs of a forward and of a backward pass over `rows` rows, by torch's FLOP counter.

    The torch kernel runs on tensors without storage, all rows at once, the input without a
    gradient. The counter has no entry for the elementwise product that einsum makes of an outer
    one: it counts as a multiply-add each, as a plan counts it.
    """
    run = TorchKernel(contraction, rows, Target(), chunk=rows)
    network, sizes = contraction.network, contraction.network.sizes
    x = _empty(rows, network.in_features)
    cores = [_empty(*(sizes[label] for label in core.indices)) for core in network.cores]
    for core in cores:
        core.requires_grad_()
    with _counter() as forward:
        y = run(x, cores)
    with _counter() as backward:
        y.backward(torch.empty_like(y))
    return int(forward.get_total_flops()), int(backward.get_total_flops())


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def _counter() -> FlopCounterMode:
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mul: _product_flops})


def _product_flops(*_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * product(tuple(out_shape))
