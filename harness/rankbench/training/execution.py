"""Apply the settings of `Compute` on a device, and record which have no effect, and why."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from rankbench.training.settings import SWITCHES, Compute

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Execution:
    """The settings of `Compute` on a device, and which of them are in effect."""

    compute: Compute = field(default_factory=Compute)
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
