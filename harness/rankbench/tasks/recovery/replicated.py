"""Recover one weight from many samples at once: a replicate each, trained as one stack.

Letters: k replicates, o output features, i input features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float

from rankbench.tasks.base import Context, Replicate
from rankbench.tasks.recovery.sample import Distances, Moments, Sample
from rankbench.training.execution import Execution
from rankbench.training.loop import Diverged, train_together

if TYPE_CHECKING:
    from torch import Tensor

    from rankbench.tasks.point import Point
    from rankbench.tasks.recovery.task import Recovery


def train_stacked(
    task: Recovery, point: Point, contexts: Sequence[Context]
) -> Iterator[Sequence[Replicate]]:
    """What `task.run` yields with learner adam for each of `contexts`, which share a device."""
    from rankbench.layers.stacked import StackedLinear  # loads torch

    assert point.training is not None
    seeds, device = [context.seed for context in contexts], contexts[0].device
    W = task.true_weight().to(device, getattr(torch, point.dtype))
    model = StackedLinear(point.layer, seeds, dtype=W.dtype, device=device)
    params = {
        "model_params": point.layer.num_params,
        **Execution(device=device, dtype=point.dtype).facts(),
    }
    yield [(place, ("runs", params)) for place in range(len(seeds))]
    data, fresh = _samples(task, W, seeds)

    def backward() -> Tensor:
        V = model.weights()
        losses, gradient = data.loss_and_gradient(V.detach())
        V.backward(gradient.view_as(V))
        return losses

    def evaluate() -> dict[str, Tensor]:
        D = model.to_dense() - W
        predicted = ((D @ fresh) * D).sum((1, 2)).clamp(min=0) / task.out_features
        return {"rmse": D.square().mean((1, 2)).sqrt(), "rmse_prediction": predicted.sqrt()}

    running = set(range(len(seeds)))
    for records in train_together(
        model, point.training, len(seeds), backward=backward, evaluate=evaluate
    ):
        rows: list[Replicate] = []
        for place, record in records:
            if isinstance(record, Diverged):
                running.remove(place)
                rows.append((place, record))
            else:
                rows.extend((place, row) for row in task.record_rows(record))
        yield rows
    recovered = model.to_dense().detach()
    for place in running:
        yield [(place, row) for row in task.weight_rows(W, recovered[place])]


def _samples(
    task: Recovery, W: Float[Tensor, "o i"], seeds: Sequence[int]
) -> tuple[Distances | Sample, Float[Tensor, "k i i"]]:
    """What each replicate learns from, and the second moments of the fresh x that test it."""
    drawn, fresh = [], []
    for seed in seeds:
        x, y = task.draw_samples(W, seed)
        drawn.append(Moments.of(x.double(), y.double()) if task.statistics else (x, y))
        x_fresh = task.draw_fresh(W, seed)
        fresh.append(x_fresh.T @ x_fresh / task.fresh_samples)
    parts = [torch.stack(part) for part in zip(*drawn, strict=True)]
    data = Distances.of(Moments(*parts), W.dtype) if task.statistics else Sample(*parts)
    return data, torch.stack(fresh)
