"""A small stored set of captioned images, whose vectors say what is on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rankbench.data.features.image_features import ImageFeatures
from rankbench.data.images.caption_files import Captioned
from rankbench.data.images.caption_sets import store_captions

THINGS = ("dog", "cat", "bird", "boat")
PLACES = ("grass", "water", "snow")
FEATURES = len(THINGS) + len(PLACES)
_SIDES = ("train", "train", "train", "validation", "test", "")


def captioned(number: int) -> Captioned:
    """Image `number`: a thing at a place, said in three ways of different length."""
    thing, place = THINGS[number % len(THINGS)], PLACES[number // 4 % len(PLACES)]
    said = [
        f"A {thing} in {place} .",
        f"{thing} on the {place}!",
        f"there is a {thing}, in {place}",
    ]
    return Captioned(image=f"{number:03d}.jpg", side=_SIDES[number // 12 % 6], captions=said)


def vector(number: int) -> np.ndarray:
    """One where the thing and the place of an image are."""
    made = np.zeros(FEATURES, np.float32)
    made[number % len(THINGS)] = made[len(THINGS) + number // 4 % len(PLACES)] = 1
    return made


def write_captions(name: str = "tiny", images: int = 72) -> Path:
    """Publish the set `name`, a sixth of it on each of validation, test and no side."""
    names = [captioned(number).image for number in range(images)]
    vectors = np.stack([vector(number) for number in range(images)])
    features = ImageFeatures(ids=names, vectors=vectors, source="made")
    return store_captions(name, [captioned(number) for number in range(images)], features)
