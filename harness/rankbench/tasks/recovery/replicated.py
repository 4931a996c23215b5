"""Train several replicates of a recovery as one stack of layers.

Letters: k replicates, o output features, i input features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float

from rankbench.tasks.recovery.sample import Distances, Moments, Sample
from rankbench.training.loop import train_together
from rankbench.training.settings import Diverged, Training

if TYPE_CHECKING:
    from torch import Tensor

    from rankbench.layers.stacked import StackedLinear

Pair = tuple["Tensor", "Tensor"]  # x and y of one replicate


def stack_samples(drawn: Iterable[Pair], dtype: torch.dtype | None) -> Distances | Sample:
    """Stack the samples of all replicates, or their sufficient statistics.

    Args:
        drawn: x and y of each replicate; an iterator that makes one at a time saves memory.
        dtype: The type of W, to reduce each sample to its second moments; None keeps the samples.
    """
    if dtype is None:
        return Sample(*(torch.stack(part) for part in zip(*drawn, strict=True)))
    moments = [Moments.of(x.double(), y.double()) for x, y in drawn]
    return Distances.of(Moments(*(torch.stack(part) for part in zip(*moments, strict=True))), dtype)


def second_moments(fresh: Iterable[Tensor]) -> Float[Tensor, "k i i"]:
    """Return the mean of x x^T over the test samples of each replicate."""
    return torch.stack([x.T @ x / len(x) for x in fresh])


def train_stack(
    model: StackedLinear,
    training: Training,
    W: Float[Tensor, "o i"],
    data: Distances | Sample,
    fresh: Float[Tensor, "k i i"],
) -> Iterator[list[tuple[int, dict[str, Any] | Diverged]]]:
    """Train all replicates at once, and yield their records.

    Args:
        model: A stack of layers, one per replicate.
        training: Training settings, the same for all replicates.
        W: The weight to recover.
        data: The training data that `stack_samples` returns.
        fresh: The test data that `second_moments` returns.

    Yields:
        Lists of pairs: the index of a replicate, and its record or the Diverged that ended it.
    """

    def backward() -> Tensor:
        V = model.weights()
        losses, gradient = data.loss_and_gradient(V.detach())
        V.backward(gradient.view_as(V))
        return losses

    def evaluate() -> dict[str, Tensor]:
        D = model.to_dense() - W
        predicted = ((D @ fresh) * D).sum((1, 2)).clamp(min=0) / len(W)
        return {"rmse": D.square().mean((1, 2)).sqrt(), "rmse_prediction": predicted.sqrt()}

    yield from train_together(model, training, len(fresh), backward=backward, evaluate=evaluate)
