"""Run a chosen contraction with its kernel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rankbench.layers.kernels.native_kernel import apply_native
from rankbench.layers.kernels.target import Target
from rankbench.layers.kernels.torch_kernel import TorchKernel, apply_torch
from rankbench.layers.planning.choice import Choice

Apply = Callable[[Tensor, Sequence[Tensor]], Tensor]


def apply(choice: Choice, x: Tensor, cores: Sequence[Tensor]) -> Tensor:
    """W x for rows x (b, i1 * i2 * ..): (b, j1 * j2 * ..)."""
    if choice.kernel == "native":
        return apply_native(choice.contraction, x, cores)
    return apply_torch(choice.contraction, x, cores, Target.of(x))


def prepare(choice: Choice, rows: int, target: Target) -> Apply:
    """`apply` for that many rows, planned beforehand: a compiler can trace what is left."""
    if choice.kernel == "native":
        run: Apply = torch.compiler.disable(functools.partial(apply_native, choice.contraction))
        return run
    return TorchKernel(choice.contraction, rows, target)
