"""Frames: what is read, in which order, cached once, and what is refused in one clear line."""

from __future__ import annotations

import errno
import io
import logging
import multiprocessing
import os
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rankbench.data.split import assign_folds, sides_of_fold
from rankbench.data.video import frame_files as frames
from rankbench.data.video.frame_files import FrameClips, load_clips
from rankbench.data.video.index import Decoding
from tests.helpers.clips import HEIGHT, WIDTH, clip_rows, jpeg, write_clips, write_rows
from tests.helpers.processes import spawn

FEATURES = HEIGHT * WIDTH * 3


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_clips(tmp_path / "frames.parquet")


def load(path: Path, **settings: Any) -> FrameClips:
    return load_clips(
        path, Decoding(**{"height": HEIGHT, "width": WIDTH, "channels": 3, **settings})
    )


def pixels(data: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode)).reshape(-1)


def refused(message: str) -> Any:
    """One line, exactly this."""
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


# What is read.


def test_every_frame_is_decoded_to_its_place(file: Path) -> None:
    clips = load(file)
    rows = clip_rows()
    assert clips.frames.shape == (24, 3, FEATURES)
    assert clips.frames.dtype == np.uint8
    expected = np.stack([pixels(row["jpeg"]) for row in rows]).reshape(24, 3, FEATURES)
    np.testing.assert_array_equal(clips.frames, expected)
    assert clips.column("clip_id").tolist() == [row["clip_id"] for row in rows[::3]]
    assert clips.column("label").tolist() == [row["label"] for row in rows[::3]]
    assert clips.column("group").tolist() == [row["group"] for row in rows[::3]]
    assert len(clips) == 24
    assert clips.time_steps == 3


def test_frames_are_memory_mapped_and_read_only(file: Path) -> None:
    stored = load(file).frames
    assert isinstance(stored, np.memmap)
    assert not stored.flags.writeable


def test_the_order_of_the_rows_is_not_trusted(tmp_path: Path, file: Path) -> None:
    rows = clip_rows()
    random.Random(1).shuffle(rows)
    shuffled = load(write_rows(tmp_path / "shuffled.parquet", rows, row_group_size=7))
    np.testing.assert_array_equal(shuffled.frames, load(file).frames)
    assert shuffled.column("label").tolist() == load(file).column("label").tolist()


def test_pictures_are_read_in_batches(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "BATCH", 5)
    batched = load(write_rows(tmp_path / "g.parquet", clip_rows(), row_group_size=7))
    np.testing.assert_array_equal(batched.frames, load(file).frames)


def test_slots_are_ordered_as_numbers(tmp_path: Path) -> None:
    rows = clip_rows(classes=1, groups=1, clips=1, frames=12)
    clips = load(write_rows(tmp_path / "f.parquet", rows[::-1]))
    assert clips.index["slot"].tolist() == list(range(12))
    np.testing.assert_array_equal(clips.frames[0, 10], pixels(rows[10]["jpeg"]))


def test_of_two_rows_for_a_slot_the_first_counts(tmp_path: Path, file: Path) -> None:
    first, second = clip_rows(seed=0), clip_rows(seed=1)
    clips = load(write_rows(tmp_path / "twice.parquet", first + second))
    np.testing.assert_array_equal(clips.frames, load(file).frames)


def test_where_chooses_rows_before_duplicates_go(tmp_path: Path) -> None:
    first = [{**row, "draw": "a", "take": 1} for row in clip_rows(seed=0)]
    second = [{**row, "draw": "b", "take": 2} for row in clip_rows(seed=1)]
    both = write_rows(tmp_path / "both.parquet", first + second)
    only = load(write_rows(tmp_path / "second.parquet", second)).frames
    np.testing.assert_array_equal(load(both, where=(("draw", "b"),)).frames, only)
    np.testing.assert_array_equal(load(both, where=(("take", 2), ("draw", "b"))).frames, only)


def test_where_takes_a_number_for_a_column_of_text(tmp_path: Path) -> None:
    rows = [{**row, "take": str(row["label"])} for row in clip_rows()]
    clips = load(write_rows(tmp_path / "f.parquet", rows), where=(("take", 2),))
    assert set(clips.column("label").tolist()) == {2}


