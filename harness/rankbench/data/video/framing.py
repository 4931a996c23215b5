"""Which frames of a clip are stored, and how a picture comes to the size of the set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from rankbench.common.checks import one_of, positive_int

MODES = {1: "L", 3: "RGB"}  # channels -> Pillow's name
FITS = ("crop", "pad", "stretch")
ALIKE = 0.01  # aspects this near are the same: 320x239 is no reason to crop
# (Q)CIF has pixels of 12:11 by definition; files of it mostly say 1:1 or nothing.
CIF_SIZES, CIF_PIXEL = ((176, 144), (352, 288)), 12 / 11

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How clips become rows: size in pixels, channels 1 (grey) or 3, and which frames.

    `fit` of a picture with another aspect: crop its middle, pad it with black, or stretch it.
    `every`: each K-th frame, from the first; `per_clip`: so many of those evenly spread, the
    first and the last among them, or all of a clip that has fewer; None takes all.
    """

    height: int = 120
    width: int = 160
    channels: int = 3
    fit: str = "crop"
    every: int = 1
    per_clip: int | None = None

    def __post_init__(self) -> None:
        positive_int("--height", self.height)
        positive_int("--width", self.width)
        one_of("channels", self.channels, MODES)
        one_of("--fit", self.fit, FITS)
        positive_int("--every", self.every)
        if self.per_clip is not None:
            positive_int("--frames", self.per_clip)

    @property
    def features(self) -> int:
        """Bytes of a stored frame."""
        return self.height * self.width * self.channels

    def settings(self) -> dict[str, Any]:
        """Every setting, as JSON takes it."""
        return asdict(self)

    def chosen(self, have: int) -> Sequence[int]:
        """Which of `have` frames are stored."""
        wanted = self.per_clip
        if wanted is None or wanted >= have:
            return range(have)
        return [step * (have - 1) // max(wanted - 1, 1) for step in range(wanted)]


def pixel_aspect(width: int, height: int, stated: float | None) -> float:
    """Width of a pixel over its height, of a picture whose file states it so, or not at all."""
    if (width, height) in CIF_SIZES and stated in (None, 0, 1):
        return CIF_PIXEL
    return stated if stated and 0.1 <= stated <= 10 else 1.0


def framed(picture: Image.Image, framing: Framing, pixel: float = 1.0) -> bytes:
    """A picture with pixels of aspect `pixel` as one row of the set, resized bilinearly."""
    size = (framing.width, framing.height)
    wide = picture.width * pixel / picture.height / (framing.width / framing.height)
    image = picture.convert(MODES[framing.channels])
    if framing.fit == "pad" and abs(wide - 1) > ALIKE:
        return _padded(image, framing, wide).tobytes()
    box = (0.0, 0.0, float(image.width), float(image.height))
    if framing.fit == "crop" and abs(wide - 1) > ALIKE:
        box = _middle(image, wide)
    if image.size != size or box != (0, 0, *size):
        image = image.resize(size, Image.Resampling.BILINEAR, box=box)
    return image.tobytes()


def _middle(image: Image.Image, wide: float) -> Box:
    """The largest middle part with the set's aspect of an image `wide` times as wide."""
    width, height = image.width / max(wide, 1.0), image.height * min(wide, 1.0)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _padded(image: Image.Image, framing: Framing, wide: float) -> Image.Image:
    width = max(1, round(framing.width * min(wide, 1.0)))
    height = max(1, round(framing.height / max(wide, 1.0)))
    whole = Image.new(image.mode, (framing.width, framing.height))
    inner = image.resize((width, height), Image.Resampling.BILINEAR)
    whole.paste(inner, ((framing.width - width) // 2, (framing.height - height) // 2))
    return whole
