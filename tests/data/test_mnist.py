"""MNIST's files: stored picture by picture, or one line that says why not."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.cli.main import main
from rankbench.data.images.digits import SHIPPED, load_digits
from rankbench.data.images.mnist import ARRAYS, FILES, PIXELS, SIDE, read_mnist, store_mnist
from rankbench.data.sets.catalog import metadata, open_set, set_folder
from tests.helpers.stored import write_frames


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def arrays() -> dict[str, np.ndarray]:
    """Five pictures to train on and three to test on; the first pixel numbers them."""
    pictures = {"x_train": np.zeros((5, SIDE, SIDE)), "x_test": np.full((3, SIDE, SIDE), 200)}
    for name, values in pictures.items():
        values[:, 0, 0] = np.arange(len(values)) + 10 * (name == "x_test")
    labels = {"y_train": np.array([3, 0, 3, 9, 0]), "y_test": np.array([1, 0, 1])}
    return {name: values.astype(np.uint8) for name, values in (pictures | labels).items()}


def idx(values: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def write_idx(folder: Path, *, gzipped: bool = False, dotted: bool = False) -> Path:
    folder.mkdir()
    for name, values in arrays().items():
        path = folder / FILES[name][dotted]
        if gzipped:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(idx(values)))
        else:
            path.write_bytes(idx(values))
    return folder


def write_npz(path: Path, **changed: Any) -> Path:
    held = {name: values for name, values in {**arrays(), **changed}.items() if values is not None}
    np.savez_compressed(path, **held)
    return path


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_every_form_is_read_alike(tmp_path: Path, gzipped: bool, dotted: bool) -> None:
    folder = write_idx(tmp_path / "idx", gzipped=gzipped, dotted=dotted)
    for path in (folder, write_npz(tmp_path / "mnist.npz")):
        found = read_mnist(path)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(found, name), arrays()[name])


def test_sides_stay_apart_and_no_picture_is_lost(tmp_path: Path) -> None:
    assert store_mnist(write_npz(tmp_path / "mnist.npz"), "mine") == set_folder("mine")
    digits = load_digits("mine")
    assert sorted(digits.train[:, 0]) == [0, 1, 2, 3, 4]
    assert sorted(digits.test[:, 0]) == [10, 11, 12]
    assert (digits.train[:, 1:] == 0).all()
    assert (digits.test[:, 1:] == 200).all()
    _, index = open_set("mine")
    assert digits.dataset == "mine"
    placed = zip(*(index[name].to_pylist() for name in ("side", "label", "frames")), strict=True)
    trained = [("train", 0, 2), ("train", 3, 2), ("train", 9, 1)]
    assert list(placed) == [("test", 0, 1), ("test", 1, 2), *trained]


def test_other_pixels_are_other_data(tmp_path: Path) -> None:
    hashes = []
    for changed in ({}, {"x_test": arrays()["x_test"] + 1}, {}):
        store_mnist(write_npz(tmp_path / "mnist.npz", **changed), "mine")
        hashes.append(load_digits("mine").data_hash)
    assert hashes[0] == hashes[2] != hashes[1]


X, Y = arrays()["x_train"], arrays()["y_train"]
WRONG = [
    ({"y_test": None}, "MNIST file {path} is not a valid .npz: array y_test is missing"),
    ({"x_train": X[:, :8]}, "x_train must be (n, 28, 28) of uint8, it is (5, 8, 28) of uint8"),
    ({"x_train": X / 255}, "x_train must be (n, 28, 28) of uint8, it is (5, 28, 28) of float64"),
    ({"x_train": X[:0]}, "x_train must be (n, 28, 28) of uint8, it is (0, 28, 28) of uint8"),
    ({"y_train": Y[:4]}, "y_train must be 5 integers, one per picture of x_train; it is (4,) of"),
    ({"y_train": Y + 5}, "labels of y_train must be 0 to 9"),
    ({"y_train": Y / 2}, "y_train must be 5 integers, one per picture of x_train; it is (5,) of"),
    ({"x_test": np.array([None, {}])}, "is not a valid .npz: Object arrays cannot be loaded"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG)
def test_a_wrong_file_is_one_line(
    tmp_path: Path, changed: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_npz(tmp_path / "mnist.npz", **changed)
    assert main(["data", "mnist", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message.format(path=path) in told
    assert not (set_folder("mnist") / "clips.parquet").exists()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), gzipped=st.booleans())
def test_a_truncated_file_is_one_line(
    data: st.DataObject, gzipped: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_idx(tmp_path_factory.mktemp("idx") / "data", gzipped=gzipped)
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ValueError) as caught:
        read_mnist(folder)
    assert str(caught.value).startswith(f"MNIST file {path} ")
    assert "\n" not in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_truncated_npz_is_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_npz(tmp_path_factory.mktemp("npz") / "mnist.npz")
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ValueError) as caught:
        read_mnist(path)
    assert str(caught.value).startswith(f"MNIST file {path} is not a valid .npz: ")
    assert "\n" not in str(caught.value)


def test_files_that_do_not_belong_together_are_one_line(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx")
    images, labels = (folder / FILES[name][0] for name in ("x_train", "y_train"))
    whole = labels.read_bytes()
    labels.write_bytes(images.read_bytes())
    message = f"MNIST file {labels} is damaged: it is not an idx file of 1 dimensions"
    with pytest.raises(ValueError, match=message):
        read_mnist(folder)
    labels.write_bytes(whole + b"x")
    with pytest.raises(
        ValueError, match="is damaged: its header must be followed by 5 bytes, there are more"
    ):
        read_mnist(folder)
    labels.unlink()
    with pytest.raises(ValueError, match="file train-labels-idx1-ubyte is missing, gzipped or not"):
        read_mnist(folder)
    with pytest.raises(ValueError, match="this file or folder does not exist"):
        read_mnist(tmp_path / "nothing")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz is not a valid \.npz: "):
        read_mnist(tmp_path / "text.npz")


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.lib.format.write_array(content, np.array([print]), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w") as archive:
        for name in ARRAYS:
            archive.writestr(f"{name}.npy", content.getvalue())
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_mnist(tmp_path / "mnist.npz")


def test_it_is_stored_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_idx(tmp_path / "idx", gzipped=True)
    assert main(["data", "mnist", str(path), "--name", "mine"]) == 0
    told = capsys.readouterr().out
    assert "mine: 5 images to train on, 3 to test on, hash " in told
    assert "train on it: rankbench run draw task.images=mine" in told
    assert main(["data", "list"]) == 0
    assert "28x28x1" in capsys.readouterr().out


def test_a_set_of_something_else_is_refused() -> None:
    write_frames("tiny")
    with pytest.raises(
        ValueError, match="the set tiny must contain images of 784 pixels, it contains"
    ):
        load_digits("tiny")
    with pytest.raises(ValueError, match="no set 'other' is cached"):
        load_digits("other")


def test_the_digits_that_ship_are_real_and_of_full_size() -> None:
    digits = load_digits("")
    assert digits.dataset == SHIPPED
    assert (digits.train.shape, digits.test.shape) == ((1438, PIXELS), (359, PIXELS))
    whole = np.concatenate([digits.train, digits.test]).reshape(-1, SIDE, SIDE)
    assert whole.max() == 255
    # Ink in the middle, next to none at the left and right margin.
    assert whole[:, 8:20, 8:20].mean() > 80
    assert whole[:, :, [0, -1]].mean() < 10


def test_a_folder_may_hold_the_npz(tmp_path: Path) -> None:
    write_npz(tmp_path / "mnist.npz")
    alone = store_mnist(tmp_path / "mnist.npz", "alone")
    told = [
        metadata(open_set(folder.name)[1]) for folder in (alone, store_mnist(tmp_path, "below"))
    ]
    assert told[0]["data_hash"] == told[1]["data_hash"]
    write_npz(tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"several \.npz files, name one of: mnist.npz, other.npz"):
        read_mnist(tmp_path)