@pytest.mark.parametrize(
    ("time_steps", "slots"), [(1, [0]), (2, [0, 6]), (3, [0, 3, 6]), (5, [0, 1, 3, 4, 6])]
)
def test_time_steps_are_spread_over_the_clip(
    tmp_path: Path, time_steps: int, slots: list[int]
) -> None:
    rows = clip_rows(classes=2, groups=1, clips=1, frames=7)
    clips = load(write_rows(tmp_path / "f.parquet", rows), time_steps=time_steps)
    assert clips.index["slot"].tolist() == slots * 2
    np.testing.assert_array_equal(clips.frames[1, -1], pixels(rows[7 + slots[-1]]["jpeg"]))


def test_time_steps_may_differ_from_clip_to_clip_in_the_file(tmp_path: Path) -> None:
    short, long = clip_rows(classes=1, frames=3), clip_rows(classes=2, frames=5)
    rows = short + [row for row in long if row["label"] == 1]
    clips = load(write_rows(tmp_path / "f.parquet", rows), time_steps=3)
    assert clips.frames.shape == (16, 3, FEATURES)
    assert clips.index["slot"].tolist() == [0, 1, 2] * 8 + [0, 2, 4] * 8


def test_pictures_of_another_size_are_resized(file: Path) -> None:
    clips = load(file, height=6, width=8)
    source = Image.open(io.BytesIO(clip_rows()[0]["jpeg"]))
    resized = np.asarray(source.resize((8, 6), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(clips.frames[0, 0], resized.reshape(-1))


def test_one_channel_is_grey_and_grey_pictures_have_three_channels(tmp_path: Path) -> None:
    rows = clip_rows()
    grey = load(write_rows(tmp_path / "colour.parquet", rows), channels=1)
    np.testing.assert_array_equal(grey.frames[0, 0], pixels(rows[0]["jpeg"], "L"))
    rows = [{**row, "jpeg": jpeg(np.full((HEIGHT, WIDTH), 77, np.uint8))} for row in rows]
    assert (load(write_rows(tmp_path / "grey.parquet", rows)).frames == 77).all()


def test_categorical_columns_order_by_value(tmp_path: Path, file: Path) -> None:
    table = pq.read_table(file)
    clip = table.schema.get_field_index("clip_id")
    backwards = table.take(list(range(len(table)))[::-1])
    encoded = backwards.set_column(clip, "clip_id", backwards["clip_id"].dictionary_encode())
    pq.write_table(encoded, tmp_path / "encoded.parquet")
    np.testing.assert_array_equal(load(tmp_path / "encoded.parquet").frames, load(file).frames)


# The cache.


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every picture that is decoded."""
    calls: list[int] = []
    real = frames.decode_frame

    def counting(data: bytes, decoding: Decoding) -> bytes:
        calls.append(1)
        return real(data, decoding)

    monkeypatch.setattr(frames, "decode_frame", counting)
    return calls


def test_decoding_happens_once_and_is_logged(
    file: Path, decoded: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="rankbench.data.video.frame_files"):
        first, second = load(file), load(file)
    assert len(decoded) == 72
    assert [r.getMessage()[:25] for r in caplog.records] == [f"decoded 72 frames of {file}"[:25]]
    np.testing.assert_array_equal(first.frames, second.frames)
    assert second.index.equals(first.index)


def test_settings_and_content_have_caches_of_their_own(
    tmp_path: Path, file: Path, decoded: list[int]
) -> None:
    original = load(file)
    assert load(file, channels=1).frames.shape == (24, 3, HEIGHT * WIDTH)
    assert load(file, time_steps=2).frames.shape == (24, 2, FEATURES)
    write_clips(file, seed=5)
    changed = load(file)
    assert len(decoded) == 72 + 72 + 48 + 72
    assert changed.data_hash != original.data_hash
    assert (changed.frames != original.frames).any()


def test_a_file_elsewhere_with_the_same_content_shares_the_cache(
    tmp_path: Path, file: Path, decoded: list[int]
) -> None:
    load(file)
    load(file.rename(tmp_path / "moved.parquet"))
    assert len(decoded) == 72


def shorten(path: Path) -> None:
    with path.open("r+b") as stored:
        stored.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_shape(path: Path) -> None:
    np.save(path, np.zeros((2, 3, 4), np.uint8))


def other_type(path: Path) -> None:
    np.save(path, np.load(path).astype(np.int16))


def fewer_rows(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(3), path)


def no_shape(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("npy", shorten),
        ("npy", empty),
        ("npy", other_shape),
        ("npy", other_type),
        ("npy", Path.unlink),
        ("parquet", shorten),
        ("parquet", empty),
        ("parquet", fewer_rows),
        ("parquet", no_shape),
        ("parquet", Path.unlink),
    ],
)
def test_a_damaged_cache_is_built_again(
    file: Path, cache: Path, decoded: list[int], kind: str, damage: Any
) -> None:
    expected = np.array(load(file).frames)
    (stored,) = cache.glob(f"*.{kind}")
    damage(stored)
    again = load(file)
    np.testing.assert_array_equal(again.frames, expected)
    assert len(again.index) == 72
    assert len(decoded) == 144


def test_a_rebuilt_cache_leaves_open_maps_alone(file: Path, cache: Path) -> None:
    before = load(file).frames
    expected = np.array(before)
    (index,) = cache.glob("*.parquet")
    index.unlink()
    load(file)
    np.testing.assert_array_equal(before, expected)


def test_what_a_killed_build_left_is_not_read(file: Path, cache: Path) -> None:
    load(file)
    (array,) = cache.glob("*.npy")
    (index,) = cache.glob("*.parquet")
    expected = array.read_bytes()
    index.unlink()
    array.rename(array.with_suffix(".npy.tmp")).write_bytes(b"x" * 10**6)
    load(file)
    assert array.read_bytes() == expected
    assert sorted(path.suffix for path in cache.iterdir()) == [".lock", ".npy", ".parquet"]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    message = (
        f"cannot write the frame cache in {cache}: No space left on device;"
        " set RANKBENCH_CACHE to another folder"
    )
    with pytest.raises(OSError, match=f"^{re.escape(message)}$"):
        load(file)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_short_writes_are_completed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:100], at))
    np.testing.assert_array_equal(load(file).frames[0, 0], pixels(clip_rows()[0]["jpeg"]))


def load_and_note(path: Path, notes: Path, barrier: Any) -> None:
    real = frames.decode_frame

    def noting(data: bytes, decoding: Decoding) -> bytes:
        with notes.open("ab") as out:
            out.write(b"x")
        return real(data, decoding)

    frames.decode_frame = noting
    barrier.wait()
    assert load(path).frames.sum() > 0


def test_concurrent_workers_decode_once(tmp_path: Path, file: Path) -> None:
    barrier = multiprocessing.get_context("spawn").Barrier(3)
    workers = [spawn(load_and_note, file, tmp_path / "notes", barrier) for _ in range(3)]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len((tmp_path / "notes").read_bytes()) == 72


# What is refused.


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    with refused(f"frames file {path} cannot be read: No such file or directory"):
        load(path)


@pytest.mark.parametrize("damage", [shorten, empty])
def test_a_truncated_file(file: Path, damage: Any) -> None:
    damage(file)
    with pytest.raises(
        ValueError, match=rf"^frames file {re.escape(str(file))} cannot be read as Parquet: .+$"
    ):
        load(file)


def test_pictures_damaged_inside_the_file(file: Path) -> None:
    place = pq.ParquetFile(file).metadata.row_group(0).column(5).data_page_offset
    with file.open("r+b") as out:
        out.seek(place)
        out.write(b"\xff" * 400)
    with pytest.raises(ValueError, match=r"^frames file .+ cannot be read as Parquet: .+$"):
        load(file)


def test_missing_columns(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k not in ("group", "slot")} for row in clip_rows()]
    path = write_rows(tmp_path / "f.parquet", rows)
    with refused(
        f"frames file {path} has no column group, slot;"
        " it needs clip_id, label, group, slot, jpeg; it has clip_id, label, side, jpeg"
    ):
        load(path)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("label", "golf", "label must contain integers, it contains string"),
        ("slot", 0.5, "slot must contain integers, it contains double"),
        ("jpeg", "text", "jpeg must contain bytes, it contains string"),
    ],
)
def test_columns_of_another_type(tmp_path: Path, column: str, value: Any, rule: str) -> None:
    rows = [{**row, column: value} for row in clip_rows()]
    path = write_rows(tmp_path / "f.parquet", rows)
    with refused(f"frames file {path}: {rule}"):
        load(path)


@pytest.mark.parametrize("column", ["clip_id", "label", "group", "slot"])
def test_empty_values(tmp_path: Path, column: str) -> None:
    rows = clip_rows()
    rows[5][column] = None
    path = write_rows(tmp_path / "f.parquet", rows)
    with refused(f"frames file {path}: column '{column}' is empty in row 5"):
        load(path)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(out, format="PNG")
    return out.getvalue()


WHOLE = clip_rows(classes=1, groups=1, clips=1)[0]["jpeg"]


@pytest.mark.parametrize(
    "data",
    [b"", b"not a picture", WHOLE[: len(WHOLE) // 2], None, png()],
    ids=["empty", "text", "truncated", "null", "png"],
)
def test_a_corrupt_picture_is_named(tmp_path: Path, cache: Path, data: bytes | None) -> None:
    rows = clip_rows()
    rows[7]["jpeg"] = data
    path = write_rows(tmp_path / "f.parquet", rows)
    with refused(f"frames file {path}: clip c0_g01_0, slot 1: the picture is not a complete JPEG"):
        load(path)
    assert [stored.suffix for stored in cache.iterdir()] == [".lock"]


def test_a_corrupt_picture_that_is_not_used_does_no_harm(tmp_path: Path) -> None:
    rows = clip_rows()
    rows[7]["jpeg"] = b"not a picture"
    assert len(load(write_rows(tmp_path / "f.parquet", rows), where=(("label", 1),))) == 8


def test_clips_with_too_few_frames(tmp_path: Path) -> None:
    rows = clip_rows()
    del rows[7]
    path = write_rows(tmp_path / "f.parquet", rows)
    with refused("clip c0_g01_0 has 2 frames, but others have 3; set task.time_steps to at most 2"):
        load(path)
    with refused("clip c0_g01_0 has 2 frames, but task.time_steps is 3"):
        load(path, time_steps=3)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            (("draw", "a"),),
            "task.where: the frames file has no column 'draw';"
            " its columns: clip_id, label, group, slot, side",
        ),
        (
            (("label", "golf"),),
            "task.where: the value for column 'label' must be of type int64, got 'golf'",
        ),
        (
            (("label", 2**64),),
            f"task.where: the value for column 'label' must be of type int64, got {2**64}",
        ),
        (
            (("side", "dev"), ("label", 1)),
            "the frames file has no row with task.where side=dev, label=1",
        ),
    ],
)
def test_where_that_cannot_be(file: Path, where: Any, message: str) -> None:
    with refused(message):
        load(file, where=where)


def test_a_file_without_rows(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "empty.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), path)
    with refused("the frames file has no row"):
        load(path)


def test_a_column_must_hold_one_value_a_clip(tmp_path: Path) -> None:
    rows = clip_rows()
    rows[4]["group"] = "elsewhere"
    rows[7]["side"] = None
    clips = load(write_rows(tmp_path / "f.parquet", rows))
    with refused("column 'group' has more than one value in clip c0_g00_1"):
        clips.column("group")
    with refused("column 'side' is empty in clip c0_g01_0"):
        clips.column("side")
    with refused(
        "the frames file has no column 'draw'; its columns: clip_id, label, group, slot, side"
    ):
        clips.column("draw")


@pytest.mark.data
def test_the_real_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.environ.get("RANKBENCH_UCF11")
    if not path:
        pytest.skip("RANKBENCH_UCF11 does not name the Parquet file of UCF11 frames")
    clips = load(Path(path), height=120, width=160)
    assert clips.frames.shape == (1599, 5, 57600)
    labels, groups = clips.column("label").tolist(), clips.column("group").tolist()
    assert set(labels) == set(range(11))
    assert len(set(groups)) == 275
    assigned = assign_folds(groups, labels, 5, seed=0)
    for fold in range(5):
        train, test = sides_of_fold(assigned, fold)
        assert not {groups[k] for k in train} & {groups[k] for k in test}
        assert {labels[k] for k in train} == {labels[k] for k in test} == set(range(11))
        assert len({groups[k] for k in test}) == 55
    # Real pictures: neither blank nor shifted.
    sample = np.asarray(clips.frames[::100], dtype=np.float64)
    assert 60 < sample.mean() < 160
    assert sample.std(axis=2).min() > 5


def test_int_clip_ids_are_named_plainly(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{**row, "clip_id": row["label"]} for row in clip_rows(clips=1)])
    pq.write_table(table.slice(1), tmp_path / "f.parquet")
    clips = load(tmp_path / "f.parquet", time_steps=2)
    with refused("column 'group' has more than one value in clip 0"):
        clips.column("group")
