"""The training loop: Adam over batches, and a record of metrics after an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from jaxtyping import Float

from rankbench.training.early_stopping import Monitor, Patience
from rankbench.training.execution import Execution
from rankbench.training.resume import Checkpointer
from rankbench.training.settings import Diverged, Training
from rankbench.training.step import TrainingStep, set_learning_rate

if TYPE_CHECKING:
    from torch import Tensor, nn

Batch = TypeVar("Batch")


def train(
    model: nn.Module,
    training: Training,
    *,
    batches: Callable[[], Iterable[Batch]],
    loss: Callable[[Batch], Tensor],
    evaluate: Callable[[], dict[str, Any]],
    execution: Execution | None = None,
    checkpointer: Checkpointer | None = None,
    monitor: Monitor | None = None,
) -> Iterator[dict[str, Any]]:
    """Train a model and yield a record every `evaluate_every` epochs and after the last.

    Args:
        model: The model; its parameters are trained in place.
        training: Epochs, learning rate and so on.
        batches: Returns the batches of one epoch.
        loss: Returns the loss of a batch, a scalar to minimise.
        evaluate: Returns the metrics after an epoch. It runs in evaluation mode, without
            gradients.
        execution: How steps are computed; None for the type of the weights, eagerly.
        checkpointer: Writes checkpoints and resumes from one; None for neither.
        monitor: The metric that `training.patience` watches, and its direction.

    Yields:
        Records `{epoch, train_loss, seconds, **evaluate()}`, where `seconds` is the time since
        training began. A resumed training first yields the records of the earlier attempt.

    Raises:
        Diverged: If the mean loss of an epoch is not finite.
    """
    execution = execution or Execution()
    optimizer = execution.adam(model.parameters(), training.learning_rate)
    step = TrainingStep(loss, optimizer, execution)
    checkpointer = checkpointer or Checkpointer()
    reached = checkpointer.resume(model, optimizer)
    patience = Patience(training.patience, monitor)
    for record in reached.records:
        # No checkpoint is written after a record that ends training, so none of these does.
        patience.ends_with(record)
        yield dict(record)
    start = time.perf_counter() - reached.seconds
    for epoch in range(reached.epoch + 1, training.epochs + 1):
        _set_learning_rate(optimizer, training, epoch)
        model.train()
        losses = [step(batch) for batch in batches()]
        mean = torch.stack(losses).mean().item()
        if not math.isfinite(mean):
            raise _diverged(mean, epoch)
        if _is_due(training, epoch):
            model.eval()
            with torch.no_grad():
                metrics = evaluate()
            seconds = time.perf_counter() - start
            record = {"epoch": epoch, "train_loss": mean, "seconds": seconds, **metrics}
            reached.records.append(record)
            yield dict(record)
            if patience.ends_with(record):
                return
        if epoch < training.epochs:
            reached.epoch, reached.seconds = epoch, time.perf_counter() - start
            checkpointer.keep(model, optimizer, reached)


def train_together(
    model: nn.Module,
    training: Training,
    replicates: int,
    *,
    backward: Callable[[], Float[Tensor, " k"]],
    evaluate: Callable[[], dict[str, Float[Tensor, " k"]]],
) -> Iterator[list[tuple[int, dict[str, Any] | Diverged]]]:
    """Train k replicates of a model side by side, with the same results as `train` for each.

    Adam works element by element, so replicates that share no parameter do not affect each other.

    Args:
        model: The model, with the parameters of all replicates.
        training: Epochs, learning rate and so on.
        replicates: Number of replicates, k.
        backward: Computes the gradients of all replicates and returns the loss of each.
        evaluate: Returns the metrics, one value for each replicate.

    Yields:
        Lists of (replicate, record). The record of a replicate whose loss is not finite is
        `Diverged`, and it has no further records. Training ends early if all have diverged.
    """
    optimizer = Execution().adam(model.parameters(), training.learning_rate)
    start = time.perf_counter()
    running = list(range(replicates))
    for epoch in range(1, training.epochs + 1):
        _set_learning_rate(optimizer, training, epoch)
        optimizer.zero_grad(set_to_none=True)
        losses = backward().tolist()
        optimizer.step()
        lost = [place for place in running if not math.isfinite(losses[place])]
        if lost:
            yield [(place, _diverged(losses[place], epoch)) for place in lost]
            running = [place for place in running if place not in lost]
        if not running:
            return
        if _is_due(training, epoch):
            with torch.no_grad():
                metrics = {name: values.tolist() for name, values in evaluate().items()}
            metrics["train_loss"] = losses
            common = {"epoch": epoch, "seconds": time.perf_counter() - start}
            yield [
                (place, {**common, **{name: values[place] for name, values in metrics.items()}})
                for place in running
            ]


def _is_due(training: Training, epoch: int) -> bool:
    return epoch % training.evaluate_every == 0 or epoch == training.epochs


def _diverged(loss: float, epoch: int) -> Diverged:
    return Diverged(f"training loss is {loss} in epoch {epoch}")


def _set_learning_rate(optimizer: torch.optim.Optimizer, training: Training, epoch: int) -> None:
    if training.schedule == "cosine":
        done = (epoch - 1) / training.epochs
        rate = training.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            set_learning_rate(group, rate)
