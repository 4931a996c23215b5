"""Recover one weight from many samples at once: a replicate each, trained as one stack.

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
    """Return what all replicates learn from, as one stack.

    Args:
        drawn: x and y of each replicate, made one after the other to save memory.
        dtype: Type of W, to keep second moments instead of the samples; None keeps the samples.
    """
    if dtype is None:
        return Sample(*(torch.stack(part) for part in zip(*drawn, strict=True)))
    moments = [Moments.of(x.double(), y.double()) for x, y in drawn]
    return Distances.of(Moments(*(torch.stack(part) for part in zip(*moments, strict=True))), dtype)


def second_moments(fresh: Iterable[Tensor]) -> Float[Tensor, "k i i"]:
    """Return the mean of x x^T over the fresh samples that test each replicate."""
    return torch.stack([x.T @ x / len(x) for x in fresh])


def train_stack(
    model: StackedLinear,
    training: Training,
    W: Float[Tensor, "o i"],
    data: Distances | Sample,
    fresh: Float[Tensor, "k i i"],
) -> Iterator[list[tuple[int, dict[str, Any] | Diverged]]]:
    """Train all replicates of `model` and yield their records, each with its place in the stack.

    Args:
        model: A stack of layers, one a replicate.
        training: Epochs, learning rate and so on, for all of them.
        W: The weight to recover.
        data: What they learn from, by `stack_samples`.
        fresh: What tests them, by `second_moments`.
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
