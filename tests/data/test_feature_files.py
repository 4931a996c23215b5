"""Features from a .npz file: every row at its clip and slot, or one line that says why not."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rankbench.data.features.feature_files import import_features, read_features
from rankbench.data.sets import catalog as sets
from rankbench.data.sets.catalog import metadata, open_set, set_folder
from rankbench.data.sets.set_file import SCHEMA


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def arrays() -> dict[str, np.ndarray]:
    """Two clips, of three and of two frames, the rows of no order."""
    return {
        "feat": np.arange(20, dtype=np.float16).reshape(5, 4) / 8,
        "clip_id": np.array(["b", "a", "b", "a", "b"]),
        "label": np.array([1, 0, 1, 0, 1]),
        "group": np.array(["g1", "g0", "g1", "g0", "g1"]),
        "slot": np.array([2, 1, 0, 0, 1]),
        "supergroup": np.array(["s", "s", "s", "s", "s"]),
        "weight": np.array([0.5, 1, 0.5, 1, 0.5]),
    }


def write(path: Path, **changed: Any) -> Path:
    """Save `arrays()` with some changed, or left out where None; the path, for chaining."""
    held = {name: values for name, values in {**arrays(), **changed}.items() if values is not None}
    np.savez_compressed(path, **held)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("frames.npy", "clips.parquet")}


def test_rows_come_to_their_clip_in_the_order_of_slots(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = write(tmp_path / "given.npz")
    assert import_features(path, "cnn", lambda *at: told.append(at)) == set_folder("cnn")
    array, index = open_set("cnn")
    np.testing.assert_array_equal(array, arrays()["feat"][[3, 1, 2, 4, 0]])
    assert array.dtype == np.float16
    assert told == [(0, 5), (2, 5), (5, 5)]
    assert index["clip_id"].to_pylist() == ["a", "b"]
    assert index["frames"].to_pylist() == [2, 3]
    assert index["label"].to_pylist() == [0, 1]
    assert index["group"].to_pylist() == ["g0", "g1"]
    assert index["supergroup"].to_pylist() == ["s", "s"]
    assert index["weight"].to_pylist() == [1, 0.5]
    assert index["source"].to_pylist() == ["given.npz"] * 2
    assert index["ordered"].to_pylist() == [False, False]
    assert "slot" not in index.column_names
    assert {name: index.schema.field(name).type for name in SCHEMA} == SCHEMA
    assert sets.altered(array, index) == []
    assert metadata(index)["kind"] == "features"


def test_what_a_file_says_of_a_clip_is_kept(tmp_path: Path) -> None:
    cls, length = np.array(["run", "swim", "run", "swim", "run"]), np.array([9, 7, 9, 7, 9])
    true = np.array([8, 3, 0, 0, -1])  # clip b: one of its frames is of an unknown time
    path = write(tmp_path / "a.npz", cls=cls, clip_len=length, true_frame=true)
    import_features(path, "cnn")
    index = open_set("cnn")[1]
    assert index["cls"].to_pylist() == ["swim", "run"]
    assert index["clip_len"].to_pylist() == [7, 9]
    assert index["ordered"].to_pylist() == [True, False]
    import_features(write(tmp_path / "b.npz", ordered=np.ones(5, dtype=bool)), "told")
    assert open_set("told")[1]["ordered"].to_pylist() == [True, True]


def test_the_data_hash_is_of_the_features(tmp_path: Path) -> None:
    def digest(name: str, **changed: Any) -> str:
        import_features(write(tmp_path / f"{name}.npz", **changed), name)
        found: str = metadata(open_set(name)[1])["data_hash"]
        return found

    one = digest("one")
    assert digest("two") == one
    assert digest("three", feat=arrays()["feat"] * 2) != one
    assert digest("four", label=1 - arrays()["label"]) != one
    assert digest("five", feat=arrays()["feat"].astype(np.float32)) != one


@settings(max_examples=25)
@given(st.permutations(range(5)))
def test_the_order_of_rows_in_the_file_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("RANKBENCH_CACHE", str(folder))
        whole = contents(import_features(write(folder / "a.npz"), "cnn"))
        moved = {name: values[order] for name, values in arrays().items()}
        assert contents(import_features(write(folder / "a.npz", **moved), "cnn")) == whole


def test_an_import_that_was_stopped_is_made_anew(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    other = write(tmp_path / "a.npz", feat=arrays()["feat"] * 2)
    with pytest.raises(KeyboardInterrupt):
        import_features(other, "cnn", stop)
    import_features(write(tmp_path / "a.npz"), "cnn")
    np.testing.assert_array_equal(open_set("cnn")[0], arrays()["feat"][[3, 1, 2, 4, 0]])


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (
            {"slot": None, "group": None},
            "array group, slot is missing; its arrays: feat, clip_id, label, supergroup, weight",
        ),
        (
            {"feat": None},
            "array feat is missing; its arrays: clip_id, label, group, slot, supergroup, weight",
        ),
        ({"label": np.zeros(4, int)}, "label must have 5 values, one per row of feat; it has"),
        ({"weight": np.zeros((5, 1))}, "weight must have 5 values, one per row of feat; it has"),
        ({"slot": np.zeros(5)}, "slot must contain integers, it contains float64"),
        ({"clip_id": np.arange(5)}, "clip_id must contain text, it contains int64"),
        (
            {"supergroup": np.array([b"s"] * 5)},
            "supergroup must contain text or numbers, it contains",
        ),
        ({"feat": np.zeros(5, np.float16)}, "feat must be (n, f) of float16 or float32, it is"),
        ({"feat": np.zeros((5, 4), int)}, "feat must be (n, f) of float16 or float32, it is"),
        ({"feat": np.zeros((0, 4), np.float16)}, "feat must be (n, f) of float16 or float32,"),
        (
            {"feat": np.full((5, 4), np.nan, np.float16)},
            "feat must be finite, but has NaN or infinite values",
        ),
        ({"first": np.arange(5)}, "first is a column that the set fills itself; rename the array"),
        ({"slot": np.zeros(5, int)}, "clip a has a slot twice, its slots are [0, 0]"),
        ({"label": np.arange(5)}, "label has more than one value in clip a"),
    ],
)
def test_what_a_file_must_hold(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    path = write(tmp_path / "a.npz", **changed)
    start = re.escape(f"features file {path}: {what}")
    with pytest.raises(ValueError, match=f"^{start}[^\n]*$"):
        import_features(path, "cnn")
    assert sets.names() == []


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", group=np.array([{}] * 5, dtype=object))
    with pytest.raises(ValueError, match=r"is not a valid \.npz: Object arrays cannot be loaded"):
        import_features(path, "cnn")


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    with refused(f"features file {tmp_path}/no.npz cannot be read: No such file or directory"):
        read_features(tmp_path / "no.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with refused(f"features file {tmp_path}/one.npy is not a valid .npz: it is a single array"):
        read_features(tmp_path / "one.npy")


@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, keep: float
) -> None:
    path = write(tmp_path_factory.mktemp("cut") / "a.npz")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ValueError, match=r"^features file .* is not a valid \.npz: [^\n]*$"):
        read_features(path)


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
@example(place=0, bit=0)
def test_an_altered_file_is_refused_or_says_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    """The format has no checksum of its list of arrays: one that is not needed can get lost."""
    path = tmp_path_factory.mktemp("bit") / "a.npz"
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays())
    content = bytearray(stream.getvalue())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        file = read_features(path)
    except ValueError as error:
        complaint = str(error)
    else:
        complaint = ""
        for name, values in {"feat": file.features, **file.columns}.items():
            np.testing.assert_array_equal(values, arrays()[name])
    assert "\n" not in complaint
