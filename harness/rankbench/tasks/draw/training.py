"""The trainer of DRAW: batches, loss, and the bound on the likelihood of the other sides.

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

EVALUATION_BATCH = 250  # Pictures in a batch of validation and test.
# Half the width of a 95 % interval in standard errors; the mean of many pictures is normal.
_Z = 1.96


def binarised(pixels: Bytes, how: str, generator: torch.Generator) -> UInt8[Tensor, "n p"]:
    """Convert pixels from 0 to 255 to 0 or 1.

    Pixels are sampled once, not in every epoch, as in R. Salakhutdinov and I. Murray, On the
    quantitative analysis of deep belief networks, ICML 2008. The sample is not theirs.

    Args:
        pixels: Pictures (n, p).
        how: `sample` sets a pixel with its brightness as probability; `threshold` sets it if it is
            above 127.
        generator: Source of randomness for `sample`.
    """
    levels = torch.from_numpy(pixels)
    if how == "threshold":
        return (levels > 127).to(torch.uint8)
    chunks = levels.split(10_000)  # Random floats for all pictures at once would need much memory.
    return torch.cat([(torch.rand(c.shape, generator=generator) < c / 255).byte() for c in chunks])


class DrawTrainer:
    """Batches, loss and metrics for the training loop; loss and metric are the negative ELBO.

    Args:
        model: The network.
        sides: Pictures (n, p) of 0 and 1, by side; the validation side may be empty.
        batch_size: Pictures in a training batch.
        seed: Seed of the order of pictures and of the noise in `evaluate`.
        device: Torch device.

    Attributes:
        interval: Ends of the 95 % interval of the test side's bound, after `evaluate`.
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
        """Iterate over the training side once, in a new random order, and time every step."""
        side = self.sides["train"]
        order = torch.randperm(len(side), generator=self.order).to(self.device)
        for chosen in order.split(self.batch_size):
            began = time.perf_counter()
            yield side[chosen].to(self.dtype)
            self.steps_s.append(time.perf_counter() - began)

    def loss(self, x: Float[Tensor, "b p"]) -> Float[Tensor, ""]:
        """Return the mean negative ELBO of the pictures, in nats."""
        T, latent = self.model.noise_size
        noise = torch.randn(T, len(x), latent, dtype=self.dtype, device=x.device)
        lost, kl, _ = self.model(x, noise)
        bound: Tensor = (lost + kl.sum(0)).mean()
        return bound

    def evaluate(self) -> dict[str, float]:
        """Return the mean bound of the test side and its parts, and that of the validation side.

        Noise is one draw for each picture, the same ones in every call. The call also sets
        `interval`.
        """
        validation = {}
        if len(self.sides["validation"]):
            lost, kl = self._bounds(self.sides["validation"])
            validation["validation_nats"] = float((lost + kl).mean())
        lost, kl = self._bounds(self.sides["test"])
        bounds = lost + kl
        mean, half = float(bounds.mean()), _Z * float(bounds.std()) / len(bounds) ** 0.5
        self.interval = {"nelbo_low_nats": mean - half, "nelbo_high_nats": mean + half}
        parts = {"reconstruction_nats": float(lost.mean()), "kl_nats": float(kl.mean())}
        return {**validation, "nelbo_nats": mean, **parts}

    def step_ms(self) -> float | None:
        """Return the median milliseconds of a step so far, loading included; None before one."""
        return 1e3 * statistics.median(self.steps_s) if self.steps_s else None

    def _bounds(self, side: Tensor) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Return -log p(x | z) and the KL divergence of every picture."""
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
    """The columns of `runs` about the bound, updated after every epoch."""

    def __init__(self) -> None:
        self._row: dict[str, Any] = {}

    def add(self, record: dict[str, Any]) -> dict[str, Any]:
        """Add the row of `epochs` of one more epoch, and return the columns of `runs`."""
        row, names = self._row, ("train_loss", "nelbo_nats", "reconstruction_nats", "kl_nats")
        row |= {"epochs": record["epoch"], **{name: record[name] for name in names}}
        validated = record.get("validation_nats")
        if validated is not None and validated < row.get("validation_nats", float("inf")):
            row |= {"validation_nats": validated, "selected_nats": record["nelbo_nats"]}
        return dict(row)
