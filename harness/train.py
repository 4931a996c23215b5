"""The one training loop: Adam over batches, one record an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from harness.checks import number, one_of, positive_int
from harness.compute import Execution
from harness.step import Step

Batch = TypeVar("Batch")
SCHEDULES = ("constant", "cosine")


class Diverged(Exception):
    """The training loss stopped being a finite number."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How weights are learned.

    `epochs`: passes over the data; `batch_size`: samples a step, where a task has batches;
    `learning_rate`: Adam's, following `schedule` over the epochs; `evaluate_every`: epochs
    between two records; `input_dropout`, `recurrent_dropout`: probability of dropping an input
    feature, a hidden unit; `head_l2`: weight of the squared norm of the classifier's matrix.

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

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "evaluate_every"):
            positive_int(name, getattr(self, name))
        number("learning_rate", self.learning_rate, 0.0, math.inf, open_low=True)
        one_of("schedule", self.schedule, SCHEDULES)
        for name in ("input_dropout", "recurrent_dropout"):
            number(name, getattr(self, name), 0.0, 0.99)
        number("head_l2", self.head_l2, 0.0, math.inf)


def train(
    model: nn.Module,
    training: Training,
    *,
    batches: Callable[[], Iterable[Batch]],
    loss: Callable[[Batch], Tensor],
    evaluate: Callable[[], dict[str, Any]],
    execution: Execution | None = None,
) -> Iterator[dict[str, Any]]:
    """Train `model`, yielding a record `{epoch, train_loss, seconds, **evaluate()}`.

    `batches()` is one epoch's data, `loss(batch)` a scalar that is minimised, `evaluate()` the
    metrics after an epoch. A record is yielded every `evaluate_every` epochs and after the last.
    `execution`: how steps are computed, in the type of the weights if None.

    Raises Diverged when a loss is not finite.
    """
    execution = execution or Execution()
    optimizer = execution.adam(model.parameters(), training.learning_rate)
    step = Step(loss, optimizer, execution)
    start = time.perf_counter()
    for epoch in range(1, training.epochs + 1):
        _set_learning_rate(optimizer, training, epoch)
        model.train()
        losses = [step(batch) for batch in batches()]
        mean = torch.stack(losses).mean().item()
        if not math.isfinite(mean):
            raise Diverged(f"training loss is {mean} in epoch {epoch}")
        if epoch % training.evaluate_every == 0 or epoch == training.epochs:
            model.eval()
            with torch.no_grad():
                metrics = evaluate()
            seconds = time.perf_counter() - start
            yield {"epoch": epoch, "train_loss": mean, "seconds": seconds, **metrics}


def _set_learning_rate(optimizer: torch.optim.Optimizer, training: Training, epoch: int) -> None:
    if training.schedule == "cosine":
        done = (epoch - 1) / training.epochs
        rate = training.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):  # which a captured step reads
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
