"""Pictures of any aspect come to the size of the set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rankbench.data.video.framing import FITS, Framing, framed, pixel_aspect


def bars(width: int, height: int) -> Image.Image:
    """White, with a black border of a fifth on each side of the longer axis."""
    pixels = np.full((height, width), 255, np.uint8)
    if width >= height:
        pixels[:, : width // 5] = pixels[:, -(width // 5) :] = 0
    else:
        pixels[: height // 5] = pixels[-(height // 5) :] = 0
    return Image.fromarray(pixels)


def stored(picture: Image.Image, pixel: float = 1.0, **settings: Any) -> np.ndarray:
    framing = Framing(**{"height": 20, "width": 20, "channels": 1, **settings})
    return np.frombuffer(framed(picture, framing, pixel), np.uint8).reshape(20, 20)


def test_crop_takes_the_middle() -> None:
    assert stored(bars(100, 50)).mean() > 225  # of 20 black columns a side 25 are cut
    assert stored(bars(50, 100)).mean() > 225


def test_pad_adds_black_and_keeps_all() -> None:
    wide = stored(Image.new("L", (100, 50), 255), fit="pad")
    assert (wide[:5] == 0).all()
    assert (wide[-5:] == 0).all()
    assert (wide[5:-5] == 255).all()
    tall = stored(Image.new("L", (50, 100), 255), fit="pad")
    np.testing.assert_array_equal(tall, wide.T)


def test_stretch_keeps_all_and_adds_nothing() -> None:
    wide = stored(bars(100, 50), fit="stretch")
    assert (wide[:, :3] == 0).all()
    assert (wide[:, 5:-5] == 255).all()


def test_pixels_that_are_not_square_count() -> None:
    np.testing.assert_array_equal(stored(bars(100, 50), 0.5), stored(bars(100, 50), fit="stretch"))


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    pixel=st.floats(0.1, 10),
    fit=st.sampled_from(FITS),
    channels=st.sampled_from([1, 3]),
)
def test_every_picture_fits(width: int, height: int, pixel: float, fit: str, channels: int) -> None:
    framing = Framing(height=7, width=9, channels=channels, fit=fit)
    row = framed(Image.new("RGB", (width, height), (200, 200, 200)), framing, pixel)
    assert len(row) == framing.features
    assert set(row) <= {0, 200} if fit == "pad" else set(row) == {200}


@pytest.mark.parametrize(
    ("size", "stated", "aspect"),
    [
        ((176, 144), None, 12 / 11),
        ((352, 288), 1.0, 12 / 11),
        ((352, 288), 16 / 11, 16 / 11),
        ((320, 240), None, 1.0),
        ((720, 480), 8 / 9, 8 / 9),
        ((320, 240), 0.0, 1.0),
        ((320, 240), 1e9, 1.0),
    ],
)
def test_aspects_of_pixels(size: tuple[int, int], stated: float | None, aspect: float) -> None:
    assert pixel_aspect(*size, stated) == aspect


@given(have=st.integers(1, 50), wanted=st.integers(1, 50), every=st.integers(1, 3))
def test_chosen_frames_ascend_from_the_first_to_the_last(
    have: int, wanted: int, every: int
) -> None:
    chosen = list(Framing(per_clip=wanted, every=every).chosen(have))
    assert len(chosen) == min(have, wanted)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert wanted == 1 or chosen[-1] == have - 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 0}, "--height must be a positive integer, got 0"),
        ({"per_clip": 0}, "--frames must be a positive integer, got 0"),
        ({"fit": "cut"}, "--fit must be one of: crop, pad, stretch; got 'cut'"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^--") as error:
        Framing(**settings)
    assert str(error.value) == message
