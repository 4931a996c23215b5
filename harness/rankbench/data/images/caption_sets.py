"""Sets of captioned images: made of captions and vectors, kept and read as sets of clips are."""

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
_SHOWN = 3  # names of images that an error lists


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionSet:
    """Images with a vector, a side and captions each.

    `vectors` (n, f); `images`: their names; `sides`: train, validation or test of each, empty for
    none; `captions` of each; `data_hash`: 16 hex digits of all of it.
    """

    vectors: NDArray[Any]
    images: Sequence[str]
    sides: Sequence[str]
    captions: Sequence[Sequence[str]]
    data_hash: str

    def on(self, side: str) -> list[int]:
        """Places of the images of a side."""
        return [at for at, own in enumerate(self.sides) if own == side]


def store_captions(
    name: str,
    images: Sequence[Captioned],
    features: ImageFeatures,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Publish the set `name` of `images` with their vectors; its folder.

    `settings`: what else made the vectors, such as the extractor; it goes into the metadata.
    Vectors of images without captions are left out.

    Raises ValueError where an image has no vector, OSError when the cache cannot be written.
    """
    place = {image: at for at, image in enumerate(features.ids)}
    absent = [image.image for image in images if image.image not in place]
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
        writer.keep(0)  # of other files, perhaps
        own = [vectors[place[image.image]] for image in images]
        rows = [_row(image, vector) for image, vector in zip(images, own, strict=True)]
        writer.append_all([(row, vector[None]) for row, vector in zip(rows, own, strict=True)])
        return writer.finish()


def _row(image: Captioned, vector: NDArray[Any]) -> Row:
    told = json.dumps([image.image, image.side, image.captions]).encode()
    return {
        **{"clip_id": image.image, "cls": None, "label": 0, "group": image.image},
        **{"ordered": False, "clip_len": -1, "source": image.image},
        "source_hash": short_hash(told + np.ascontiguousarray(vector).tobytes()),
        "side": image.side,
        "captions": json.dumps(image.captions),  # a list has another type once it was in Parquet
    }


def load_captions(name: str) -> CaptionSet:
    """The set `name`.

    Raises ValueError for a set that is not there, is damaged or holds no captions, and for one
    whose captions of an image are on two sides, or that has nothing to train or test on.
    """
    array, index = sets.open_set(name)
    told = sets.metadata(index)
    if told["kind"] != KIND:
        raise ValueError(f"the set {name} must hold {KIND}, it holds {told['kind']}")
    sides: list[str] = index["side"].to_pylist()
    for side in ("train", "test"):
        if side not in sides:
            raise ValueError(f"the set {name} has no image on the side {side}")
    return CaptionSet(
        vectors=array,
        images=index["clip_id"].to_pylist(),
        sides=sides,
        captions=[json.loads(told) for told in index["captions"].to_pylist()],
        data_hash=told["data_hash"],
    )
