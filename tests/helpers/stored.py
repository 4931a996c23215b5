"""A small stored set of frames, and a CNN small enough to compute by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from rankbench.data.features.extractors import Extractor
from rankbench.data.sets.catalog import SetSpec, SetWriter

HEIGHT, WIDTH = 6, 8
FEATURES = 4


def clip(number: int) -> dict[str, Any]:
    """The row of a clip, one in three of an unknown class."""
    return {
        "clip_id": f"clip_{number:03d}",
        "cls": "run" if number % 3 else None,
        "label": number % 2,
        "group": f"g{number // 2}",
        "ordered": number != 1,
        "clip_len": 9,
        "source": f"run/clip_{number:03d}.avi",
        "source_hash": f"{number:016x}",
        "side": "train" if number else "test",
    }


def pictures(number: int, channels: int = 3) -> np.ndarray:
    """The frames (t, height * width * channels) of a clip, t from 1 to 4."""
    rng = np.random.default_rng(number)
    shape = (1 + number % 4, HEIGHT * WIDTH * channels)
    return rng.integers(0, 256, shape).astype(np.uint8)


def write_frames(name: str = "tiny", *, clips: int = 6, channels: int = 3, **told: Any) -> Path:
    """Publish a set of frames; `told` are further settings."""
    settings = {"height": HEIGHT, "width": WIDTH, "channels": channels, **told}
    features = HEIGHT * WIDTH * channels
    spec = SetSpec(name=name, kind="frames", features=features, settings=settings)
    with SetWriter(spec) as writer:
        for number in range(clips):
            writer.append(clip(number), pictures(number, channels))
        return writer.finish()


class Mixing(nn.Module):
    """The means of a picture's channels, mixed; what came in is kept in `seen`."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(3, FEATURES, bias=False)
        self.seen: list[torch.Tensor] = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen.append(pictures.clone())
        made: torch.Tensor = self.mix(pictures.mean((2, 3)))
        return made


def save_mixing(path: Path, scale: float = 1.0) -> Path:
    """Weights of a Mixing and of a head that it lacks, as safetensors; the path, for chaining."""
    mix = scale * torch.arange(3.0 * FEATURES).reshape(FEATURES, 3) / 8
    save_file({"mix.weight": mix, "head.bias": torch.zeros(2)}, path)
    return path


def mixing(weights: Path, **facts: Any) -> Extractor:
    """An extractor that takes pictures of 6x6 pixels."""
    given: dict[str, Any] = {
        "features": FEATURES,
        "size": HEIGHT,
        "mean": (10.0, 20.0, 30.0),
        "std": (2.0, 4.0, 8.0),
        "build": Mixing,
        "find": lambda: weights,
        "ignored": ("head.",),
    }
    return Extractor(**{**given, **facts})
