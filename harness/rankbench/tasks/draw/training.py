"""What the training loop asks of DRAW: batches of one side, the loss, the bound on the others.

Letters: n pictures, b pictures of a batch, p pixels.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rankbench.data.images.mnist import Bytes
from rankbench.tasks.draw.model import Drawer

EVALUATION_BATCH = 250  # pictures at a time when nothing is learned
_Z = 1.96  # half of a 95 % interval, in standard errors: thousands of pictures are averaged


def binarised(pixels: Bytes, how: str, generator: torch.Generator) -> UInt8[Tensor, "n p"]:
    """Pixels from 0 to 255 as 0 or 1, `sample`d with their brightness or by a `threshold` of half.

    Sampled once and for all, as in R. Salakhutdinov and I. Murray, On the quantitative analysis of
    deep belief networks, ICML 2008; the draw is our own.
    """
    levels = torch.from_numpy(pixels)
    if how == "threshold":
        return (levels > 127).to(torch.uint8)
    chunks = levels.split(10_000)  # as many floats at a time
    return torch.cat([(torch.rand(c.shape, generator=generator) < c / 255).byte() for c in chunks])


class DrawTrainer:
    """Batches in a new order every epoch, the negative ELBO as loss and as metric, in nats.

    `sides`: pictures by side (n, p), 0 or 1; a validation side may be empty. `evaluate` draws
    one sample a picture, the same ones every time, from a generator of its own.
    """

    def __init__(
        self, model: Drawer, sides: dict[str, Tensor], batch_size: int, seed: int, device: str
    ) -> None:
        self.model, self.batch_size, self.seed, self.device = model, batch_size, seed, device
        self.sides = {name: side.to(device) for name, side in sides.items()}
        self.order = torch.Generator().manual_seed(seed)
        self.dtype = model.canvas.dtype
        self.interval: dict[str, float] = {}
        self.steps_s: list[float] = []

    def batches(self) -> Iterator[Float[Tensor, "b p"]]:
        """The training side once; the time between two batches is noted."""
        side = self.sides["train"]
        order = torch.randperm(len(side), generator=self.order).to(self.device)
        for chosen in order.split(self.batch_size):
            began = time.perf_counter()
            yield side[chosen].to(self.dtype)
            self.steps_s.append(time.perf_counter() - began)

    def loss(self, x: Float[Tensor, "b p"]) -> Float[Tensor, ""]:
        """Mean negative ELBO of the pictures."""
        T, latent = self.model.noise_size
        noise = torch.randn(T, len(x), latent, dtype=self.dtype, device=x.device)
        lost, kl, _ = self.model(x, noise)
        bound: Tensor = (lost + kl.sum(0)).mean()
        return bound

    def evaluate(self) -> dict[str, float]:
        """Mean bound of the test side and its parts, and of the validation side where it has any.

        `interval` then has the ends of the test side's 95 % interval, over its pictures.
        """
        found = {}
        if len(self.sides["validation"]):
            lost, kl = self._bounds(self.sides["validation"])
            found["validation_nats"] = float((lost + kl).mean())
        lost, kl = self._bounds(self.sides["test"])
        bounds = lost + kl
        mean, half = float(bounds.mean()), _Z * float(bounds.std()) / len(bounds) ** 0.5
        self.interval = {"nelbo_low_nats": mean - half, "nelbo_high_nats": mean + half}
        parts = {"reconstruction_nats": float(lost.mean()), "kl_nats": float(kl.mean())}
        return {**found, "nelbo_nats": mean, **parts}

    def step_ms(self) -> float | None:
        """Median time of a step so far, loading included; None before the first."""
        return 1e3 * statistics.median(self.steps_s) if self.steps_s else None

    def _bounds(self, side: Tensor) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """-log p(x | z) and the KL of every picture."""
        generator = torch.Generator().manual_seed(self.seed)
        T, latent = self.model.noise_size
        parts = []
        for batch in side.split(EVALUATION_BATCH):
            noise = torch.randn(T, len(batch), latent, generator=generator, dtype=self.dtype)
            lost, kl, _ = self.model(batch.to(self.dtype), noise.to(self.device))
            parts.append((lost.double(), kl.sum(0).double()))
        lost, kl = (torch.cat(part) for part in zip(*parts, strict=True))
        return lost, kl


class NatsScores:
    """The `runs` columns of the bound, from the records of the epochs seen so far."""

    def __init__(self) -> None:
        self._row: dict[str, Any] = {}

    def add(self, record: dict[str, Any]) -> dict[str, Any]:
        """The columns after one more epoch, `record` being its row of `epochs`."""
        row, names = self._row, ("train_loss", "nelbo_nats", "reconstruction_nats", "kl_nats")
        row |= {"epochs": record["epoch"], **{name: record[name] for name in names}}
        validated = record.get("validation_nats")
        if validated is not None and validated < row.get("validation_nats", float("inf")):
            row |= {"validation_nats": validated, "selected_nats": record["nelbo_nats"]}
        return dict(row)
