"""One vector an image: from a file made elsewhere, or by a CNN from a folder of images.

Letters: n images, f features of an image.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from rankbench.common.checks import one_of
from rankbench.data.sets.progress import StorageProgress, unwatched

VECTORS = ("features", "vectors", "feat")  # names that the array of vectors may have in a .npz
DTYPES = ("float16", "float32")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFeatures:
    """`vectors` (n, f), and the name of the image each is of; `source`: where from, in words.

    Raises ValueError where they do not fit together, or a value is not finite.
    """

    ids: Sequence[str]
    vectors: NDArray[Any]
    source: str

    def __post_init__(self) -> None:
        shape, dtype = self.vectors.shape, str(self.vectors.dtype)
        if len(shape) != 2 or not all(shape) or dtype not in DTYPES:
            types = " or ".join(DTYPES)
            raise ValueError(f"{self.source}: vectors must be (n, f) of {types}, {shape} {dtype}")
        if len(self.ids) != shape[0]:
            raise ValueError(f"{self.source}: {shape[0]} vectors have {len(self.ids)} ids")
        if len(set(self.ids)) < len(self.ids):
            twice = next(one for one in self.ids if list(self.ids).count(one) > 1)
            raise ValueError(f"{self.source}: image {twice} has two vectors")
        if not np.isfinite(self.vectors).all():
            raise ValueError(f"{self.source}: a vector has a value that is not finite")


def read_image_features(path: Path, ids: Path | None = None) -> ImageFeatures:
    """The vectors of a .npz (arrays ids and features), or of a .npy whose ids are lines of `ids`.

    Raises ValueError for a file that is not whole, or lacks the ids.
    """
    try:
        with path.open("rb") as stream:  # numpy leaves a damaged file open
            vectors, names = _held(np.load(stream, allow_pickle=False), ids)
    except OSError as error:
        reason = error.strerror or "it is no array of numpy"
        raise ValueError(f"features file {error.filename or path}: {reason}") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"features file {path}: {reason}") from error
    return ImageFeatures(ids=names, vectors=vectors, source=f"features file {path}")


def _held(held: Any, ids: Path | None) -> tuple[NDArray[Any], list[str]]:
    """Vectors and names from what numpy read."""
    if isinstance(held, np.ndarray):
        if ids is None:
            raise ValueError("it is one array; give the names of its images by --ids FILE")
        return held, [one for one in ids.read_text(encoding="utf-8").splitlines() if one]
    name = next((one for one in VECTORS if one in held.files), None)
    if name is None or "ids" not in held.files:
        arrays = ", ".join(held.files) or "none"
        raise ValueError(f"it must have the arrays ids and {VECTORS[0]}; it has: {arrays}")
    return held[name], [str(one) for one in held["ids"].tolist()]


def extract_images(
    folder: Path,
    names: Sequence[str],
    extractor: str,
    *,
    weights: Path | None = None,
    batch: int = 16,
    device: str = "auto",
    watch: StorageProgress | None = None,
) -> ImageFeatures:
    """Features of the images `names` in `folder`, in float16.

    Raises ValueError for an unknown extractor, and an image that is not there or is damaged.
    """
    from rankbench.data.features.extractors import EXTRACTORS  # loads torch
    from rankbench.data.features.net import Net

    one_of("--extractor", extractor, EXTRACTORS)
    chosen = EXTRACTORS[extractor]
    net = Net(extractor=chosen, net=chosen.load(weights), device=device, batch=batch)
    shape, tell, made = (chosen.size, chosen.size, 3), watch or unwatched, []
    for start in range(0, len(names), batch):
        tell(start, len(names))
        part = names[start : start + batch]
        pixels = np.stack([_pixels(folder / name, chosen.size) for name in part])
        made.append(net.features(pixels, shape))
    tell(len(names), len(names))
    return ImageFeatures(ids=names, vectors=np.concatenate(made), source=f"images of {folder}")


def _pixels(path: Path, size: int) -> NDArray[np.uint8]:
    """Red, green and blue of an image brought to `size` by `size`, as one row."""
    try:
        with Image.open(path) as image:
            sized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or no image"
        raise ValueError(f"image {path} cannot be read: {reason}") from error
    return np.asarray(sized, dtype=np.uint8).reshape(-1)
