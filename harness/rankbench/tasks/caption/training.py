"""What the training loop asks of captions: batches, loss, perplexity; and the sentences after it.

Letters: b captions, T words of a caption and its end, f features of an image.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rankbench.data.images.caption_sets import CaptionSet
from rankbench.tasks.base import Context
from rankbench.tasks.caption.beam_search import beam_search
from rankbench.tasks.caption.model import Captioner
from rankbench.tasks.caption.vocabulary import PAD, Vocabulary, words
from rankbench.training.settings import Training

EVALUATION_BATCH = 256  # captions at a time when nothing is learned
SEARCH_ROWS = 600  # beams at a time

Batch = tuple[Float[Tensor, "b f"], Int64[Tensor, "b T"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """Captions of one side: `captions` as numbers, and the place in the set of each one's image."""

    places: Sequence[int]
    captions: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.captions)


def side_of(data: CaptionSet, name: str, vocabulary: Vocabulary) -> Side:
    """Every caption of a side."""
    told = [(place, caption) for place in data.on(name) for caption in data.captions[place]]
    return Side(
        places=[place for place, _ in told],
        captions=[vocabulary.encode(words(caption)) for _, caption in told],
    )


def padded(captions: Sequence[Sequence[int]]) -> Int64[Tensor, "b T"]:
    """Captions as rows, PAD behind the shorter ones."""
    longest = max(map(len, captions))
    return torch.tensor([[*one, *[PAD] * (longest - len(one))] for one in captions])


class CaptionTrainer:
    """Batches of captions of about one length, their loss, and perplexities of the other sides."""

    def __init__(
        self,
        model: Captioner,
        data: CaptionSet,
        sides: dict[str, Side],
        training: Training,
        context: Context,
    ) -> None:
        self.model, self.data, self.sides = model, data, sides
        self.training, self.device = training, context.device
        self.order = torch.Generator().manual_seed(context.seed)
        self._steps: list[float] = []  # seconds

    @property
    def step_ms(self) -> float | None:
        """Median time of a training step so far, making its batch included."""
        return 1e3 * statistics.median(self._steps) if self._steps else None

    def batches(self) -> Iterator[Batch]:
        """The training side once, in a new order every time; captions of near length together."""
        side = self.sides["train"]
        mixed = torch.randperm(len(side), generator=self.order).tolist()
        mixed.sort(key=lambda at: len(side.captions[at]))
        size = self.training.batch_size
        starts = range(0, len(side), size)
        for turn in torch.randperm(len(starts), generator=self.order).tolist():
            begun = time.perf_counter()
            yield self._batch(side, mixed[starts[turn] : starts[turn] + size])
            if self.device == "cuda":
                torch.cuda.synchronize()
            self._steps.append(time.perf_counter() - begun)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Mean -log p of the words of a batch."""
        return self.model.nats(*batch).mean()

    def evaluate(self) -> dict[str, float]:
        """exp of the mean -log p of a word or an end, of the test side and of a validation side."""
        names = {"test": "perplexity", "validation": "validation_perplexity"}
        return {
            names[name]: self.perplexity(side) for name, side in self.sides.items() if name in names
        }

    def perplexity(self, side: Side) -> float:
        """That of one side; words that are not in the vocabulary count as the one UNKNOWN."""
        order = sorted(range(len(side)), key=lambda at: len(side.captions[at]))
        total, count = 0.0, 0
        for start in range(0, len(order), EVALUATION_BATCH):
            nats = self.model.nats(*self._batch(side, order[start : start + EVALUATION_BATCH]))
            total, count = total + nats.double().sum().item(), count + len(nats)
        return float(np.exp(total / count))

    @torch.no_grad()
    def sentences(
        self, places: Sequence[int], vocabulary: Vocabulary, width: int, max_length: int
    ) -> list[tuple[str, float]]:
        """The best sentence for each image, by a beam search of `width`; its log p."""
        self.model.eval()
        table, said = self.model.gates(), []
        at_once = max(1, SEARCH_ROWS // width)
        for start in range(0, len(places), at_once):
            state = self.model.begin(self._images(places[start : start + at_once]))
            numbers, scores = beam_search(
                state, lambda last, now: self.model.next(table[last], now), width, max_length
            )
            told = [vocabulary.decode(one) for one in numbers.tolist()]
            said += list(zip(told, scores.tolist(), strict=True))
        return said

    def _batch(self, side: Side, chosen: Sequence[int]) -> Batch:
        captions = padded([side.captions[at] for at in chosen])
        return self._images([side.places[at] for at in chosen]), captions.to(self.device)

    def _images(self, places: Sequence[int]) -> Float[Tensor, "b f"]:
        vectors = torch.from_numpy(np.asarray(self.data.vectors[list(places)]))
        return vectors.to(self.device, self.model.dtype)
