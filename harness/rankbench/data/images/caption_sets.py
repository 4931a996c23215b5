"""Store and load sets of captioned images, in the file format of stored clips."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankbench.data.features.image_features import ImageFeatures
from rankbench.data.images.caption_files import Captioned
from rankbench.data.sets import catalog as sets
from rankbench.data.sets.set_file import Row, SetSpec, short_hash
from rankbench.data.sets.set_writer import SetWriter

KIND = "captions"
_SHOWN = 3  # Number of images that an error message lists.


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionSet:
    """Images, each with a feature vector, a side and captions."""

    vectors: NDArray[Any]
    """Feature vector of each image (n, f)."""
    images: Sequence[str]
    """Name of each image."""
    sides: Sequence[str]
    """Side of each image: train, validation or test; empty if the image is not used."""
    captions: Sequence[Sequence[str]]
    """Captions of each image."""
    data_hash: str
    """16 hex digits that identify the data."""

    def on(self, side: str) -> list[int]:
        """Return the indices of the images of a side."""
        return [index for index, name in enumerate(self.sides) if name == side]


def store_captions(
    name: str,
    images: Sequence[Captioned],
    features: ImageFeatures,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Store a set of captioned images with their vectors.

    Args:
        name: Name of the set.
        images: Images with captions.
        features: Vectors of at least these images; those of others are left out.
        settings: How the vectors were made, such as the extractor, stored as metadata.

    Returns:
        The folder of the set.

    Raises:
        ValueError: An image has no vector.
        OSError: The cache cannot be written.
    """
    row_of = {image: row for row, image in enumerate(features.ids)}
    absent = [image.image for image in images if image.image not in row_of]
    if absent:
        shown = ", ".join(absent[:_SHOWN]) + (", ..." if len(absent) > _SHOWN else "")
        raise ValueError(
            f"{features.source}: {len(absent)} of {len(images)} captioned images have no vector:"
            f" {shown}"
        )
    vectors = features.vectors
    spec = SetSpec(
        name=name,
        kind=KIND,
        features=vectors.shape[1],
        dtype=str(vectors.dtype),
        settings=settings or {},
    )
    with SetWriter(spec) as writer:
        writer.keep(0)  # Existing entries may come from other files.
        used = [vectors[row_of[image.image]] for image in images]
        rows = [_row(image, vector) for image, vector in zip(images, used, strict=True)]
        writer.append_all([(row, vector[None]) for row, vector in zip(rows, used, strict=True)])
        return writer.finish()


def _row(image: Captioned, vector: NDArray[Any]) -> Row:
    content = json.dumps([image.image, image.side, image.captions]).encode()
    return {
        **{"clip_id": image.image, "cls": None, "label": 0, "group": image.image},
        **{"ordered": False, "clip_len": -1, "source": image.image},
        "source_hash": short_hash(content + np.ascontiguousarray(vector).tobytes()),
        "side": image.side,
        # As text, because Parquet changes the type of a list, and with it the seal of the set.
        "captions": json.dumps(image.captions),
    }


def load_captions(name: str) -> CaptionSet:
    """Load a set of captioned images.

    Raises:
        ValueError: The set does not exist, is damaged, does not contain captions, or has no image
            to train or to test on.
    """
    array, index = sets.open_set(name)
    metadata = sets.metadata(index)
    if metadata["kind"] != KIND:
        raise ValueError(f"the set {name} must contain {KIND}, it contains {metadata['kind']}")
    sides: list[str] = index["side"].to_pylist()
    for side in ("train", "test"):
        if side not in sides:
            raise ValueError(f"the set {name} has no image on the side {side}")
    return CaptionSet(
        vectors=array,
        images=index["clip_id"].to_pylist(),
        sides=sides,
        captions=[json.loads(text) for text in index["captions"].to_pylist()],
        data_hash=metadata["data_hash"],
    )
