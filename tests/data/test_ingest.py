"""Data sets as they are distributed become stored sets, whatever happens on the way."""

from __future__ import annotations

import datetime
import errno
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from rankbench.data.sets import catalog as sets
from rankbench.data.video import decoders
from rankbench.data.video.framing import Framing
from rankbench.data.video.ingest import Ingested, Source, ingest
from tests.helpers.clips import clip_rows, write_rows
from tests.helpers.processes import start
from tests.helpers.videos import FRAMES, HEIGHT, WIDTH, level, levels, write_folder, write_video

SMALL = Framing(height=HEIGHT, width=WIDTH)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Silent:
    """A watch that only remembers."""

    def __init__(self) -> None:
        self.stored, self.clips = 0, list[tuple[str, int, str]]()

    def unpacking(self, archive: Path) -> None:
        pass

    def begin(self, clips: int, stored: int) -> None:
        self.stored = stored

    def clip(self, clip_id: str, frames: int, problem: str) -> None:
        self.clips.append((clip_id, frames, problem))


def store(
    path: Path,
    layout: str = "ucf11",
    framing: Framing = SMALL,
    watch: Silent | None = None,
    **settings: Any,
) -> Ingested:
    source = Source(layout=layout, path=path, **settings)
    return ingest("tiny", source, framing, watch or Silent(), workers=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("frames.npy", "clips.parquet")}


def rows(name: str = "tiny") -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """Of each clip its row and its frames."""
    array, index = sets.open_set(name)
    return {
        row["clip_id"]: (row, array[row["first"] : row["first"] + row["frames"]])
        for row in index.to_pylist()
    }


def test_every_frame_of_every_clip_is_stored(tmp_path: Path) -> None:
    store(write_folder(tmp_path / "data", clips=5))
    found = rows()
    assert list(found) == [f"v_{clip:02d}" for clip in range(5)]
    for clip, (row, frames) in enumerate(found.values()):
        expected = [level(clip, number) for number in range(FRAMES)]
        np.testing.assert_allclose(levels(frames), expected, atol=2)
        assert row["cls"] == ("diving", "biking")[clip % 2]
        assert row["label"] == (2, 1)[clip % 2]
        assert row["group"] == f"v_{clip % 2}_{clip // 4:02d}"
        assert (row["clip_len"], row["ordered"]) == (FRAMES, True)
        assert row["source"] == f"{row['cls']}/{row['group']}/{row['clip_id']}.avi"


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"every": 3}, [0, 3, 6]),
        ({"per_clip": 3}, [0, 3, 7]),
        ({"per_clip": 1}, [0]),
        ({"every": 2, "per_clip": 2}, [0, 6]),
        ({"per_clip": 99}, list(range(FRAMES))),
    ],
)
def test_chosen_frames(tmp_path: Path, settings: dict[str, int], chosen: list[int]) -> None:
    store(write_folder(tmp_path / "data", 2), framing=Framing(height=6, width=8, **settings))
    for clip, (row, frames) in enumerate(rows().values()):
        expected = [level(clip, number) for number in chosen]
        np.testing.assert_allclose(levels(frames), expected, atol=2)
        assert row["clip_len"] == FRAMES


def test_names_of_any_characters_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["http:", "a #1;@%03d [b] x", "\u00e9", "a\nb", "n" * 250]
    for number, name in enumerate(names):
        plain = write_video(tmp_path / "subfile,,x:y" / "plain.avi", number)
        plain.rename(plain.with_name(f"{name}.avi"))
    monkeypatch.chdir(tmp_path)
    stored = store(Path("subfile,,x:y"), "frames")
    assert not stored.skipped
    for number, name in enumerate(names):
        assert levels(rows()[name][1])[0] == pytest.approx(level(number, 0), abs=2)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_video_that_says_it_is_turned_is_stored_upright(tmp_path: Path, degrees: int) -> None:
    path = tmp_path / "data/run/a.mp4"
    path.parent.mkdir(parents=True)
    upright = np.zeros((64, 64, 3), np.uint8)
    upright[:20] = 200  # light above
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        turned = np.ascontiguousarray(np.rot90(upright, -degrees // 90))
        container.mux(stream.encode(av.VideoFrame.from_ndarray(turned, "rgb24")))
        container.mux(stream.encode(None))
    _say_turned(path, degrees)
    store(tmp_path / "data", "frames", Framing(height=16, width=16, channels=1))
    picture = rows()["a"][1][0].reshape(16, 16)
    assert picture[:4].min() > 150
    assert picture[6:].max() < 50


def _say_turned(path: Path, degrees: int) -> None:
    """Write the matrix of a turn counterclockwise into a track's header."""
    content, one = bytearray(path.read_bytes()), 1 << 16
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90]
    matrix = (cos * one, -sin * one, 0, sin * one, cos * one, 0, 0, 0, 1 << 30)
    at = content.index(b"tkhd") + 44  # version 0: flags, times, id, duration, layer, volume
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)


