"""Run a CNN on a device, on pictures of any size.

Letters: t frames of a clip, b pictures of a batch, h, w, c height, width and channels as stored,
s side in pixels that a CNN expects, f features of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from rankbench.common.checks import one_of, positive_int
from rankbench.data.features.extractors import Extractor

if TYPE_CHECKING:
    from torch import Tensor, nn

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True, eq=False)
class Net:
    """A CNN with weights, on a device.

    Raises:
        ValueError: The device does not exist, or `batch` is not a positive integer.
    """

    extractor: Extractor
    """Size and normalisation of the input."""
    net: nn.Module
    """The network, as `extractor.load` returns it."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu or cuda."""
    batch: int = 16
    """Pictures that are computed at once."""

    def __post_init__(self) -> None:
        one_of("--device", self.device, DEVICES)
        positive_int("--batch", self.batch)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device is cuda, but torch sees no GPU here; choose cpu or auto")
        self.net.to(self.place)

    @property
    def place(self) -> torch.device:
        """The torch device; for auto the GPU if there is one, else the CPU."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    def features(self, pixels: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[Any]:
        """Compute the features of frames.

        Args:
            pixels: Frames (t, height * width * channels).
            shape: Height, width and channels of a frame.

        Returns:
            Features (t, f) in float16.
        """
        pictures = torch.from_numpy(pixels).view(-1, *shape).permute(0, 3, 1, 2)
        with torch.inference_mode():
            features = [self._of(part) for part in pictures.split(self.batch)]
            return torch.cat(features).to(torch.float16).cpu().numpy()

    def _of(self, pictures: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        size = (self.extractor.size, self.extractor.size)
        sized = resized(pictures, size).expand(-1, 3, -1, -1).to(self.place)
        # Channels-last memory is a fifth faster on a CPU.
        x = self.extractor.normalise(sized.float()).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.net(x)
        return features


def resized(pictures: UInt8[Tensor, "b c h w"], size: tuple[int, int]) -> UInt8[Tensor, "b c s s"]:
    """Resize pictures bilinearly with antialiasing, rounding to integers.

    0.3 % of the values differ by 1 from what Pillow computes.

    Args:
        pictures: Pixel values.
        size: Height and width of the result.
    """
    if pictures.shape[2:] == size:
        return pictures
    return torch.nn.functional.interpolate(
        pictures, size, mode="bilinear", antialias=True, align_corners=False
    )
