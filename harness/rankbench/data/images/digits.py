"""Pictures of digits as task draw learns them: a stored set, or those that scikit-learn ships.

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
_LEVELS = 16  # a pixel of scikit-learn's digits is 0 to 16
_TEST_SHARE = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """Pixels from 0 to 255, a picture a row (n, 784), of both sides; `dataset` names them."""

    dataset: str
    train: Bytes
    test: Bytes
    data_hash: str


def load_digits(name: str) -> Digits:
    """The set of pictures `name`; scikit-learn's digits where it is empty.

    Raises ValueError for a set that is not there, is damaged, or holds no such pictures.
    """
    if not name:
        return _shipped()
    rows, index = sets.open_set(name)
    told = sets.metadata(index)
    if told["kind"] != "images" or told["shape"][1] != PIXELS:
        raise ValueError(
            f"the set {name} must hold images of {PIXELS} pixels, it holds {told['kind']} of"
            f" {told['shape'][1]}"
        )
    sides = {side: _side(rows, index.to_pylist(), side) for side in ("train", "test")}
    return Digits(dataset=name, data_hash=told["data_hash"], **sides)


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
    """The 1797 digits of 8 x 8 pixels, enlarged; the last fifth, of other writers, is tested on."""
    from sklearn import datasets  # importing it takes a second

    small = datasets.load_digits().images
    pixels = np.stack([_enlarged(picture) for picture in small])
    cut = len(pixels) - len(pixels) // _TEST_SHARE
    digest = short_hash(np.ascontiguousarray(pixels).data.cast("B"))
    return Digits(dataset=SHIPPED, train=pixels[:cut], test=pixels[cut:], data_hash=digest)


def _enlarged(picture: NDArray[np.float64]) -> Bytes:
    levels = np.round(picture * (255 / _LEVELS)).astype(np.uint8)
    large = Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(large).reshape(PIXELS)
