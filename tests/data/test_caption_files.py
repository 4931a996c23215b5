"""Captions from every kind of file, with their features: on one side each, or one line why not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rankbench.cli.main import main
from rankbench.data.features.extractors import EXTRACTORS
from rankbench.data.features.image_features import (
    ImageFeatures,
    extract_images,
    read_image_features,
)
from rankbench.data.images.caption_files import read_captions
from rankbench.data.images.caption_sets import load_captions, store_captions
from rankbench.data.sets import catalog as sets
from tests.helpers.captions import write_captions
from tests.helpers.stored import mixing, save_mixing, write_frames

TOKENS = "b.jpg#1\tA cat .\nb.jpg#0\tThe cat\n\na.jpg#0\tA dog = a pet\nc.jpg#0\tA bird\n"
COCO = {
    "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 3, "file_name": "a.jpg"}],
    "annotations": [
        {"image_id": 7, "id": 12, "caption": "The cat\n"},
        {"image_id": 3, "id": 11, "caption": "A dog"},
        {"image_id": 7, "id": 10, "caption": "A cat ."},
    ],
}
KARPATHY = {
    "images": [
        {"filename": "a.jpg", "split": "restval", "sentences": [{"raw": "A dog"}, {"raw": "Dog"}]},
        {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "The cat"}]},
        {"filename": "c.jpg", "split": "val", "sentences": [{"raw": "A bird"}]},
    ]
}
PARQUET = [("a.jpg", 1, "Dog", "train"), ("a.jpg", 0, "A dog", "train"), ("b.jpg", 0, "x", "dev")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("tokens.txt").write_text(TOKENS)
    Path("train.txt").write_text("a.jpg\n")
    Path("test.txt").write_text("b.jpg\n\n")
    Path("coco.json").write_text(json.dumps(COCO))
    Path("karpathy.json").write_text(json.dumps(KARPATHY))
    table("rows.parquet", PARQUET)
    return tmp_path


def table(path: str, rows: list[tuple[Any, ...]], names: tuple[str, ...] = ()) -> str:
    names = names or ("image_id", "cap_idx", "caption", "split")
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    return path


def told(files: list[str], lists: list[str] | None = None) -> list[tuple[str, str, list[str]]]:
    return [(one.image, one.side, one.captions) for one in read_captions(files, lists or [])]


def test_tokens_with_lists_of_the_sides() -> None:
    lists = ["train=train.txt", "test=test.txt"]
    assert told(["tokens.txt"], lists) == [
        ("a.jpg", "train", ["A dog = a pet"]),
        ("b.jpg", "test", ["The cat", "A cat ."]),
        ("c.jpg", "", ["A bird"]),
    ]


def test_mscoco_whose_files_are_sides() -> None:
    other = {"images": [{"id": 1, "file_name": "d.jpg"}]}
    other |= {"annotations": [{"image_id": 1, "id": 1, "caption": "A boat"}]}
    Path("val.json").write_text(json.dumps(other))
    assert told(["train=coco.json", "test=val.json"]) == [
        ("a.jpg", "train", ["A dog"]),
        ("b.jpg", "train", ["A cat .", "The cat"]),
        ("d.jpg", "test", ["A boat"]),
    ]


def test_files_that_tell_their_sides() -> None:
    assert told(["karpathy.json"]) == [
        ("a.jpg", "train", ["A dog", "Dog"]),
        ("b.jpg", "test", ["The cat"]),
        ("c.jpg", "validation", ["A bird"]),
    ]
    assert told(["rows.parquet"]) == [
        ("a.jpg", "train", ["A dog", "Dog"]),
        ("b.jpg", "validation", ["x"]),
    ]


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}")


@pytest.mark.parametrize(
    ("files", "lists", "message"),
    [
        ([], [], "--captions must name at least one file, got none"),
        (["none.txt"], [], "file none.txt cannot be read: No such file or directory"),
        (["left=coco.json"], [], "the side in --captions left=coco.json must be one of: train,"),
        (["tokens.txt"], [], "no caption has a side: use --captions SIDE=FILE, or list the names"),
        (["train=tokens.txt", "test=coco.json"], [], "captions file coco.json: image a.jpg is"),
        (["tokens.txt"], ["train=train.txt", "test=train.txt"], "--side: image a.jpg is on"),
        (["coco.json"], ["train.txt"], "--side must be SIDE=FILE, got 'train.txt'"),
        (["tokens.txt"], ["train=more.txt"], "--side: 1 images have no caption, such as z.jpg"),
        (["bad.txt"], [], "captions file bad.txt: line 2 must be image.jpg#0<TAB>caption, got"),
        (["empty.txt"], [], "captions file empty.txt: it contains no caption"),
        (["blank.txt"], [], "captions file blank.txt: caption 0 of image a.jpg is empty"),
        (["bad.json"], [], "captions file bad.json is neither MSCOCO's JSON ("),
        (["lost.json"], [], "captions file lost.json is neither MSCOCO's JSON ("),
        (["split.json"], [], "captions file split.json: split must be one of: train, validation,"),
        (["leak.parquet"], [], "captions file leak.parquet: image a.jpg is on two sides,"),
        (["cut.parquet"], [], "captions file cut.parquet cannot be read as Parquet: "),
        (["null.parquet"], [], "captions file null.parquet: a row of image a.jpg has a null"),
        (["few.parquet"], [], "captions file few.parquet: column caption, split is missing"),
        (["bytes.txt"], [], "file bytes.txt cannot be read: it is not UTF-8 text"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_a_line(
    files: list[str], lists: list[str], message: str
) -> None:
    Path("more.txt").write_text("a.jpg\nz.jpg\n")
    Path("bad.txt").write_text("a.jpg#0\tA dog\nx y\n")
    Path("empty.txt").write_text("\n")
    Path("blank.txt").write_text("a.jpg#0\t \n")
    Path("bytes.txt").write_bytes(b"\xff\xfe\xff")
    Path("bad.json").write_text("{")
    Path("lost.json").write_text(json.dumps({**COCO, "images": []}))
    Path("split.json").write_text(json.dumps(KARPATHY).replace("restval", "left"))
    table("leak.parquet", [("a.jpg", 0, "A dog", "test"), ("a.jpg", 1, "Dog", "train")])
    table("null.parquet", [("a.jpg", 0, None, "test"), ("a.jpg", 1, "Dog", "test")])
    table("few.parquet", [("a.jpg", 0)], ("image_id", "cap_idx"))
    Path("cut.parquet").write_bytes(Path("rows.parquet").read_bytes()[:-9])
    with refused(message) as error:
        read_captions(files, lists)
    assert "\n" not in str(error.value)


@settings(max_examples=50, deadline=None)
@given(damage=st.binary(max_size=40), at=st.integers(0, 200))
def test_damage_is_told_in_one_line_or_does_no_harm(damage: bytes, at: int) -> None:
    for name in ("tokens.txt", "coco.json", "rows.parquet"):
        whole = Path(name).read_bytes()
        damaged = Path(f"damaged-{name}")
        damaged.write_bytes(whole[:at] + damage + whole[at + len(damage) :])
        assert re.match(f"(?:file|captions file) {damaged}[ :]|$", outcome(damaged)), name


def outcome(path: Path) -> str:
    """The line by which a file is refused, empty where it is read."""
    try:
        read_captions([f"train={path}"])
    except ValueError as error:
        return str(error)
    return ""


def vectors(names: list[str], **changed: Any) -> str:
    made = np.arange(3.0 * len(names), dtype=np.float32).reshape(-1, 3)
    np.savez("made.npz", **{"ids": np.array(names), "features": made, **changed})
    return "made.npz"


def test_a_set_is_stored_and_read() -> None:
    images = read_captions(["karpathy.json"])
    features = read_image_features(Path(vectors(["c.jpg", "z.jpg", "a.jpg", "b.jpg"])))
    store_captions("small", images, features)
    found = load_captions("small")
    assert list(found.images) == ["a.jpg", "b.jpg", "c.jpg"]
    assert found.captions[0] == ["A dog", "Dog"]
    assert [found.on(side) for side in ("train", "test", "validation")] == [[0], [1], [2]]
    np.testing.assert_array_equal(found.vectors[:, 0], [6, 9, 0])
    other = ImageFeatures(ids=features.ids, vectors=features.vectors + 1, source="x")
    store_captions("small", images, other)
    assert load_captions("small").data_hash != found.data_hash
    images[0].captions.reverse()
    store_captions("small", images, features)
    assert load_captions("small").data_hash != found.data_hash


def test_an_array_with_ids_beside_it() -> None:
    np.save("made.npy", np.ones((2, 3), np.float16))
    Path("ids.txt").write_text("a.jpg\nb.jpg\n")
    found = read_image_features(Path("made.npy"), Path("ids.txt"))
    assert (list(found.ids), found.vectors.shape) == (["a.jpg", "b.jpg"], (2, 3))
    with refused("features file made.npy: it is a single array; name its images with --ids"):
        read_image_features(Path("made.npy"))
    Path("ids.txt").write_text("a.jpg\n")
    with refused("features file made.npy: 2 vectors must have as many ids, got 1"):
        read_image_features(Path("made.npy"), Path("ids.txt"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": np.zeros((3, 3), np.int64)}, "vectors must be (n, f) of float16 or float32,"),
        ({"features": np.full((3, 3), np.nan, np.float32)}, "a vector has NaN or infinite values"),
        ({"ids": np.array(["a", "b", "a"])}, "image a has two vectors"),
        ({"ids": np.array(["a", "b", None])}, "Object arrays cannot be loaded when"),
    ],
)  # fmt: skip
def test_vectors_that_cannot_be_used(changed: dict[str, Any], message: str) -> None:
    path = vectors(["a.jpg", "b.jpg", "c.jpg"], **changed)
    with refused(f"features file made.npz: {message}"):
        read_image_features(Path(path))


def test_files_that_hold_no_vectors() -> None:
    np.savez("bare.npz", other=np.zeros(3))
    with refused(
        "features file bare.npz: it must have the arrays ids and features; its arrays: other"
    ):
        read_image_features(Path("bare.npz"))
    Path("cut.npz").write_bytes(Path("bare.npz").read_bytes()[:-40])
    for path in ("cut.npz", "none.npz", "tokens.txt"):
        with refused(f"features file {path}: "):
            read_image_features(Path(path))


def test_every_captioned_image_needs_a_vector() -> None:
    features = ImageFeatures(ids=["a.jpg"], vectors=np.ones((1, 3), np.float32), source="file x")
    with refused("file x: 2 of 3 captioned images have no vector: b.jpg, c.jpg"):
        store_captions("small", read_captions(["karpathy.json"]), features)


def test_a_set_must_have_captions_of_both_sides() -> None:
    write_frames("frames")
    with refused("the set frames must contain captions, it contains frames"):
        load_captions("frames")
    write_captions("half", images=12)
    with refused("the set half has no image on the side test"):
        load_captions("half")


def test_features_of_a_folder_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRACTORS, "mixing", mixing(save_mixing(Path("w.safetensors"))))
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("RGB", (6, 6), (40 * number, 0, 9)).save(name)
    found = extract_images(Path(), ["a.png", "b.png", "c.png"], "mixing", batch=2)
    assert found.vectors.shape == (3, 4)
    chosen = EXTRACTORS["mixing"]
    flat = chosen.normalise(colour(80, 0, 9))
    wanted = chosen.load(Path("w.safetensors"))(flat)[0]
    np.testing.assert_allclose(found.vectors[2], wanted.numpy(), rtol=2e-3)
    Path("b.png").write_bytes(b"no image")
    with refused("image b.png cannot be read: it is damaged or not an image"):
        extract_images(Path(), ["a.png", "b.png"], "mixing")
    with refused("image z.png cannot be read: No such file or directory"):
        extract_images(Path(), ["z.png"], "mixing")
    with refused("--extractor must be one of: efficientnet-lite0, inception-v3, mixing; got 'x'"):
        extract_images(Path(), ["a.png"], "x")


def colour(*rgb: int) -> Any:
    """A picture of one colour for a Mixing."""
    return torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, 6, 6)


def test_the_command_stores_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    made = ["data", "captions", "small", "--captions", "karpathy.json"]
    path = vectors(["a.jpg", "b.jpg", "c.jpg"])
    assert main([*made, "--features", path]) == 0
    told = capsys.readouterr().out
    assert "rankbench run caption task.data=small" in told
    assert re.search(r"small +train +1 +2 ", told)
    assert "small" in sets.names()
    assert main(["data", "list"]) == 0
    assert re.search(r"small +captions +3 +3 +3 features", capsys.readouterr().out)
    assert main([*made, "--images", "."]) == 2
    assert "--images needs --extractor: efficientnet-lite0 or inc" in capsys.readouterr().err
    assert main([*made, "--features", path, "--extractor", "inception-v3"]) == 2
    assert "--extractor needs --images, a folder" in capsys.readouterr().err
    assert (
        main(["data", "captions", "half", "--captions", "train=coco.json", "--features", path]) == 0
    )
    with refused("the set half has no image on the side test"):
        load_captions("half")
