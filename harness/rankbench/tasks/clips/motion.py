"""Task `motion`: classify the direction of a moving disk, in generated clips.

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

_REACH = 0.6  # Distance that a disk moves in a clip, in half widths of the picture.


@dataclass(frozen=True, kw_only=True)
class Motion(ClipTask):
    """Classify the direction in which a blurred disk moves; the clips are generated.

    A disk starts anywhere near the middle, so that a single frame does not reveal its direction.

    Raises:
        ValueError: A value is out of its range.

    Example:
        >>> clips = Motion(classes=4, clips_a_class=10).clips()
        >>> len(clips), clips.rows.shape
        (40, (240, 256))
    """

    name: ClassVar[str] = "motion"

    classes: int = 8
    """Number of directions, evenly around the circle."""
    time_steps: int | None = 6
    """Frames of a clip; a positive integer."""
    split: str = "clip"
    """How clips are split, as in `ClipTask`; every clip has a group of its own."""
    size: int = 16
    """Pixels along each side of a frame."""
    clips_a_class: int = 80
    """Clips per direction."""
    noise: float = 0.5
    """Standard deviation of the noise on each pixel; the disk's brightness reaches 1."""
    data_seed: int = 0
    """Seed of the starting points and the noise."""
    permute: str = "none"
    """Order of the pixels of every frame: none, pixels or modes; see `new_order`."""
    permute_seed: int = 0
    """Seed of the permutation; 0 without one."""
    timing: bool = True
    """Whether a run also measures time and memory, as task profile does."""
    budget_s: float = 1.0
    """Most seconds to spend on measuring each phase; above 0, up to 3600."""

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
    """The generated clips of a Motion task, with one row per frame."""

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
        """Return a column: `label`, or `clip_id` and `group`, which both number the clips.

        Raises:
            ValueError: `name` is another column.
        """
        if name == "label":
            return self._labels
        if name in ("clip_id", "group"):
            return np.array([f"{clip:05d}" for clip in range(len(self))])
        raise ValueError(
            f"column {name} does not exist: clips of task motion have label, clip_id and group"
        )


def draw(task: Motion, labels: Tensor, generator: torch.Generator) -> Float[Tensor, "c t s*s"]:
    """Draw the frames of clips that have the given labels, in float32."""
    import torch

    assert task.time_steps is not None
    angles = 2 * math.pi * labels / task.classes
    starts = 0.6 * torch.rand(len(labels), 2, generator=generator) - 0.3
    directions = torch.stack([angles.sin(), angles.cos()], dim=1)
    distances = torch.linspace(-_REACH / 2, _REACH / 2, task.time_steps)
    centres = starts[:, None] + distances[:, None] * directions[:, None]
    axis = torch.linspace(-1, 1, task.size)
    rows = (axis - centres[..., :1]).square()
    columns = (axis - centres[..., 1:]).square()
    disks = torch.exp(-(rows[..., :, None] + columns[..., None, :]) / 0.08)
    noise = torch.randn(disks.shape, generator=generator)
    return (disks + task.noise * noise).flatten(2)
