"""Show and Tell: a cell that is shown an image first and then the words before.

Letters: b captions, T words of a caption and its end, f features of an image, e of a word,
v words of the vocabulary, h hidden.
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

_SPREAD = 0.08  # of the first embeddings, either side of 0: Vinyals et al. 2015, their code


class Captioner(nn.Module):
    """p(S_t | image, S_0 ... S_t-1) from a cell over x_-1 = P (image - shift) / scale, x_t = E S_t.

    S_0 is START; `scaling` is (shift, scale) of every feature. The softmax over the vocabulary has
    a matrix and a bias of its own. The cell's input map, (e to gates * h), is the point's layer,
    applied to all steps at once. `vocabulary`: v. Source: Vinyals et al. 2015, Eq. 10-12.
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
        torch.manual_seed(context.seed)  # of all but the cell, and of every dropout mask
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
        """-log p of each word of the captions, ends included, padding left out."""
        starts = torch.full_like(captions[:, :1], START)
        before = torch.cat([starts, captions[:, :-1]], dim=1)
        x = torch.cat([self._seen(images), self.embed(before)], dim=1)
        outputs, _ = self.cell(self.dropout(x))
        told = captions != PAD
        logits = self.head(outputs[:, 1:][told])
        return F.cross_entropy(self._wide(logits), captions[told], reduction="none")

    def gates(self) -> Float[Tensor, "v gates*h"]:
        """What the input map makes of every word: a table, since it is linear."""
        made: Tensor = self.cell.input_map(self.embed.weight)
        return made

    def begin(self, images: Float[Tensor, "b f"]) -> State:
        """The state after the image."""
        state: State = self.cell(self._seen(images))[1]
        return state

    def next(
        self, gates: Float[Tensor, "b gates*h"], state: State
    ) -> tuple[Float[Tensor, "b v"], State]:
        """log p of every word after the words whose rows of `gates()` these are; the new state."""
        outputs, state = self.cell.recur(gates[:, None], state, None)
        return F.log_softmax(self._wide(self.head(outputs[:, 0])), dim=1), state

    def _seen(self, images: Float[Tensor, "b f"]) -> Float[Tensor, "b 1 e"]:
        """x_-1."""
        made: Tensor = self.project((images.to(self.dtype) - self.shift) / self.scale)
        return made[:, None]

    def _wide(self, logits: Tensor) -> Tensor:
        """In float32 at least."""
        return logits if self.dtype == torch.float64 else logits.float()
