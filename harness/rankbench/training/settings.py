"""The settings of a training, and of how its steps are computed, without torch."""

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
    """Raised when the training loss is no longer finite."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How weights are trained.

    Raises:
        ValueError: If a value is out of its range.
    """

    epochs: int = 100
    """Passes over the training data, at least 1."""
    batch_size: int = 16
    """Samples of one step, at least 1, for tasks with batches."""
    learning_rate: float = 1e-3
    """Adam's learning rate at the first epoch, above 0."""
    schedule: str = "constant"
    """Learning rate over the epochs: `constant`, or `cosine`, which falls to nearly 0."""
    evaluate_every: int = 1
    """Epochs between two records, at least 1. The last epoch always has a record."""
    input_dropout: float = 0.0
    """Probability of dropping an input feature, 0 to 0.99."""
    recurrent_dropout: float = 0.0
    """Probability of dropping a hidden unit, 0 to 0.99."""
    head_l2: float = 0.0
    """Weight in the loss of the squared norm of the classifier's matrix, at least 0."""
    patience: int | None = None
    """Records without improvement of the task's monitored metric after which training ends; None
    to train for all epochs."""

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
        import torch

        return torch.bfloat16 if self.precision == "bfloat16" else dtype
