"""Load pictures of digits for task draw: a stored set, or the digits of scikit-learn.

Letters: n pictures.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rankbench.data.images.mnist import PIXELS, SIDE, Bytes
from rankbench.data.sets import catalog as sets
from rankbench.data.sets.set_file import short_hash

SHIPPED = "scikit-learn digits"
_LEVELS = 16  # Largest value of a pixel of scikit-learn's digits.
_TEST_SHARE = 5  # One of this many pictures is tested on.


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """Pictures of digits, divided into training and test."""

    dataset: str
    """Name of the data set."""
    train: Bytes
    """Pixels from 0 to 255 of the training pictures (n, 784)."""
    test: Bytes
    """Pixels from 0 to 255 of the test pictures (n, 784)."""
    data_hash: str
    """16 hex digits that identify the data."""


def load_digits(name: str) -> Digits:
    """Load the pictures of a stored set, or scikit-learn's digits if `name` is empty.

    Raises:
        ValueError: The set does not exist, is damaged, or contains other pictures.
    """
    if not name:
        return _shipped()
    rows, index = sets.open_set(name)
    metadata = sets.metadata(index)
    if metadata["kind"] != "images" or metadata["shape"][1] != PIXELS:
        raise ValueError(
            f"the set {name} must contain images of {PIXELS} pixels, it contains"
            f" {metadata['kind']} of {metadata['shape'][1]}"
        )
    sides = {side: _side(rows, index.to_pylist(), side) for side in ("train", "test")}
    return Digits(dataset=name, data_hash=metadata["data_hash"], **sides)


def _side(rows: NDArray[np.uint8], index: list[dict[str, object]], side: str) -> Bytes:
    parts = [
        rows[int(str(row["first"])) :][: int(str(row["frames"]))]
        for row in index
        if row.get("side") == side
    ]
    if not parts:
        raise ValueError(f"the set has no picture on the side {side}")
    return np.concatenate(parts)


@functools.cache
def _shipped() -> Digits:
    """Load scikit-learn's 1797 digits of 8 x 8 pixels, enlarged to 28 x 28.

    The last fifth, which other people have written, is the test side.
    """
    from sklearn import datasets  # Imported here, because it takes a second.

    small = datasets.load_digits().images
    pixels = np.stack([_enlarged(picture) for picture in small])
    cut = len(pixels) - len(pixels) // _TEST_SHARE
    digest = short_hash(np.ascontiguousarray(pixels).data.cast("B"))
    return Digits(dataset=SHIPPED, train=pixels[:cut], test=pixels[cut:], data_hash=digest)


def _enlarged(picture: NDArray[np.float64]) -> Bytes:
    levels = np.round(picture * (255 / _LEVELS)).astype(np.uint8)
    large = Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(large).reshape(PIXELS)
