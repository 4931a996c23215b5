"""Settings of a training, and of how its steps are computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rankbench.common.checks import number, one_of, positive_int

if TYPE_CHECKING:
    import torch

SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "tf32", "bfloat16")
SWITCHES = ("compile", "cuda_graph")


class Diverged(Exception):
    """The training loss stopped being a finite number."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How weights are learned.

    `epochs`: passes over the data; `batch_size`: samples a step, where a task has batches;
    `learning_rate`: Adam's, following `schedule` over the epochs; `evaluate_every`: epochs
    between two records; `input_dropout`, `recurrent_dropout`: probability of dropping an input
    feature, a hidden unit; `head_l2`: weight of the squared norm of the classifier's matrix;
    `patience`: records without improvement of what the task monitors after which training ends.

    Raises ValueError for a value out of its range.
    """

    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 1e-3
    schedule: str = "constant"
    evaluate_every: int = 1
    input_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    head_l2: float = 0.0
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "evaluate_every"):
            positive_int(name, getattr(self, name))
        number("learning_rate", self.learning_rate, 0.0, math.inf, open_low=True)
        one_of("schedule", self.schedule, SCHEDULES)
        for name in ("input_dropout", "recurrent_dropout"):
            number(name, getattr(self, name), 0.0, 0.99)
        number("head_l2", self.head_l2, 0.0, math.inf)
        if self.patience is not None:
            positive_int("patience", self.patience)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How a step computes. The weights keep their type; gates, losses and Adam have it too.

    `precision`, of the products with W and U: `float32` computes in the type of the weights;
    `bfloat16` rounds their operands and results to bfloat16 (2^-9 relative) and sums in float32
    (the native kernel computes in float32 and rounds x and y alone);
    `tf32` rounds the operands of every float32 product of a step (2^-11), on a GPU. Relative RMS
    error of one map, a cell, and each gradient: below 1e-2 in bfloat16, 2e-3 in tf32.
    `compile`: torch.compile of the loss, for the shape of the first batch; dropout then draws
    other masks. `cuda_graph`: forward, backward and update replayed as one CUDA graph.

    Raises ValueError for a value that is none of these.
    """

    precision: str = "float32"
    compile: bool = False
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        one_of("compute.precision", self.precision, PRECISIONS)
        for name in SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"compute.{name} must be true or false, got {getattr(self, name)!r}"
                )

    def check(self, dtype: str) -> None:
        """Raise ValueError where weights of `dtype` have no such products."""
        if self.precision == "tf32" and dtype != "float32":
            raise ValueError(f"compute.precision tf32 needs dtype float32, got {dtype}")

    def products(self, dtype: torch.dtype) -> torch.dtype:
        """The type that the operands of a product have, for weights of `dtype`."""
        import torch

        return torch.bfloat16 if self.precision == "bfloat16" else dtype
