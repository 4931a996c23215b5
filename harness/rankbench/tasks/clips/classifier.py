"""The network that classifies clips, and its trainer: batches, loss and accuracy.

Letters: c clips, b clips of a batch, t time steps, f features of a frame, k classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from rankbench.cells.modules import build_cell
from rankbench.data.clips import Clips
from rankbench.data.split import Sides
from rankbench.tasks.base import Context
from rankbench.tasks.clips.sampling import drawn, spread
from rankbench.training.dropout import WideDropout
from rankbench.training.prefetch import DeviceLoader
from rankbench.training.settings import Training

if TYPE_CHECKING:
    from rankbench.tasks.base import Point

EVALUATION_BATCH = 64  # Clips in a batch of validation and test.


class ClipClassifier(nn.Module):
    """A cell over the frames of a clip, with a linear head on its last hidden state.

    Frames are normalised, and in training some of their values are dropped out.

    Args:
        point: Cell, layer, dtype and dropout rates.
        context: Seed and device.
        classes: Number of classes, k.
        normalise: (shift, scale); a value p enters as (p - shift) / scale.
    """

    def __init__(
        self, point: Point, context: Context, classes: int, normalise: tuple[float, float]
    ) -> None:
        super().__init__()
        assert point.cell is not None
        assert point.training is not None
        self.shift, self.scale = normalise
        self.dtype: torch.dtype = getattr(torch, point.dtype)
        torch.manual_seed(context.seed)  # Seeds the head and all dropout masks.
        head = nn.Linear(point.cell.hidden_size, classes, dtype=self.dtype)
        self.head = head.to(context.device)
        self.dropout = WideDropout(point.training.input_dropout)
        self.cell = build_cell(
            point.cell,
            point.layer,
            context.seed,
            self.dtype,
            context.device,
            recurrent_dropout=point.training.recurrent_dropout,
            precision=point.compute.products(self.dtype),
        )

    def forward(self, frames: Shaped[Tensor, "b t f"]) -> Float[Tensor, "b k"]:
        """Return the logit of every class, in float32 or float64."""
        x = frames.to(self.dtype).sub_(self.shift).div_(self.scale)
        outputs, _ = self.cell(self.dropout(x))
        logits: Tensor = self.head(outputs[:, -1])
        return logits if self.dtype == torch.float64 else logits.float()


class ClassifierTrainer:
    """Batches, loss and accuracy for the training loop.

    Frames are copied to the device one batch at a time, in the type in which they are stored.

    Args:
        model: The network.
        clips: The data.
        labels: Class of every clip.
        sides: Indices of the clips for training, validation and test.
        training: Batch size and `head_l2`.
        context: Seed and device.
        shown: Frames that the network sees of each clip.
        random: Whether training draws frames at random instead of spreading them evenly.
    """

    def __init__(
        self,
        model: ClipClassifier,
        clips: Clips,
        labels: Int64[Tensor, " c"],
        sides: Sides,
        training: Training,
        context: Context,
        *,
        shown: int,
        random: bool = False,
    ) -> None:
        self.model, self.labels, self.shown, self.random = model, labels, shown, random
        self.rows, self.first = clips.rows, torch.from_numpy(clips.first)
        self.count = torch.from_numpy(clips.count)
        self.sides = {name: torch.from_numpy(side) for name, side in vars(sides).items()}
        self.training, self.device = training, context.device
        self.order = torch.Generator().manual_seed(context.seed)
        self.loader = DeviceLoader(context.device)
        self.right = torch.zeros((), dtype=torch.int64, device=self.device)

    def batches(self) -> Iterator[tuple[Tensor, ...]]:
        """Iterate over the training side once, in a new random order each time."""
        self.right.zero_()
        side = self.sides["train"]
        side = side[torch.randperm(len(side), generator=self.order)]
        steps = drawn(self.shown, self.count[side], self.order) if self.random else None
        return self._load(side, self.training.batch_size, steps)

    def loss(self, batch: tuple[Tensor, ...]) -> Float[Tensor, ""]:
        """Return the cross-entropy plus head_l2 times the squared norm of the head's matrix."""
        frames, labels = batch
        logits = self.model(frames)
        self.right.add_((logits.detach().argmax(1) == labels).sum())
        penalty = self.training.head_l2 * self.model.head.weight.square().sum()
        return F.cross_entropy(logits, labels) + penalty

    def evaluate(self) -> dict[str, float]:
        """Return the accuracies: of this epoch's training batches, validation and test."""
        shares = {"train_accuracy": int(self.right) / len(self.sides["train"])}
        if len(self.sides["validation"]):
            shares["validation_accuracy"] = self._accuracy(self.sides["validation"])
        return {**shares, "accuracy": self._accuracy(self.sides["test"])}

    def _accuracy(self, side: Tensor) -> float:
        batches = self._load(side, EVALUATION_BATCH)
        right = sum((self.model(frames).argmax(1) == labels).sum() for frames, labels in batches)
        return int(right) / len(side)

    def _load(
        self, side: Tensor, size: int, steps: Tensor | None = None
    ) -> Iterator[tuple[Tensor, ...]]:
        """Iterate over batches of clips, with the given `steps` (clips, shown) or even ones."""
        if steps is None:
            steps = spread(self.shown, self.count[side])
        return self.loader(self._gather(side, size, steps))

    def _gather(self, side: Tensor, size: int, steps: Tensor) -> Iterator[tuple[Tensor, ...]]:
        rows = self.first[side, None] + steps
        for start in range(0, len(side), size):
            chosen = rows[start : start + size].numpy()
            labels = self.labels[side[start : start + size]]
            yield torch.from_numpy(np.asarray(self.rows[chosen])), labels
