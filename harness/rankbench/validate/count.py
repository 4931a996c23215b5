"""Count the FLOPs of a contraction with torch's FLOP counter."""

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
    """Count the FLOPs of a forward and a backward pass with torch's FLOP counter.

    The torch kernel runs on meta tensors, which have no storage, on all rows at once and without a
    gradient of the input. Torch's counter ignores elementwise products, to which einsum reduces
    outer products; here each counts as one multiply-add (2 FLOPs), as in a plan.

    Args:
        contraction: The contraction to run.
        rows: Rows of the input.

    Returns:
        FLOPs of the forward pass and of the backward pass.
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
