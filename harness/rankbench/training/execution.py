"""Precision of a run's products, compilation of its steps, and CUDA graphs.

`Compute` holds the settings; `Execution` applies them on a device and records which of them had no
effect, and why.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from rankbench.common.checks import one_of

if TYPE_CHECKING:
    from torch import Tensor

PRECISIONS = ("float32", "tf32", "bfloat16")
SWITCHES = ("compile", "cuda_graph")


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How a training step is computed.

    Weights, gates, losses and the optimiser always have the task's dtype.

    Raises:
        ValueError: If the precision is unknown or a switch is not a bool.
    """

    precision: str = "float32"
    """Precision of the products with W and U.

    `float32`: the type of the weights. `bfloat16`: operands and results are rounded to bfloat16
    (2^-9 relative) and sums are computed in float32; the native kernel computes in float32 and
    rounds only x and y. `tf32`, on a GPU with float32 weights: the operands of every product of a
    step are rounded (2^-11 relative). The relative RMS error of a map, a cell and their gradients
    is below 1e-2 in bfloat16 and below 2e-3 in tf32."""
    compile: bool = False
    """Whether the loss is compiled by `torch.compile`, for the shape of the first batch. Dropout
    then draws other masks."""
    cuda_graph: bool = False
    """Whether forward pass, backward pass and update are replayed as one CUDA graph."""

    def __post_init__(self) -> None:
        one_of("compute.precision", self.precision, PRECISIONS)
        for name in SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"compute.{name} must be true or false, got {getattr(self, name)!r}"
                )

    def check(self, dtype: str) -> None:
        """Raise ValueError if weights of `dtype` cannot be multiplied in this precision."""
        if self.precision == "tf32" and dtype != "float32":
            raise ValueError(f"compute.precision tf32 needs dtype float32, got {dtype}")

    def products(self, dtype: torch.dtype) -> torch.dtype:
        """Return the type of the operands of products, for weights of `dtype`."""
        return torch.bfloat16 if self.precision == "bfloat16" else dtype


@dataclass
class Execution:
    """The settings of `Compute` on a device, and which of them are in effect."""

    compute: Compute = Compute()
    """The settings."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    dtype: str = "float32"
    """Type of the weights."""
    reasons: dict[str, str] = field(default_factory=dict)
    """For each setting that is not in effect, why."""

    def __post_init__(self) -> None:
        if self.compute.precision == "tf32" and (reason := _no_tf32(self.device)):
            self.reasons["precision"] = reason
        for name in SWITCHES:
            if getattr(self.compute, name):
                self.reasons[name] = "too few steps of one shape"
        if self.compute.cuda_graph and self.device != "cuda":
            self.reasons["cuda_graph"] = "CUDA graphs need a GPU"

    @property
    def captures(self) -> bool:
        """Whether steps should be captured in a CUDA graph."""
        return self.compute.cuda_graph and self.device == "cuda"

    def follow(self, setting: str) -> None:
        """Record that a setting is in effect from now on."""
        self.reasons.pop(setting, None)

    def leave(self, setting: str, error: Exception) -> None:
        """Record that a setting is not in effect because of `error`."""
        first, *_ = str(error).strip().splitlines() or ["no message"]
        self.reasons[setting] = textwrap.shorten(f"{type(error).__name__}: {first}", 200)

    def adam(self, parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Adam:
        """Return an Adam optimiser.

        It is fused, which updates the weights in one pass; for a dense map this saves noticeable
        time on a CPU. If steps are captured, the learning rate is a tensor, which the CUDA graph
        reads at every replay.

        Args:
            parameters: The parameters to train.
            learning_rate: Adam's learning rate.
        """
        if not self.captures:
            return torch.optim.Adam(parameters, lr=learning_rate, fused=True)
        rate = torch.tensor(learning_rate, device=self.device)
        return torch.optim.Adam(parameters, lr=rate, fused=True, capturable=True)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Compute products inside the context in `precision`; restore torch's settings after it."""
        if self.device != "cuda" or self.compute.precision == "float32":
            yield
            return
        matmul: Any = torch.backends.cuda.matmul
        before = torch.get_float32_matmul_precision()
        reduced = matmul.allow_bf16_reduced_precision_reduction
        if self.compute.precision == "tf32":
            # The newer setting, fp32_precision, makes torch.compile fail.
            torch.set_float32_matmul_precision("high")
        matmul.allow_bf16_reduced_precision_reduction = False
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
            matmul.allow_bf16_reduced_precision_reduction = reduced

    def facts(self) -> dict[str, Any]:
        """Return the columns of `runs` that record which settings were in effect."""
        precision = self.compute.precision
        plain = precision == "float32" or "precision" in self.reasons
        fallbacks = [f"{setting}: {reason}" for setting, reason in self.reasons.items()]
        return {
            "precision": self.dtype if plain else precision,
            "compiled": self.compute.compile and "compile" not in self.reasons,
            "cuda_graph": self.compute.cuda_graph and "cuda_graph" not in self.reasons,
            "fallback": "; ".join(fallbacks) or None,
        }


def _no_tf32(device: str) -> str | None:
    if device != "cuda":
        return "TF32 needs a GPU"
    return None if torch.cuda.get_device_capability() >= (8, 0) else "this GPU has no TF32"
