"""Stored sets: written clip by clip, taken up after any interruption, never read when damaged."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rankbench.data.sets import catalog as sets
from rankbench.data.sets.catalog import SetSpec, SetWriter, metadata, open_set, set_folder
from rankbench.data.sets.set_file import SCHEMA

FEATURES = 5
SPEC = SetSpec(name="tiny", kind="frames", features=FEATURES, settings={"every": 1})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def row(number: int) -> dict[str, Any]:
    return {
        "clip_id": f"clip_{number:03d}",
        "cls": "run",
        "label": 0,
        "group": f"g{number // 2}",
        "ordered": True,
        "clip_len": 9,
        "source": f"run/clip_{number:03d}.avi",
        "source_hash": f"{number:016x}",
        "side": "train",
    }


def pixels(number: int, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (1 + number % 4, FEATURES)).astype(dtype)


def fill(writer: SetWriter, clips: int) -> None:
    """Append what is missing of the first `clips`; clip 2 is skipped."""
    for number in range(len(writer.entries), clips):
        if number == 2:
            writer.skip(row(number), "it contains no frame")
        else:
            writer.append(row(number), pixels(number, writer.spec.dtype))


def write(spec: SetSpec = SPEC, clips: int = 6) -> Path:
    with SetWriter(spec) as writer:
        fill(writer, clips)
        return writer.finish()


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("frames.npy", "clips.parquet")}


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_a_set_is_read_as_it_was_written() -> None:
    folder = write()
    array, index = open_set("tiny")
    assert folder == set_folder("tiny")
    written = [number for number in range(6) if number != 2]
    np.testing.assert_array_equal(array, np.concatenate([pixels(n) for n in written]))
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    assert index["clip_id"].to_pylist() == [row(n)["clip_id"] for n in written]
    assert index["first"].to_pylist() == [0, 1, 3, 7, 8]
    assert index["frames"].to_pylist() == [1, 2, 4, 1, 2]
    assert index["side"].to_pylist() == ["train"] * 5
    assert {name: index.schema.field(name).type for name in SCHEMA} == SCHEMA
    told = metadata(index)
    assert told["shape"] == [10, FEATURES]
    assert (told["name"], told["kind"], told["dtype"]) == ("tiny", "frames", "uint8")
    assert (told["every"], told["version"], len(told["data_hash"])) == (1, 1, 16)
    assert sets.names() == ["tiny"]
    assert sets.altered(array, index) == []
    assert sorted(path.name for path in folder.iterdir()) == ["clips.parquet", "frames.npy", "lock"]


def test_features_are_stored_as_well() -> None:
    spec = SetSpec(name="cnn", kind="features", features=FEATURES, dtype="float16")
    write(spec)
    array, index = open_set("cnn")
    assert array.dtype == np.float16
    np.testing.assert_array_equal(array[1:3], pixels(1, "float16"))
    assert metadata(index)["kind"] == "features"
    assert sets.altered(array, index) == []


def test_the_data_hash_is_of_contents_and_settings() -> None:
    rows = [row(1), row(2)]
    other = SetSpec(name="tiny", kind="frames", features=FEATURES, settings={"every": 2})
    renamed = SetSpec(name="b", kind="frames", features=FEATURES, settings={"every": 1})
    moved = [{**row, "source": "elsewhere"} for row in rows]
    assert SPEC.data_hash(rows) == renamed.data_hash(moved[::-1])
    assert SPEC.data_hash(rows) != other.data_hash(rows)
    assert SPEC.data_hash(rows) != SPEC.data_hash(rows[:1])


@given(st.data())
def test_a_writer_killed_anywhere_ends_with_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A kill, or a machine lost, leaves either file short, or with part of the next clip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        whole = contents(write())
        shutil.rmtree(set_folder("tiny"))
        with SetWriter(SPEC) as writer:
            fill(writer, data.draw(st.integers(0, 5)))
        for name in ("journal.jsonl", "frames.npy.part"):
            path = set_folder("tiny") / name
            content = path.read_bytes()
            torn = content[: data.draw(st.integers(0, len(content)))]
            path.write_bytes(data.draw(st.sampled_from([torn, content + b"torn"])))
        assert contents(write()) == whole


def test_a_kill_between_the_two_names_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = contents(write())
    shutil.rmtree(set_folder("tiny"))
    with SetWriter(SPEC) as writer:
        fill(writer, 6)
        (set_folder("tiny") / "frames.npy.part").replace(set_folder("tiny") / "frames.npy")
    with SetWriter(SPEC) as writer:
        assert len(writer.entries) == 6
        writer.finish()
    assert contents(set_folder("tiny")) == whole


def test_other_settings_start_anew_and_the_old_set_stays_until_then() -> None:
    old = contents(write())
    other = SetSpec(name="tiny", kind="frames", features=FEATURES, settings={"every": 2})
    with SetWriter(other) as writer:
        assert writer.entries == []
        writer.append(row(0), pixels(0))
    assert contents(set_folder("tiny")) == old
    with SetWriter(SPEC) as writer:
        assert writer.entries == []
    write(other, clips=1)
    assert metadata(open_set("tiny")[1])["shape"] == [1, FEATURES]


def test_entries_are_kept_up_to_where_the_source_changed() -> None:
    whole = contents(write())
    shutil.rmtree(set_folder("tiny"))
    with SetWriter(SPEC) as writer:
        for number in (0, 1, 5):
            writer.append(row(number), pixels(number))
        writer.keep(2)
        assert [entry["clip_id"] for entry in writer.entries] == ["clip_000", "clip_001"]
    assert contents(write()) == whole


@pytest.mark.parametrize("clips", [6, 8])
def test_a_set_published_while_it_is_read_is_never_mixed(
    monkeypatch: pytest.MonkeyPatch, clips: int
) -> None:
    write()
    other = SetSpec(name="tiny", kind="frames", features=FEATURES, settings={"every": 2})
    load, begun = np.load, list[bool]()

    def late(*arguments: Any, **settings: Any) -> Any:
        if not begun:
            begun.append(True)
            write(other, clips)
        return load(*arguments, **settings)

    monkeypatch.setattr(np, "load", late)
    array, index = open_set("tiny")
    assert metadata(index)["every"] == 2
    assert len(index) == clips - 1
    assert not sets.altered(array, index)


def test_discarding_leaves_what_is_published() -> None:
    old = contents(write())
    with SetWriter(SPEC) as writer:
        writer.append(row(0), pixels(0))
        writer.discard()
    assert contents(set_folder("tiny")) == old
    assert not (set_folder("tiny") / "frames.npy.part").exists()


@pytest.mark.parametrize("name", ["frames.npy", "clips.parquet"])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_set_is_never_read(name: str, where: float) -> None:
    path = write() / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * where)])
    with pytest.raises(ValueError, match=r"^the set tiny is damaged \([^\n]*\); `rankbench data`"):
        open_set("tiny")


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
@example(place=3204, bit=0)  # in the name of a key that only Arrow reads
def test_an_altered_index_is_never_read(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        path = write() / "clips.parquet"
        before = open_set("tiny")[1]
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= 1 << bit
        path.write_bytes(content)
        # Some bits say nothing: those of statistics, or the name of the writing library.
        after = before
        with contextlib.suppress(ValueError):
            after = open_set("tiny")[1]
        assert after.equals(before, check_metadata=True)


def test_altered_sizes_are_told() -> None:
    folder = write()
    with (folder / "frames.npy").open("ab") as file:
        file.write(b"x")
    with refused(
        "the set tiny is damaged (frames.npy must have 178 bytes, it has 179);"
        " `rankbench data` rebuilds it"
    ):
        open_set("tiny")


def test_altered_frames_are_found_by_their_hash() -> None:
    path = write() / "frames.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert sets.altered(*open_set("tiny")) == ["clip_005"]


def test_an_index_of_another_array_is_refused() -> None:
    write()
    other = SetSpec(name="other", kind="frames", features=FEATURES)
    shutil.copy(set_folder("tiny") / "clips.parquet", write(other, clips=4) / "clips.parquet")
    with refused(
        "the set other is damaged (frames.npy does not match clips.parquet);"
        " `rankbench data` rebuilds it"
    ):
        open_set("other")


def test_an_unknown_set_names_those_there_are_and_where_to_get_it() -> None:
    write()
    with pytest.raises(ValueError, match=r"^no set 'ucf11' is cached") as caught:
        open_set("ucf11")
    assert str(caught.value) == (
        "no set 'ucf11' is cached (cached: tiny); `rankbench data ucf11 PATH` makes it;"
        " UCF11 is at the Center for Research in Computer Vision, University of Central Florida,"
        ' page "UCF YouTube Action Data Set", for non-commercial research'
    )
    with pytest.raises(ValueError, match="the name of a set must consist of letters"):
        open_set("../tiny")


def test_two_writers_of_one_set_are_refused() -> None:
    with SetWriter(SPEC), pytest.raises(OSError, match="another process is writing it"):
        SetWriter(SPEC)
    write()


def test_what_a_writer_refuses() -> None:
    with SetWriter(SPEC) as writer:
        writer.append(row(1), pixels(1))
        with refused(
            "clips of a set must be in the order of clip_id, got 'clip_000' after 'clip_001'"
        ):
            writer.append(row(0), pixels(0))
        with refused("frames of clip clip_002 must be (t, 5), got (2, 4)"):
            writer.append(row(2), pixels(1)[:, :4])
        with refused("frames of clip clip_002 must be uint8, got float32"):
            writer.append(row(2), pixels(1, "float32"))
    with (
        SetWriter(SetSpec(name="none", kind="frames", features=1)) as writer,
        refused("the set none must have at least one clip, got none"),
    ):
        writer.finish()
    with pytest.raises(
        ValueError, match="kind of a set must be one of: frames, features, images, captions; got"
    ):
        SetSpec(name="a", kind="video", features=1)


def test_a_cache_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"cannot write the set tiny in .* set RANKBENCH_CACHE"):
        SetWriter(SPEC)


def test_extra_columns_of_several_types_become_text() -> None:
    with SetWriter(SPEC) as writer:
        writer.append({**row(0), "draw": 1}, pixels(0))
        writer.append({**row(1), "draw": "b"}, pixels(1))
        folder = writer.finish()
    assert pq.read_table(folder / "clips.parquet")["draw"].to_pylist() == ["1", "b"]
