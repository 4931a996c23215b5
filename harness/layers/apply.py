"""Run a chosen contraction with its kernel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from harness.layers.choice import Choice
from harness.layers.native_kernel import apply_native
from harness.layers.speed import Target
from harness.layers.torch_kernel import apply_torch


def apply(choice: Choice, x: Tensor, cores: Sequence[Tensor]) -> Tensor:
    """W x for rows x (b, i1 * i2 * ..): (b, j1 * j2 * ..)."""
    if choice.kernel == "native":
        return apply_native(choice.contraction, x, cores)
    return apply_torch(choice.contraction, x, cores, Target.of(x))
