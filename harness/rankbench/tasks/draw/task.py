"""Task `draw`: train DRAW on pictures of digits, with any layer as its encoder's input map."""

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
HELD_OUT = 12  # One of this many training images is held out for validation: 5 000 of MNIST's.
UNUSED = ("input_dropout", "recurrent_dropout", "head_l2")

# The training side of MNIST and the tensor operations of a step, for time estimates without data.
PUBLISHED_IMAGES = 60_000
CALLS_A_STEP = 150
CALLS_A_GLIMPSE = 110
CALLS_A_CORE = 44


@dataclass(frozen=True, kw_only=True)
class Draw(Task):
    """Train DRAW on pictures of digits, by the bound on their likelihood in nats.

    The encoder is the point's cell, with the point's layer as its input map; the decoder is a dense
    LSTM. The encoder's input is the glimpse and the decoder's state. It has
    2 * 28 * 28 + `decoder_size` features, or 2 * `read_size`^2 + `decoder_size` with `attention`.

    Source: Gregor et al., DRAW, ICML 2015; BT Fig. 7.

    Raises:
        ValueError: A value is out of its range.

    Example:
        >>> Draw().sizes(), Draw(attention=True).sizes()
        ((1824, None), (264, None))
    """

    name: ClassVar[str] = "draw"
    uses_cell: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    images: str = ""
    """Name of a set stored by `rankbench data mnist`.

    Empty for the 1797 digits of scikit-learn, enlarged from 8 x 8 to 28 x 28 pixels.
    """
    binarise: str = "sample"
    """sample sets a pixel with its brightness as probability; threshold, if above one half."""
    data_seed: int = 0
    """Seed of the sampled pixels and of the validation side."""
    validation: bool = False
    """Whether to hold out one in 12 training images, for early stopping and pruning."""
    glimpses: int = 64
    """Steps in which a picture is read and drawn, T."""
    attention: bool = False
    """Whether to read and write through grids of Gaussian filters."""
    read_size: int = 2
    """Filters along a side of the reading grid; 2 or more."""
    write_size: int = 5
    """Filters along a side of the writing grid; 2 or more."""
    latent_size: int = 100
    """Latents of a glimpse."""
    decoder_size: int = 256
    """Hidden units of the decoder."""

    def __post_init__(self) -> None:
        if not isinstance(self.images, str):
            raise ValueError(f"task.images must be the name of a set, got {self.images!r}")
        one_of("task.binarise", self.binarise, BINARISE)
        check_int_at_least("task.data_seed", self.data_seed, 0)
        for name in ("validation", "attention"):
            one_of(f"task.{name}", getattr(self, name), (True, False))
        for name in ("glimpses", "latent_size", "decoder_size"):
            positive_int(f"task.{name}", getattr(self, name))
        for name in ("read_size", "write_size"):  # The stride of a grid needs two filters.
            check_int_at_least(f"task.{name}", getattr(self, name), 2)

    def sizes(self) -> tuple[int, None]:
        side = self.read_size if self.attention else SIDE
        return 2 * side**2 + self.decoder_size, None  # The picture, its error and the state.

    def check(self, point: Point) -> None:
        check_cell(self, point)
        assert point.training is not None
        for name in UNUSED:
            if getattr(point.training, name):
                raise ValueError(
                    f"training.{name} must be 0 with task draw, which does not use it;"
                    f" got {getattr(point.training, name)}"
                )
        if point.dtype == "bfloat16":
            raise ValueError(
                "dtype must be float32 or float64 with task draw, got bfloat16; to compute only"
                " the products in bfloat16, set compute.precision=bfloat16"
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
        """Estimate the size of a run from that of MNIST; the images are not read."""
        assert point.cell is not None
        assert point.training is not None
        batch, hidden, drawn = point.training.batch_size, point.cell.hidden_size, self.decoder_size
        other = hidden * (point.cell.gates * hidden + 2 * self.latent_size)
        other += drawn * (4 * (drawn + self.latent_size) + SIDE**2)
        flops = 3.0 * (layer_cost(point.layer, batch).flops + 2 * batch * other)
        calls = CALLS_A_GLIMPSE + CALLS_A_CORE * len(point.layer.cores())
        return RunCost(
            flops=self.glimpses * flops,
            calls=CALLS_A_STEP + self.glimpses * calls,
            steps=point.training.epochs * math.ceil(PUBLISHED_IMAGES / batch),
        )

    def drawer(self, point: Point, context: Context) -> Drawer:
        """Build the network of a point, with weights drawn from the seed of the context."""
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
        """Return the binary pictures of the sides train, validation (may be empty) and test."""
        import torch

        from rankbench.tasks.draw.training import binarised  # loads torch

        generator = torch.Generator().manual_seed(self.data_seed)
        train = binarised(digits.train, self.binarise, generator)
        test = binarised(digits.test, self.binarise, generator)
        order = torch.randperm(len(train), generator=generator)
        held_out = order[: len(train) // HELD_OUT * self.validation]
        used = torch.ones(len(train), dtype=torch.bool).index_fill(0, held_out, False)
        return {"train": train[used], "validation": train[held_out], "test": test}
