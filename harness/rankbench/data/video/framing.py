"""Choose the frames of a clip to store, and resize pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from rankbench.common.checks import one_of, positive_int

MODES = {1: "L", 3: "RGB"}  # Pillow's mode, by number of channels.
FITS = ("crop", "pad", "stretch")
ALIKE = 0.01  # Relative difference below which aspect ratios count as equal, such as 320x239.
# CIF and QCIF define pixels of 12:11, but most files state 1:1 or nothing.
CIF_SIZES, CIF_PIXEL = ((176, 144), (352, 288)), 12 / 11

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How the frames of a clip are chosen and resized.

    Raises:
        ValueError: A value is out of its range.

    Example:
        >>> list(Framing(per_clip=3).chosen(9))
        [0, 4, 8]
    """

    height: int = 120
    """Height of a stored picture in pixels."""
    width: int = 160
    """Width of a stored picture in pixels."""
    channels: int = 3
    """1 for grey values, 3 for colours."""
    fit: str = "crop"
    """How to handle other aspect ratios: crop to the middle, pad with black, or stretch."""
    every: int = 1
    """Store every K-th frame, starting with the first."""
    per_clip: int | None = None
    """Most frames of a clip, spread evenly over those of `every`; None stores all."""

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
        """Return all settings as JSON values."""
        return asdict(self)

    def chosen(self, have: int) -> Sequence[int]:
        """Return the indices of the frames that are stored, of `have` frames."""
        wanted = self.per_clip
        if wanted is None or wanted >= have:
            return range(have)
        return [step * (have - 1) // max(wanted - 1, 1) for step in range(wanted)]


def pixel_aspect(width: int, height: int, stated: float | None) -> float:
    """Return the aspect ratio of a pixel, its width over its height.

    Args:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        stated: The aspect ratio that the file states; None if it states none.
    """
    if (width, height) in CIF_SIZES and stated in (None, 0, 1):
        return CIF_PIXEL
    return stated if stated and 0.1 <= stated <= 10 else 1.0


def framed(picture: Image.Image, framing: Framing, pixel: float = 1.0) -> bytes:
    """Resize a picture bilinearly, and return its pixels row by row.

    Args:
        picture: The picture.
        framing: Size, channels and fit.
        pixel: Aspect ratio of the picture's pixels.
    """
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
    """Return the largest centred box with the wanted aspect ratio.

    `wide` is the image's aspect ratio divided by the wanted one.
    """
    width, height = image.width / max(wide, 1.0), image.height * min(wide, 1.0)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _padded(image: Image.Image, framing: Framing, wide: float) -> Image.Image:
    width = max(1, round(framing.width * min(wide, 1.0)))
    height = max(1, round(framing.height / max(wide, 1.0)))
    padded = Image.new(image.mode, (framing.width, framing.height))
    inner = image.resize((width, height), Image.Resampling.BILINEAR)
    padded.paste(inner, ((framing.width - width) // 2, (framing.height - height) // 2))
    return padded
