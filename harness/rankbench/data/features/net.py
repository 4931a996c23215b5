"""A CNN on a device, and pictures of any size on their way into it.

Letters: t frames of a clip, b pictures of a batch, h, w, c as stored, s the side a CNN takes,
f features of a picture.
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
    """An extractor and its net with weights: `device` auto, cpu or cuda; `batch` pictures at once.

    Raises ValueError for a device that is not there, or a batch that is no positive integer.
    """

    extractor: Extractor
    net: nn.Module
    device: str = "auto"
    batch: int = 16

    def __post_init__(self) -> None:
        one_of("--device", self.device, DEVICES)
        positive_int("--batch", self.batch)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device is cuda, but torch sees no GPU here; choose cpu or auto")
        self.net.to(self.place)

    @property
    def place(self) -> torch.device:
        """The device, where it is left open the GPU if there is one."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    def features(self, pixels: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[Any]:
        """Frames (t, height * width * channels) as float16 (t, f)."""
        pictures = torch.from_numpy(pixels).view(-1, *shape).permute(0, 3, 1, 2)
        with torch.inference_mode():
            made = [self._of(part) for part in pictures.split(self.batch)]
            return torch.cat(made).to(torch.float16).cpu().numpy()

    def _of(self, pictures: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        size = (self.extractor.size, self.extractor.size)
        sized = resized(pictures, size).expand(-1, 3, -1, -1).to(self.place)
        # On a CPU a fifth faster than channel after channel.
        last = self.extractor.normalise(sized.float()).contiguous(memory_format=torch.channels_last)
        made: Tensor = self.net(last)
        return made


def resized(pictures: UInt8[Tensor, "b c h w"], size: tuple[int, int]) -> UInt8[Tensor, "b c s s"]:
    """Bilinear with antialiasing, rounded to whole values: Pillow's, up to 1 in 0.3% of them."""
    if pictures.shape[2:] == size:
        return pictures
    return torch.nn.functional.interpolate(
        pictures, size, mode="bilinear", antialias=True, align_corners=False
    )