def test_what_is_stored_already_is_left_alone(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data")
    folder = store(data).folder
    old, watch = (folder / "frames.npy").stat(), Silent()
    store(data, watch=watch)
    assert (watch.stored, watch.clips) == (6, [])
    assert (folder / "frames.npy").stat().st_mtime_ns == old.st_mtime_ns


def test_a_changed_source_is_stored_anew(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data")
    store(data)
    write_video(data / "biking/v_1_00/v_03.avi", clip=7)
    store(data)
    np.testing.assert_allclose(levels(rows()["v_03"][1])[0], level(7, 0), atol=2)


@pytest.mark.parametrize("spoil", ["truncate", "flip", "index"])
def test_a_damaged_set_is_built_again(tmp_path: Path, spoil: str) -> None:
    data = write_folder(tmp_path / "data", 2)
    folder = store(data).folder
    whole = contents(folder)
    path = folder / ("clips.parquet" if spoil == "index" else "frames.npy")
    content = bytearray(path.read_bytes())
    content[-400] ^= 1
    path.write_bytes(content[: 500 if spoil == "truncate" else None])
    store(data)
    assert contents(folder) == whole


def test_clips_that_cannot_be_decoded_are_skipped_and_told(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", 4)
    (data / "diving/v_0_00/v_00.avi").write_bytes(b"")
    (data / "biking/v_1_00/v_01.avi").write_text("no video\n" * 50)
    watch = Silent()
    stored = store(data, watch=watch)
    assert [skipped["clip_id"] for skipped in stored.skipped] == ["v_00", "v_01"]
    assert list(rows()) == ["v_02", "v_03"]
    assert [clip for clip, _, problem in watch.clips if problem] == ["v_00", "v_01"]
    assert all(skipped["reason"].startswith("it ") for skipped in stored.skipped)


def test_decoders_that_cannot_be_started_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(process: Any) -> None:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(decoders._processes.Process, "start", full)
    with pytest.raises(OSError, match="no more processes"):
        store(write_folder(tmp_path / "data", 2))


def test_without_one_good_clip_nothing_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "data/diving/g/a.avi"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"^the set tiny must have at least one clip, got none$"):
        store(tmp_path / "data")
    assert sets.names() == []


# Fuzz: what is done to a good video.
Mutation = Callable[[bytes, random.Random], bytes]
MUTATIONS: dict[str, Mutation] = {
    "cut": lambda data, draw: data[: draw.randrange(len(data))],
    "flipped": lambda data, draw: _flipped(data, draw),
    "emptied": lambda data, draw: b"",
    "text": lambda data, draw: b"#EXTM3U\nfile:///etc/hostname\n" * draw.randrange(1, 50),
    "other suffix": lambda data, draw: data,
}


def _flipped(data: bytes, draw: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(draw.randrange(1, 200)):
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def test_fuzzed_videos_crash_nothing_and_good_clips_beside_them_are_kept(tmp_path: Path) -> None:
    data, draw = write_folder(tmp_path / "data", 4), random.Random(11)
    good = (data / "diving/v_0_00/v_00.avi").read_bytes()
    names = list(MUTATIONS)
    for number in range(50):
        kind = names[number % len(names)]
        suffix = ".mpg" if kind == "other suffix" else ".avi"
        path = data / "walking/v_2_00" / f"w_{number:02d}_{kind.replace(' ', '_')}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MUTATIONS[kind](good, draw))
    stored = store(data)
    found, skipped = rows(), {clip["clip_id"] for clip in stored.skipped}
    assert len(found) + len(skipped) == 54
    for clip in range(4):
        expected = [level(clip, number) for number in range(FRAMES)]
        np.testing.assert_allclose(levels(found[f"v_{clip:02d}"][1]), expected, atol=2)
    for clip in (*found, *skipped):
        if clip.endswith("other_suffix"):
            assert clip in found
        if clip.endswith(("emptied", "text")):
            assert clip in skipped


def test_a_parquet_file_of_pictures_becomes_a_set(tmp_path: Path) -> None:
    pictures = clip_rows(frames=3)
    for row in pictures:
        row |= {"cls": f"class{row['label']}", "supergroup": f"s{row['group']}", "true_frame": -1}
    store(write_rows(tmp_path / "clips.parquet", pictures), "frames")
    found = rows()
    assert len(found) == 24
    row, frames = found["c1_g02_0"]
    assert (row["cls"], row["label"], row["group"]) == ("class1", 1, "c1_g02")
    assert (row["supergroup"], row["ordered"], len(frames)) == ("sc1_g02", False, 3)


def test_only_the_rows_asked_for_are_stored(tmp_path: Path) -> None:
    pictures = [row | {"draw": "ab"[row["slot"] % 2]} for row in clip_rows(frames=5)]
    path = write_rows(tmp_path / "clips.parquet", pictures)
    store(path, "frames", where=(("draw", "b"),))
    assert {len(frames) for _, frames in rows().values()} == {2}


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        ("cls", None, "0"),
        ("clip_len", 240, 240),
        ("clip_len", None, 2),
        ("clip_len", "long", 2),
        ("source", "raw_avi", "raw_avi"),
        ("source", 3, "0"),
        ("ordered", "yes", True),
        ("first", 7, 0),
        ("day", datetime.date(2026, 1, 2), "2026-01-02"),
        ("raw", b"x", "b'x'"),
        ("box", [1, 2], None),
        ("reason", "for fun", None),
        ("empty", None, None),
    ],
)
def test_any_column_of_a_parquet_file_can_be_there(
    tmp_path: Path, column: str, value: Any, stored: Any
) -> None:
    pictures = clip_rows(classes=1, groups=1, clips=1, frames=2)
    path = tmp_path / "clips.parquet"
    write_rows(path, [{**row, "clip_id": 0, column: value} for row in pictures])
    store(path, "frames")
    assert rows()["0"][0].get(column) == stored
    watch = Silent()
    store(path, "frames", watch=watch)
    assert (watch.stored, watch.clips) == (1, [])


def test_a_clip_of_two_classes_is_told(tmp_path: Path) -> None:
    pictures = [row | {"label": row["slot"]} for row in clip_rows(clips=1)]
    path = write_rows(tmp_path / "clips.parquet", pictures)
    with pytest.raises(
        ValueError, match=r"column 'label' has more than one value in clip c0_g00_0$"
    ):
        store(path, "frames")


def test_a_picture_that_is_no_jpeg_costs_its_clip(tmp_path: Path) -> None:
    pictures = clip_rows()
    pictures[1]["jpeg"] = b"no picture"
    stored = store(write_rows(tmp_path / "clips.parquet", pictures), "frames")
    reason = {clip["clip_id"]: clip["reason"] for clip in stored.skipped}
    assert reason == {"c0_g00_0": "frame 1 is not a complete JPEG"}
    assert len(rows()) == 23


def test_official_splits_become_columns(tmp_path: Path) -> None:
    names = [f"April_09_wave_u_nm_np1_ba_goo_{number}" for number in range(3)]
    for number, name in enumerate(names):
        write_video(tmp_path / "data/wave" / f"{name}.avi", number)
    lists = tmp_path / "data/splits"
    lists.mkdir()
    for split in (1, 2, 3):
        lines = [f"{name}.avi {(number + split) % 3}" for number, name in enumerate(names[:2])]
        (lists / f"wave_test_split{split}.txt").write_text("\n".join(lines) + "\n")
    store(tmp_path / "data", "hmdb51")
    told = [[row[f"hmdb_split{n}"] for n in (1, 2, 3)] for row, _ in rows().values()]
    assert told == [[1, 2, 0], [2, 0, 1], [0, 0, 0]]
    assert {row["group"] for row, _ in rows().values()} == {"April_09"}


def test_clips_that_share_a_name_have_their_own_official_side(tmp_path: Path) -> None:
    for number, cls in enumerate(("run", "wave"), 1):
        write_video(tmp_path / "data" / cls / "a.avi", number)
        (tmp_path / "data" / f"{cls}_test_split1.txt").write_text(f"a.avi {number}\n")
    store(tmp_path / "data", "hmdb51")
    told = {clip: row["hmdb_split1"] for clip, (row, _) in rows().items()}
    assert told == {"run/a.avi": 1, "wave/a.avi": 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", r"nowhere does not exist; UCF11 is at the Center"),
        (
            lambda root: write_video(root / "a.avi"),
            r"a\.avi must be a folder or a file with suffix \.parquet",
        ),
        (lambda root: root, r"contains no video \(\.avi, .*\) and no JPEG file$"),
        (
            lambda root: write_video(root / "data/swimming/g/a.avi").parents[2],
            r"data: swimming/g/a\.avi is in the folder 'swimming', which must be one of the",
        ),
        (
            lambda root: write_video(root / "data/a.avi").parent,
            r"data/a\.avi is in no class: paths of clips must be class/group/clip",
        ),
    ],
    ids=["missing", "a video", "empty", "unknown class", "no class"],
)
def test_sources_that_cannot_be_used(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    root = tmp_path / "source"
    root.mkdir()
    with pytest.raises(ValueError, match=message) as error:
        store(make(root))
    assert "\n" not in str(error.value)


def test_a_full_disk_is_told_and_what_is_stored_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_folder(tmp_path / "data")
    whole = contents(store(data).folder)
    shutil.rmtree(sets.set_folder("tiny"))
    real = sets.SetWriter.append

    def full(self: Any, row: Any, frames: Any) -> None:
        if row["clip_id"] == "v_03":
            raise OSError(28, "cannot write the set tiny: No space left on device")
        real(self, row, frames)

    monkeypatch.setattr(sets.SetWriter, "append", full)
    with pytest.raises(OSError, match="No space left on device"):
        store(data)
    monkeypatch.setattr(sets.SetWriter, "append", real)
    watch = Silent()
    assert contents(store(data, watch=watch).folder) == whole
    assert watch.stored == 3


@pytest.mark.slow
def test_an_ingest_killed_ten_times_ends_as_one_that_was_not(tmp_path: Path) -> None:
    for clips in (40, 80, 160, 320):  # more, where one ended before it was killed
        data = write_folder(tmp_path / f"{clips}", clips)
        (data / "biking/v_1_00/v_01.avi").write_bytes(b"")
        whole = contents(store(data).folder)
        shutil.rmtree(sets.set_folder("tiny"))
        command = [sys.executable, "-m", "rankbench", "data", "ucf11", str(data), "--as", "tiny"]
        command += ["--width", str(WIDTH), "--height", str(HEIGHT), "--workers", "2"]
        draw = random.Random(5)
        in_time = [_kill_ingest(command, 1 + 3 * kill, draw, kill) for kill in range(10)]
        assert start(command, stdout=subprocess.DEVNULL).wait() == 1
        assert contents(sets.set_folder("tiny")) == whole
        if all(in_time):
            return
        shutil.rmtree(sets.set_folder("tiny"))
    raise AssertionError("it always ended before it was killed")


def _kill_ingest(command: list[str], lines: int, draw: random.Random, kill: int) -> bool:
    """Kill an ingest a moment after its journal has so many lines; whether it was not done."""
    journal = sets.set_folder("tiny") / "journal.jsonl"
    process = start(command, stdout=subprocess.DEVNULL)
    while _lines(journal) <= lines and process.poll() is None:
        time.sleep(0.001)
    time.sleep(draw.random() * 0.02)
    process.send_signal(signal.SIGKILL if kill % 3 else signal.SIGTERM)
    process.wait()
    return journal.exists()


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


@pytest.mark.data
def test_the_original_clips_of_ucf11_match_their_frames() -> None:
    """RANKBENCH_UCF11_CLIPS: the folder of .avi; RANKBENCH_UCF11_FRAMES: frames of them, JPEG."""
    for name in ("RANKBENCH_UCF11_CLIPS", "RANKBENCH_UCF11_FRAMES"):
        if name not in os.environ:
            pytest.skip(f"{name} is not set")
    store(Path(os.environ["RANKBENCH_UCF11_CLIPS"]), framing=Framing(fit="stretch"))
    videos = rows()
    frames = Path(os.environ["RANKBENCH_UCF11_FRAMES"])
    ingest("jpeg", Source(layout="frames", path=frames), Framing(), Silent())
    numbers = _true_frames(frames)
    compared = [clip for clip in videos if clip in numbers]
    assert compared
    for clip in compared:
        expected = videos[clip][1][numbers[clip]].astype(float)
        assert np.abs(rows("jpeg")[clip][1] - expected).mean() < 4  # grey levels


def _true_frames(path: Path) -> dict[str, list[int]]:
    columns = ["clip_id", "slot", "true_frame", "source"]
    table = pq.read_table(path, columns=columns).to_pandas().sort_values("slot")
    table = table[table["source"] == "raw_avi"]
    return {clip: rows["true_frame"].tolist() for clip, rows in table.groupby("clip_id")}
