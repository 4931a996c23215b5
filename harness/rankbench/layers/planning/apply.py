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
    """Compute W x for every row of x.

    Args:
        choice: The contraction and its kernel.
        x: The rows, (b, in_features).
        cores: The cores, in the order of the network.

    Returns:
        The rows W x, (b, out_features).
    """
    if choice.kernel == "native":
        return apply_native(choice.contraction, x, cores)
    return apply_torch(choice.contraction, x, cores, Target.of(x))


def prepare(choice: Choice, rows: int, target: Target) -> Apply:
    """Return `apply` for `rows` rows with its planning done, so that torch.compile can trace it.

    The native kernel cannot be traced and is excluded from compilation.
    """
    if choice.kernel == "native":
        run: Apply = torch.compiler.disable(functools.partial(apply_native, choice.contraction))
        return run
    return TorchKernel(choice.contraction, rows, target)
