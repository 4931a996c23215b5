"""The trainer of captions: batches, loss and perplexity, and writing sentences after training.

Letters: b captions, T words of a caption with END, f features of an image.
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

EVALUATION_BATCH = 256  # Captions in a batch of validation and test.
SEARCH_ROWS = 600  # Beams that are searched at a time, those of all images together.

Batch = tuple[Float[Tensor, "b f"], Int64[Tensor, "b T"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """The captions of one side of a set."""

    places: Sequence[int]
    """Index in the set of each caption's image."""
    captions: Sequence[Sequence[int]]
    """Numbers of each caption's words."""

    def __len__(self) -> int:
        return len(self.captions)


def side_of(data: CaptionSet, name: str, vocabulary: Vocabulary) -> Side:
    """Collect and encode all captions of a side of the set: train, validation or test."""
    pairs = [(image, caption) for image in data.on(name) for caption in data.captions[image]]
    return Side(
        places=[image for image, _ in pairs],
        captions=[vocabulary.encode(words(caption)) for _, caption in pairs],
    )


def padded(captions: Sequence[Sequence[int]]) -> Int64[Tensor, "b T"]:
    """Stack captions as rows of a tensor, with PAD after the shorter ones.

    Example:
        >>> padded([[7, 8, 2], [9, 2]]).tolist()
        [[7, 8, 2], [9, 2, 0]]
    """
    longest = max(map(len, captions))
    return torch.tensor([[*caption, *[PAD] * (longest - len(caption))] for caption in captions])


class CaptionTrainer:
    """Batches, loss and perplexity for the training loop; a batch has captions of similar length.

    Args:
        model: The network.
        data: The set.
        sides: Captions by side: train, test, and validation if it is recorded.
        training: Batch size.
        context: Seed and device.
    """

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
        self._step_s: list[float] = []

    @property
    def step_ms(self) -> float | None:
        """Median milliseconds of a training step so far, with making its batch; None before one."""
        return 1e3 * statistics.median(self._step_s) if self._step_s else None

    def batches(self) -> Iterator[Batch]:
        """Iterate over the training side once, in a new random order each time.

        Captions are shuffled and sorted by length, so that those of a batch have similar lengths;
        then the batches are shuffled.
        """
        side = self.sides["train"]
        by_length = torch.randperm(len(side), generator=self.order).tolist()
        by_length.sort(key=lambda index: len(side.captions[index]))
        size = self.training.batch_size
        starts = range(0, len(side), size)
        for turn in torch.randperm(len(starts), generator=self.order).tolist():
            began = time.perf_counter()
            yield self._batch(side, by_length[starts[turn] : starts[turn] + size])
            if self.device == "cuda":
                torch.cuda.synchronize()
            self._step_s.append(time.perf_counter() - began)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean -log p of the words of a batch, in nats."""
        return self.model.nats(*batch).mean()

    def evaluate(self) -> dict[str, float]:
        """Return the perplexity of the test side, and of the validation side if there is one."""
        names = {"test": "perplexity", "validation": "validation_perplexity"}
        return {
            names[name]: self.perplexity(side) for name, side in self.sides.items() if name in names
        }

    def perplexity(self, side: Side) -> float:
        """Return exp of the mean -log p of a word; END counts as a word.

        Words that are not in the vocabulary count as the one word UNKNOWN.
        """
        order = sorted(range(len(side)), key=lambda index: len(side.captions[index]))
        total, count = 0.0, 0
        for start in range(0, len(order), EVALUATION_BATCH):
            nats = self.model.nats(*self._batch(side, order[start : start + EVALUATION_BATCH]))
            total, count = total + nats.double().sum().item(), count + len(nats)
        return float(np.exp(total / count))

    @torch.no_grad()
    def sentences(
        self, places: Sequence[int], vocabulary: Vocabulary, width: int, max_length: int
    ) -> list[tuple[str, float]]:
        """Write a sentence for each image by beam search.

        Args:
            places: Indices of the images in the set.
            vocabulary: The words by number.
            width: Width of the beam search.
            max_length: Most words of a sentence.

        Returns:
            The sentence of each image and its log p.
        """
        self.model.eval()
        table, sentences = self.model.gates(), []
        at_once = max(1, SEARCH_ROWS // width)
        for start in range(0, len(places), at_once):
            state = self.model.begin(self._images(places[start : start + at_once]))
            numbers, scores = beam_search(
                state, lambda last, now: self.model.next(table[last], now), width, max_length
            )
            decoded = [vocabulary.decode(row) for row in numbers.tolist()]
            sentences += list(zip(decoded, scores.tolist(), strict=True))
        return sentences

    def _batch(self, side: Side, chosen: Sequence[int]) -> Batch:
        captions = padded([side.captions[index] for index in chosen])
        return self._images([side.places[index] for index in chosen]), captions.to(self.device)

    def _images(self, places: Sequence[int]) -> Float[Tensor, "b f"]:
        vectors = torch.from_numpy(np.asarray(self.data.vectors[list(places)]))
        return vectors.to(self.device, self.model.dtype)
