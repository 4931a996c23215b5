"""Say what is on an image: Show and Tell with any layer as the input map of its cell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rankbench.common.checks import one_of, positive_int, positive_ints
from rankbench.data.images.caption_sets import KIND, CaptionSet, load_captions
from rankbench.data.sets import catalog as sets
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.tasks.base import Context, Row, RunCost, Task
from rankbench.tasks.caption.scores import missing_packages, score
from rankbench.tasks.caption.vocabulary import Vocabulary, words
from rankbench.tasks.compatibility import check_cell
from rankbench.training.early_stopping import Monitor

if TYPE_CHECKING:
    from torch import Tensor

    from rankbench.tasks.base import Point
    from rankbench.tasks.caption.training import CaptionTrainer

# Flickr8k as published, for planning without the data.
PUBLISHED_CAPTIONS = 30_000
PUBLISHED_WORDS = 12
# Tensor operations of a training step (forward, backward, Adam), counted for LSTMs.
CALLS_A_STEP = 140
CALLS_A_CORE = 44


@dataclass(frozen=True, kw_only=True)
class Caption(Task):
    """Learn captions by teacher forcing, then write sentences for the test images.

    `data`: the name of a set that `rankbench data captions` stored, with its sides. `embedding`:
    features of a word and of a projected image, the inputs of the layer. `min_count`: how often a
    word must occur on the training side to be in the vocabulary. `beams`: widths of the search
    that writes, whose first one the scores in `runs` are of; `max_length`: words of a sentence at
    most. `standardise`: give each feature mean 0 and deviation 1 on the training images, without
    which words are learned long before the image counts. `validation`: follow the perplexity of the
    validation side, by which a run may stop early. `keep_sentences` stores what was written; it is
    no part of a point.

    Raises ValueError for a value out of its range. Source: Vinyals et al. 2015; BT Fig. 8.
    """

    name: ClassVar[str] = "caption"
    uses_cell: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    data: str = ""
    embedding: int = 512
    min_count: int = 5
    beams: Any = (3,)
    max_length: int = 20
    standardise: bool = True
    validation: bool = False
    keep_sentences: bool = field(default=True, metadata={"identity": None})

    def __post_init__(self) -> None:
        if not isinstance(self.data, str):
            raise ValueError(f"task.data must be the name of a set, got {self.data!r}")
        for name in ("embedding", "min_count", "max_length"):
            positive_int(f"task.{name}", getattr(self, name))
        beams = tuple(self.beams) if isinstance(self.beams, list | tuple) else self.beams
        positive_ints("task.beams", beams)
        object.__setattr__(self, "beams", beams)
        for name in ("standardise", "validation", "keep_sentences"):
            one_of(f"task.{name}", getattr(self, name), (True, False))

    def sizes(self) -> tuple[int, None]:
        return self.embedding, None

    def check(self, point: Point) -> None:
        check_cell(self, point)

    def monitor(self) -> Monitor | None:
        return ("validation_perplexity", "minimize") if self.validation else None

    def describe(self) -> dict[str, Any]:
        return {"dataset": self.data or None}

    def rows(self, point: Point) -> int:
        assert point.training is not None
        return point.training.batch_size * (PUBLISHED_WORDS + 2)

    def run_cost(self, point: Point) -> RunCost:
        """As if the data were Flickr8k as published, since it is not read for planning."""
        assert point.training is not None
        batches = math.ceil(PUBLISHED_CAPTIONS / point.training.batch_size)
        return RunCost(
            flops=3.0 * layer_cost(point.layer, self.rows(point)).flops,
            calls=CALLS_A_STEP + CALLS_A_CORE * len(point.layer.cores()),
            steps=point.training.epochs * batches,
        )

    def missing(self) -> str | None:
        if not self.data:
            return (
                "task.data is not set: give captions and features of images to `rankbench data"
                " captions NAME --captions FILE --features FILE`, then task.data=NAME"
            )
        if self.data not in sets.names():
            return sets.unknown(self.data, KIND)
        return missing_packages()

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        assert point.training is not None
        from rankbench.tasks.caption.model import Captioner
        from rankbench.tasks.caption.training import CaptionTrainer, side_of  # loads torch
        from rankbench.tasks.learning import learn

        missing = self.missing()
        if missing:
            raise ValueError(missing)
        data = load_captions(self.data)
        told = [words(caption) for place in data.on("train") for caption in data.captions[place]]
        vocabulary = Vocabulary(told, self.min_count)
        sides = {name: side_of(data, name, vocabulary) for name in self._sides()}
        model = Captioner(point, context, self.scaling(data), len(vocabulary))
        trainer = CaptionTrainer(model, data, sides, point.training, context)
        yield "runs", {**self._facts(data, trainer), "vocabulary": len(vocabulary)}
        yield "runs", model.cell.input_map.facts(self.rows(point))

        def summarise(record: dict[str, Any]) -> dict[str, Any]:
            scores = {
                key: value for key, value in record.items() if key not in ("epoch", "seconds")
            }
            return {**scores, "epochs": record["epoch"], "step_ms": trainer.step_ms}

        yield from learn(trainer, point, context, data_hash=data.data_hash, summarise=summarise)
        yield from self._written(data, trainer, vocabulary)

    def scaling(self, data: CaptionSet) -> tuple[Tensor, Tensor]:
        """Shift and scale of every feature, from the training images alone.

        A feature that is 0 on all of them is left as it is.
        """
        import torch

        seen = torch.from_numpy(np.asarray(data.vectors[data.on("train")])).double()
        mean, deviation = seen.mean(0), seen.std(0, correction=0)
        if not self.standardise:
            return torch.zeros_like(mean), torch.ones_like(mean)
        return mean, torch.where(deviation > 0, deviation, 1.0)

    def _sides(self) -> tuple[str, ...]:
        return ("train", *(["validation"] if self.validation else []), "test")

    def _facts(self, data: CaptionSet, trainer: CaptionTrainer) -> dict[str, Any]:
        """Sizes; ValueError where there is nothing to validate on."""
        if self.validation and not len(trainer.sides["validation"]):
            raise ValueError(f"task.validation: the set {self.data} has no validation side")
        sizes = {f"{name}_size": len(side) for name, side in trainer.sides.items()}
        model_params = sum(parameter.numel() for parameter in trainer.model.parameters())
        return {
            **self.describe(),
            **sizes,
            "model_params": model_params,
            "data_hash": data.data_hash,
        }

    def _written(
        self, data: CaptionSet, trainer: CaptionTrainer, vocabulary: Vocabulary
    ) -> Iterator[Row]:
        """The sentences of every width, their scores, and those of the first for `runs`."""
        places = data.on("test")
        references = [[" ".join(words(one)) for one in data.captions[place]] for place in places]
        for width in self.beams:
            said = trainer.sentences(places, vocabulary, width, self.max_length)
            scores = score([sentence for sentence, _ in said], references)
            yield "beams", {"beam": width, **scores}
            if width == self.beams[0]:
                yield "runs", {"beam": width, **scores}
            for place, (sentence, log_p) in zip(places, said, strict=True):
                if self.keep_sentences:
                    image = {"image_id": data.images[place], "beam": width}
                    yield "sentences", {**image, "sentence": sentence, "score": log_p}
