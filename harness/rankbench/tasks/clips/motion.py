"""Say which way a blurred disk moves: clips that are made here, so that no data is needed.

Letters: c clips, t time steps, s pixels along a side, n rows (frames of all clips).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from rankbench.common.checks import check_int_at_least, number, positive_int
from rankbench.data.clips import Counts
from rankbench.tasks.base import Context, Row
from rankbench.tasks.clips.base import ClipTask
from rankbench.tasks.permuting import check_permutation, new_order, said
from rankbench.tasks.profile import Profile

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rankbench.tasks.base import Point

_REACH = 0.6  # how far a disk moves in a clip, of half a picture's width


@dataclass(frozen=True, kw_only=True)
class Motion(ClipTask):
    """Name the direction, one of `classes` around the circle, in which a disk moves.

    `size`: pixels along a side; `clips_a_class`; `noise`: standard deviation of what is added to
    each pixel, of which the disk reaches 1; `data_seed` draws starts and noise. A disk starts
    anywhere near the middle, so that no single frame tells its direction. With `timing` a run is
    also profiled as task profile does it, `budget_s` seconds a phase at most. `permute` puts the
    pixels of every frame in one order that `permute_seed` draws, see `rankbench.tasks.permuting`.

    Raises ValueError for a value out of its range.
    """

    name: ClassVar[str] = "motion"

    classes: int = 8
    time_steps: int | None = 6
    split: str = "clip"
    size: int = 16
    clips_a_class: int = 80
    noise: float = 0.5
    data_seed: int = 0
    permute: str = "none"
    permute_seed: int = 0
    timing: bool = True
    budget_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("size", "clips_a_class", "time_steps"):
            positive_int(f"task.{name}", getattr(self, name))
        number("task.noise", self.noise, 0.0, math.inf)
        check_int_at_least("task.data_seed", self.data_seed, 0)
        check_permutation(self.permute, self.permute_seed)
        number("task.budget_s", self.budget_s, 0.0, 3600.0, open_low=True)
        super().__post_init__()

    def sizes(self) -> tuple[int, None]:
        return self.size**2, None

    def dataset(self) -> str:
        return self.name

    def scaling(self) -> tuple[float, float]:
        return 0.0, 1.0

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "noise": float(self.noise), "permute": said(self.permute)}

    def clips(self) -> Moving:
        return Moving(self)

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        if self.timing:
            assert point.training is not None
            assert self.time_steps is not None
            profile = Profile(
                in_features=self.size**2,
                batch=point.training.batch_size,
                time_steps=self.time_steps,
                budget_s=self.budget_s,
            )
            yield from profile.run(point, context)
        yield from super().run(point, context)


class Moving:
    """The clips of a Motion, drawn at once; every frame a row."""

    ordered = True

    def __init__(self, task: Motion) -> None:
        import torch

        assert task.time_steps is not None
        number = task.classes * task.clips_a_class
        labels = torch.arange(number) % task.classes
        generator = torch.Generator().manual_seed(task.data_seed)
        frames = draw(task, labels, generator).flatten(0, 1)
        order = new_order(task.size**2, task.permute, task.permute_seed)
        self.rows: NDArray[Any] = frames[:, order].numpy()
        self.count: Counts = np.full(number, task.time_steps, dtype=np.int64)
        self.first: Counts = np.arange(number, dtype=np.int64) * task.time_steps
        self._labels = labels.numpy()
        drawn = (task.classes, task.time_steps, task.size, task.clips_a_class)
        permuted = [] if task.permute == "none" else [task.permute, task.permute_seed]
        text = json.dumps([*drawn, float(task.noise), task.data_seed, *permuted])
        self.data_hash = hashlib.sha256(text.encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.count)

    def column(self, name: str) -> NDArray[Any]:
        """The label, or the number of a clip, which is its group too.

        Raises ValueError for any other column.
        """
        if name == "label":
            return self._labels
        if name in ("clip_id", "group"):
            return np.array([f"{clip:05d}" for clip in range(len(self))])
        raise ValueError(f"clips of task motion have label, clip_id and group, no {name}")


def draw(task: Motion, labels: Tensor, generator: torch.Generator) -> Float[Tensor, "c t s*s"]:
    """The frames of clips with these `labels`, in float32."""
    import torch

    assert task.time_steps is not None
    angles = 2 * math.pi * labels / task.classes
    starts = 0.6 * torch.rand(len(labels), 2, generator=generator) - 0.3
    ways = torch.stack([angles.sin(), angles.cos()], dim=1)
    moved = torch.linspace(-_REACH / 2, _REACH / 2, task.time_steps)
    centres = starts[:, None] + moved[:, None] * ways[:, None]
    axis = torch.linspace(-1, 1, task.size)
    rows = (axis - centres[..., :1]).square()
    columns = (axis - centres[..., 1:]).square()
    disks = torch.exp(-(rows[..., :, None] + columns[..., None, :]) / 0.08)
    noise = torch.randn(disks.shape, generator=generator)
    return (disks + task.noise * noise).flatten(2)
