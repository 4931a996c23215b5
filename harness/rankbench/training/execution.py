"""What the products of a run are computed in, and whether its steps are compiled or captured."""

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
    """A Compute on a device: which of its settings are followed, and why others are not.

    `reasons`: setting -> why it is not followed so far.
    """

    compute: Compute = field(default_factory=Compute)
    device: str = "cpu"
    dtype: str = "float32"
    reasons: dict[str, str] = field(default_factory=dict)

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
        """Whether steps are to be captured in a CUDA graph."""
        return self.compute.cuda_graph and self.device == "cuda"

    def follow(self, setting: str) -> None:
        """Say that a setting is followed from now on."""
        self.reasons.pop(setting, None)

    def leave(self, setting: str, error: Exception) -> None:
        """Say that a setting is not followed because of `error`."""
        first, *_ = str(error).strip().splitlines() or ["no message"]
        self.reasons[setting] = textwrap.shorten(f"{type(error).__name__}: {first}", 200)

    def adam(self, parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Adam:
        """Adam, fused: one pass over the weights, which a dense map feels on a CPU.

        One that can be captured keeps its rate in a tensor, for a graph to read at each replay.
        """
        if not self.captures:
            return torch.optim.Adam(parameters, lr=learning_rate, fused=True)
        rate = torch.tensor(learning_rate, device=self.device)
        return torch.optim.Adam(parameters, lr=rate, fused=True, capturable=True)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Products inside are computed as `precision` says; torch's own settings come back."""
        if self.device != "cuda" or self.compute.precision == "float32":
            yield
            return
        matmul: Any = torch.backends.cuda.matmul
        before = torch.get_float32_matmul_precision()
        reduced = matmul.allow_bf16_reduced_precision_reduction
        if self.compute.precision == "tf32":
            # torch.compile fails after fp32_precision, the newer name, was set.
            torch.set_float32_matmul_precision("high")
        matmul.allow_bf16_reduced_precision_reduction = False
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
            matmul.allow_bf16_reduced_precision_reduction = reduced

    def facts(self) -> dict[str, Any]:
        """The `runs` columns that say what was followed."""
        asked = self.compute.precision
        plain = asked == "float32" or "precision" in self.reasons
        said = [f"{setting}: {reason}" for setting, reason in self.reasons.items()]
        return {
            "precision": self.dtype if plain else asked,
            "compiled": self.compute.compile and "compile" not in self.reasons,
            "cuda_graph": self.compute.cuda_graph and "cuda_graph" not in self.reasons,
            "fallback": "; ".join(said) or None,
        }


def _no_tf32(device: str) -> str | None:
    if device != "cuda":
        return "TF32 needs a GPU"
    return None if torch.cuda.get_device_capability() >= (8, 0) else "this GPU has no TF32"
