"""Task `action`: recognise actions in clips of video frames with one recurrent cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rankbench.common.checks import one_of, positive_int
from rankbench.data.clips import Clips
from rankbench.data.sets import catalog as sets
from rankbench.data.sets.reader import load_stored
from rankbench.data.video.frame_files import load_clips
from rankbench.data.video.index import Decoding
from rankbench.tasks.clips.base import ClipTask

# (shift, scale) by name: a pixel p from 0 to 255 enters the network as (p - shift) / scale.
NORMALISE: dict[str, tuple[float, float]] = {
    "minus_128": (128.0, 1.0),  # As in the published TT-RNN experiments on UCF11.
    "over_128": (0.0, 128.0),  # As in the toolkit by the author of TR-LSTM.
    "centred": (128.0, 128.0),
    "unit": (0.0, 255.0),
}


def _file_name(path: str) -> str:
    return Path(path).name


@dataclass(frozen=True, kw_only=True)
class Action(ClipTask):
    """Classify clips from their video frames.

    Source: BT Fig. 6, TR Table 1.

    Raises:
        ValueError: A value is out of its range.

    Example:
        >>> Action(frames="ucf11", height=60, width=80).sizes()
        (14400, None)
    """

    name: ClassVar[str] = "action"

    frames: str = field(default="", metadata={"identity": _file_name})
    """A set stored by `rankbench data`, or the path of a Parquet file of JPEG frames.

    The file has columns `clip_id, label, group, slot, jpeg`; with random `sampling`, all its clips
    must have the same number of frames. If a set and a file have the same name, the set is used;
    write ./NAME for the file. Only the file's name, not its folder, is part of a point's id.
    """
    height: int = 120
    """Height of a frame in pixels."""
    width: int = 160
    """Width of a frame in pixels."""
    channels: int = 3
    """1 for grey values, 3 for colours."""
    normalise: str = "centred"
    """How pixels are scaled; a name in NORMALISE."""

    def __post_init__(self) -> None:
        if not isinstance(self.frames, str):
            raise ValueError(
                f"task.frames must be the name of a set or the path of a file, got {self.frames!r}"
            )
        for name in ("height", "width"):
            positive_int(f"task.{name}", getattr(self, name))
        one_of("task.channels", self.channels, (1, 3))
        one_of("task.normalise", self.normalise, NORMALISE)
        super().__post_init__()

    def sizes(self) -> tuple[int, None]:
        return self.height * self.width * self.channels, None

    def dataset(self) -> str:
        return self.frames if self._is_set else self._path.stem

    def scaling(self) -> tuple[float, float]:
        return NORMALISE[self.normalise]

    def missing(self) -> str | None:
        if not self.frames:
            return (
                "task.frames is not set: give the name of a set (`rankbench data list` shows them)"
                " or the path of a Parquet file of JPEG frames, such as task.frames=PATH"
            )
        if self._is_set or self._path.is_file():
            return None
        if self._path.name != self.frames or self._path.suffix:
            return f"frames file {self.frames} does not exist"
        return sets.unknown(self.frames)

    def clips(self) -> Clips:
        missing = self.missing()
        if missing:
            raise ValueError(missing)
        if self._is_set:
            size = {name: getattr(self, name) for name in ("height", "width", "channels")}
            return load_stored(self.frames, "frames", size, self.where)
        decoding = Decoding(
            height=self.height,
            width=self.width,
            channels=self.channels,
            time_steps=self.time_steps if self.sampling == "even" else None,
            where=self.where,
        )
        return load_clips(self._path, decoding)

    @property
    def _is_set(self) -> bool:
        return self.frames in sets.names()

    @property
    def _path(self) -> Path:
        try:
            return Path(self.frames).expanduser()
        except RuntimeError:  # ~NAME for a user that does not exist.
            return Path(self.frames)
