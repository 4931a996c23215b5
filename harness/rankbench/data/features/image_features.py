"""One feature vector per image, read from a file or computed by a CNN from a folder of images.

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

VECTORS = ("features", "vectors", "feat")  # Possible names of the array of vectors in a .npz.
DTYPES = ("float16", "float32")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageFeatures:
    """Feature vectors of images.

    Raises:
        ValueError: Names and vectors do not match, or a value is not finite.
    """

    ids: Sequence[str]
    """Name of each image."""
    vectors: NDArray[Any]
    """Vector of each image (n, f), float16 or float32."""
    source: str
    """Origin of the vectors, named in error messages."""

    def __post_init__(self) -> None:
        shape, dtype = self.vectors.shape, str(self.vectors.dtype)
        if len(shape) != 2 or not all(shape) or dtype not in DTYPES:
            types = " or ".join(DTYPES)
            raise ValueError(
                f"{self.source}: vectors must be (n, f) of {types}, they are {shape} of {dtype}"
            )
        if len(self.ids) != shape[0]:
            raise ValueError(
                f"{self.source}: {shape[0]} vectors must have as many ids, got {len(self.ids)}"
            )
        if len(set(self.ids)) < len(self.ids):
            repeated = next(name for name in self.ids if list(self.ids).count(name) > 1)
            raise ValueError(f"{self.source}: image {repeated} has two vectors")
        if not np.isfinite(self.vectors).all():
            raise ValueError(f"{self.source}: a vector has NaN or infinite values")


def read_image_features(path: Path, ids: Path | None = None) -> ImageFeatures:
    """Read the feature vectors of images from a file of NumPy.

    Args:
        path: A .npz file with the arrays ids and features, or a .npy file.
        ids: For a .npy file, a text file with the name of one image per line.

    Raises:
        ValueError: The file is damaged, or the names are missing.
    """
    try:
        with path.open("rb") as stream:  # NumPy does not close a damaged file that it opened.
            vectors, names = _vectors_and_names(np.load(stream, allow_pickle=False), ids)
    except OSError as error:
        reason = error.strerror or "it is not a file of NumPy"
        raise ValueError(f"features file {error.filename or path}: {reason}") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"features file {path}: {reason}") from error
    return ImageFeatures(ids=names, vectors=vectors, source=f"features file {path}")


def _vectors_and_names(content: Any, ids: Path | None) -> tuple[NDArray[Any], list[str]]:
    if isinstance(content, np.ndarray):
        if ids is None:
            raise ValueError("it is a single array; name its images with --ids FILE")
        return content, [line for line in ids.read_text(encoding="utf-8").splitlines() if line]
    name = next((name for name in VECTORS if name in content.files), None)
    if name is None or "ids" not in content.files:
        arrays = ", ".join(content.files) or "none"
        raise ValueError(f"it must have the arrays ids and {VECTORS[0]}; its arrays: {arrays}")
    return content[name], [str(image) for image in content["ids"].tolist()]


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
    """Compute features of images with a CNN, in float16.

    Args:
        folder: Folder of the images.
        names: File names of the images.
        extractor: A key of EXTRACTORS.
        weights: A weights file; None uses the installed one.
        batch: Images that are computed at once.
        device: auto, cpu or cuda.
        watch: Receives the number of images done.

    Raises:
        ValueError: The extractor is unknown, or an image is missing or damaged.
    """
    from rankbench.data.features.extractors import EXTRACTORS  # loads torch
    from rankbench.data.features.net import Net

    one_of("--extractor", extractor, EXTRACTORS)
    chosen = EXTRACTORS[extractor]
    net = Net(extractor=chosen, net=chosen.load(weights), device=device, batch=batch)
    shape, report, vectors = (chosen.size, chosen.size, 3), watch or unwatched, []
    for start in range(0, len(names), batch):
        report(start, len(names))
        part = names[start : start + batch]
        pixels = np.stack([_pixels(folder / name, chosen.size) for name in part])
        vectors.append(net.features(pixels, shape))
    report(len(names), len(names))
    return ImageFeatures(ids=names, vectors=np.concatenate(vectors), source=f"images of {folder}")


def _pixels(path: Path, size: int) -> NDArray[np.uint8]:
    """Read an image, resize it to `size` by `size` pixels, and return its RGB values as one row."""
    try:
        with Image.open(path) as image:
            sized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged or not an image"
        raise ValueError(f"image {path} cannot be read: {reason}") from error
    return np.asarray(sized, dtype=np.uint8).reshape(-1)
