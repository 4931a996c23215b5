"""Task `features`: classify clips from CNN features of their frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.common.checks import positive_int
from rankbench.data.clips import Clips
from rankbench.data.sets import catalog as sets
from rankbench.data.sets.reader import load_stored
from rankbench.tasks.clips.base import ClipTask


@dataclass(frozen=True, kw_only=True)
class Features(ClipTask):
    """Classify clips from CNN features of their frames, used without scaling.

    Source: TR Tables 2 and 3.

    Raises:
        ValueError: A value is out of its range.
    """

    name: ClassVar[str] = "features"

    features: str = ""
    """Name of a set stored by `rankbench data features`."""
    size: int = 1280
    """Features of a frame: 1280 for EfficientNet-lite0, 2048 for Inception-V3."""

    def __post_init__(self) -> None:
        if not isinstance(self.features, str):
            raise ValueError(f"task.features must be the name of a set, got {self.features!r}")
        positive_int("task.size", self.size)
        super().__post_init__()

    def sizes(self) -> tuple[int, None]:
        return self.size, None

    def dataset(self) -> str:
        return self.features

    def scaling(self) -> tuple[float, float]:
        return 0.0, 1.0

    def missing(self) -> str | None:
        if not self.features:
            return (
                "task.features is not set: give the name of a set of features (`rankbench data"
                " list` shows them), such as task.features=NAME"
            )
        known = self.features in sets.names()
        return None if known else sets.unknown(self.features, "features")

    def clips(self) -> Clips:
        missing = self.missing()
        if missing:
            raise ValueError(missing)
        return load_stored(self.features, "features", {"size": self.size}, self.where)
