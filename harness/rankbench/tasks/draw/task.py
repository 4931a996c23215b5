"""Draw pictures of digits glimpse by glimpse: DRAW, with any layer as its encoder's input map."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rankbench.common.checks import check_int_at_least, one_of, positive_int
from rankbench.data.images.digits import Digits, load_digits
from rankbench.data.images.mnist import SIDE
from rankbench.data.sets import catalog as sets
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.tasks.base import Context, Point, Row, RunCost, Task
from rankbench.tasks.compatibility import check_cell
from rankbench.training.early_stopping import Monitor

if TYPE_CHECKING:
    from torch import Tensor

    from rankbench.tasks.draw.model import Drawer

BINARISE = ("sample", "threshold")
HELD_OUT = 12  # one in so many training images is validated on, 5 000 of MNIST's
UNUSED = ("input_dropout", "recurrent_dropout", "head_l2")

# MNIST's training side, for planning without the data, and tensor operations of a step.
PUBLISHED_IMAGES = 60_000
CALLS_A_STEP = 150
CALLS_A_GLIMPSE = 110
CALLS_A_CORE = 44


@dataclass(frozen=True, kw_only=True)
class Draw(Task):
    """Learn to draw digits in `glimpses` T steps, by the bound on their likelihood in nats.

    `images`: the name of a set that `rankbench data mnist` stored; empty for the 1797 digits of
    8 x 8 pixels that scikit-learn ships, enlarged to 28 x 28. `binarise`: `sample`, a pixel is 1
    with its brightness as probability, drawn once by `data_seed`; `threshold`, above one half.
    `validation`: hold one in 12 training images out, by which a run may stop early.

    The encoder is the point's cell, whose input map is the point's layer. It takes what is read
    and the decoder's state: 2 * 28 * 28 + `decoder_size` features, and 2 * `read_size`^2 +
    `decoder_size` with `attention`, by grids of `read_size` and `write_size` filters along a side.
    The decoder is a dense LSTM; `latent_size`: latents of a glimpse.

    Raises ValueError for a value out of its range. Source: Gregor et al., DRAW, ICML 2015; BT
    Fig. 7.
    """

    name: ClassVar[str] = "draw"
    uses_cell: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    images: str = ""
    binarise: str = "sample"
    data_seed: int = 0
    validation: bool = False
    glimpses: int = 64
    attention: bool = False
    read_size: int = 2
    write_size: int = 5
    latent_size: int = 100
    decoder_size: int = 256

    def __post_init__(self) -> None:
        if not isinstance(self.images, str):
            raise ValueError(f"task.images must be the name of a set, got {self.images!r}")
        one_of("task.binarise", self.binarise, BINARISE)
        check_int_at_least("task.data_seed", self.data_seed, 0)
        for name in ("validation", "attention"):
            one_of(f"task.{name}", getattr(self, name), (True, False))
        for name in ("glimpses", "latent_size", "decoder_size"):
            positive_int(f"task.{name}", getattr(self, name))
        for name in ("read_size", "write_size"):  # the stride of a grid is of two filters
            check_int_at_least(f"task.{name}", getattr(self, name), 2)

    def sizes(self) -> tuple[int, None]:
        side = self.read_size if self.attention else SIDE
        return 2 * side**2 + self.decoder_size, None  # the image and what the canvas lacks

    def check(self, point: Point) -> None:
        check_cell(self, point)
        assert point.training is not None
        for name in UNUSED:
            if getattr(point.training, name):
                raise ValueError(
                    f"training.{name} must be 0 with task draw, which has no such thing,"
                    f" got {getattr(point.training, name)}"
                )
        if point.dtype == "bfloat16":
            raise ValueError(
                "dtype must be float32 or float64 with task draw, got bfloat16; products may be"
                " in it: compute.precision=bfloat16"
            )

    def monitor(self) -> Monitor | None:
        return ("validation_nats", "minimize") if self.validation else None

    def describe(self) -> dict[str, Any]:
        names = ("glimpses", "attention", "binarise")
        return {name: getattr(self, name) for name in names}

    def missing(self) -> str | None:
        known = not self.images or self.images in sets.names()
        return None if known else sets.unknown(self.images, "images")

    def rows(self, point: Point) -> int:
        assert point.training is not None
        return point.training.batch_size

    def run_cost(self, point: Point) -> RunCost:
        """As if the images were MNIST's, since they are not read for planning."""
        assert point.cell is not None
        assert point.training is not None
        batch, hidden, drawn = point.training.batch_size, point.cell.hidden_size, self.decoder_size
        beside = hidden * (point.cell.gates * hidden + 2 * self.latent_size)
        beside += drawn * (4 * (drawn + self.latent_size) + SIDE**2)
        flops = 3.0 * (layer_cost(point.layer, batch).flops + 2 * batch * beside)
        calls = CALLS_A_GLIMPSE + CALLS_A_CORE * len(point.layer.cores())
        return RunCost(
            flops=self.glimpses * flops,
            calls=CALLS_A_STEP + self.glimpses * calls,
            steps=point.training.epochs * math.ceil(PUBLISHED_IMAGES / batch),
        )

    def drawer(self, point: Point, context: Context) -> Drawer:
        """Return the network of a point, with the weights of a context's seed."""
        from rankbench.tasks.draw.model import Drawer  # loads torch

        return Drawer(
            point,
            context,
            glimpses=self.glimpses,
            decoder_size=self.decoder_size,
            latent_size=self.latent_size,
            grids=(self.read_size, self.write_size) if self.attention else None,
        )

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        from rankbench.tasks.draw.pictures import pictures
        from rankbench.tasks.draw.training import DrawTrainer, NatsScores  # loads torch
        from rankbench.tasks.learning import learn

        assert point.training is not None
        digits = load_digits(self.images)
        sides = self.sides(digits)
        model = self.drawer(point, context)
        yield (
            "runs",
            {
                **model.encoder.input_map.facts(point.training.batch_size),
                **{f"{name}_size": len(side) for name, side in sides.items()},
                "model_params": sum(parameter.numel() for parameter in model.parameters()),
                "dataset": digits.dataset,
                "data_hash": digits.data_hash,
            },
        )
        trainer = DrawTrainer(model, sides, point.training.batch_size, context.seed, context.device)
        scores = NatsScores()

        def summarise(record: dict[str, Any]) -> dict[str, Any]:
            return {**scores.add(record), **trainer.interval, "step_ms": trainer.step_ms()}

        yield from learn(trainer, point, context, data_hash=digits.data_hash, summarise=summarise)
        for name, content in pictures(model, trainer.sides["test"], self.data_seed).items():
            yield "artifacts", {"name": name, "content": content}

    def sides(self, digits: Digits) -> dict[str, Tensor]:
        """Binary pictures of the sides train, validation (may be empty) and test."""
        import torch

        from rankbench.tasks.draw.training import binarised  # loads torch

        generator = torch.Generator().manual_seed(self.data_seed)
        whole = binarised(digits.train, self.binarise, generator)
        test = binarised(digits.test, self.binarise, generator)
        order = torch.randperm(len(whole), generator=generator)
        held = order[: len(whole) // HELD_OUT * self.validation]
        kept = torch.ones(len(whole), dtype=torch.bool).index_fill(0, held, False)
        return {"train": whole[kept], "validation": whole[held], "test": test}
