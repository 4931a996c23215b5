"""The Show and Tell network: a cell that sees an image and then the previous words.

Letters: b captions, T words of a caption with END, f features of an image, e of a word,
v words of the vocabulary, h hidden units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from rankbench.cells.modules import State, build_cell
from rankbench.tasks.base import Context
from rankbench.tasks.caption.vocabulary import PAD, START
from rankbench.training.dropout import WideDropout

if TYPE_CHECKING:
    from rankbench.tasks.base import Point

# Initial embeddings are drawn between minus and plus this value, as in the code of Vinyals et al.
_SPREAD = 0.08


class Captioner(nn.Module):
    """A cell that predicts p(S_t | image, S_0 ... S_t-1), the probability of every next word.

        x_-1 = P (image - shift) / scale,    x_t = E S_t for t >= 0,    S_0 = START

    The cell runs over x_-1, x_0, ..., and a softmax with its own matrix and bias turns its hidden
    state into probabilities. The cell's input map (e to gates * h) is the point's layer, applied to
    all steps at once.

    Source: Vinyals et al. 2015, Eq. 10-12.

    Args:
        point: Cell, layer, dtype and dropout rates.
        context: Seed and device.
        scaling: Shift and scale of every image feature.
        vocabulary: Number of words, v.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        point: Point,
        context: Context,
        scaling: tuple[Float[Tensor, " f"], Float[Tensor, " f"]],
        vocabulary: int,
    ) -> None:
        super().__init__()
        assert point.cell is not None
        assert point.training is not None
        self.dtype: torch.dtype = getattr(torch, point.dtype)
        size, hidden = point.layer.in_features, point.cell.hidden_size
        torch.manual_seed(context.seed)  # Seeds all weights but the cell's, and dropout masks.
        kind = {"device": context.device, "dtype": self.dtype}
        for name, values in zip(("shift", "scale"), scaling, strict=True):
            self.register_buffer(name, values.to(**kind), persistent=False)
        self.project = nn.Linear(len(scaling[0]), size, **kind)
        self.embed = nn.Embedding(vocabulary, size, **kind)
        nn.init.uniform_(self.embed.weight, -_SPREAD, _SPREAD)
        self.head = nn.Linear(hidden, vocabulary, **kind)
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

    def nats(
        self, images: Float[Tensor, "b f"], captions: Int64[Tensor, "b T"]
    ) -> Float[Tensor, " n"]:
        """Return -log p of each word of the captions, in nats.

        END counts as a word; padding is left out.
        """
        starts = torch.full_like(captions[:, :1], START)
        previous = torch.cat([starts, captions[:, :-1]], dim=1)
        x = torch.cat([self._image_input(images), self.embed(previous)], dim=1)
        outputs, _ = self.cell(self.dropout(x))
        is_word = captions != PAD
        logits = self.head(outputs[:, 1:][is_word])
        return F.cross_entropy(self._wide(logits), captions[is_word], reduction="none")

    def gates(self) -> Float[Tensor, "v gates*h"]:
        """Apply the input map to the embedding of every word, as a table for `next`."""
        table: Tensor = self.cell.input_map(self.embed.weight)
        return table

    def begin(self, images: Float[Tensor, "b f"]) -> State:
        """Return the state of the cell after it has seen the images."""
        state: State = self.cell(self._image_input(images))[1]
        return state

    def next(
        self, gates: Float[Tensor, "b gates*h"], state: State
    ) -> tuple[Float[Tensor, "b v"], State]:
        """Compute log p of every next word.

        Args:
            gates: The rows of `gates()` of the last words.
            state: State of the cell before these words.

        Returns:
            log p of every next word, and the new state.
        """
        outputs, state = self.cell.recur(gates[:, None], state, None)
        return F.log_softmax(self._wide(self.head(outputs[:, 0])), dim=1), state

    def _image_input(self, images: Float[Tensor, "b f"]) -> Float[Tensor, "b 1 e"]:
        """Return the first input of the cell, x_-1."""
        projected: Tensor = self.project((images.to(self.dtype) - self.shift) / self.scale)
        return projected[:, None]

    def _wide(self, logits: Tensor) -> Tensor:
        """Convert logits to float32 unless they are float64, for an exact softmax."""
        return logits if self.dtype == torch.float64 else logits.float()
