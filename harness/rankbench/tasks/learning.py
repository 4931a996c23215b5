"""Training a model as a task does it: the rows of every epoch, and what they come to so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from rankbench.tasks.base import Context, Point, Row
from rankbench.training.execution import Execution
from rankbench.training.loop import train
from rankbench.training.resume import Checkpointer

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Trainer(Protocol):
    """A model with its data: what the training loop calls, and the generator of its batches."""

    @property
    def model(self) -> nn.Module:
        """The model that is trained."""

    @property
    def order(self) -> torch.Generator:
        """The generator that draws the order of the batches."""

    def batches(self) -> Iterable[Any]:
        """Return the batches of one epoch."""

    def loss(self, batch: Any) -> Tensor:
        """Return the scalar to minimise."""

    def evaluate(self) -> dict[str, Any]:
        """Return the metrics after an epoch."""


def learn(
    trainer: Trainer,
    point: Point,
    context: Context,
    *,
    data_hash: str,
    summarise: Callable[[dict[str, Any]], dict[str, Any]],
) -> Iterator[Row]:
    """Train as `point` and `context` say, and yield the rows of each epoch.

    Args:
        trainer: The model with its data.
        point: Task, training and compute.
        context: The device, and the checkpoint to resume from and to write.
        data_hash: Hash of the data. A checkpoint made with other data is not used.
        summarise: Maps an epoch's record to the columns of `runs` as they are by then.

    Yields:
        For every record of `train` a row of `epochs`, then one of `runs`.
    """
    assert point.training is not None
    execution = Execution(point.compute, context.device, point.dtype)
    checkpointer = Checkpointer(context.checkpoint, data=data_hash, order=trainer.order)
    for record in train(
        trainer.model,
        point.training,
        batches=trainer.batches,
        loss=trainer.loss,
        evaluate=trainer.evaluate,
        execution=execution,
        checkpointer=checkpointer,
        monitor=point.task.monitor(),
    ):
        yield "epochs", record
        yield "runs", {**summarise(record), **execution.facts(), **checkpointer.facts()}
