"""Which files of a folder are clips, of which class and group."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rankbench.data.video.discover import clips_in
from rankbench.data.video.hmdb51 import read_splits, sides
from rankbench.data.video.layout import LAYOUTS, UCF11_CLASSES, hmdb51_group
from rankbench.data.video.media import JpegFiles, VideoFile


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_ucf11_has_its_classes_and_groups_wherever_the_folder_begins(tmp_path: Path) -> None:
    whole = touch(
        tmp_path,
        "UCF11/biking/v_biking_01/v_biking_01_02.MPG",
        "UCF11/biking/v_biking_01/Annotation/v_biking_01_02.avi",
        "UCF11/biking/v_biking_01/v_biking_01_02.xgtf",
        "UCF11/walking/v_walk_dog_01/v_walk_dog_01_01.avi",
    )
    for root in (whole, whole / "UCF11"):
        first, second = clips_in([root], LAYOUTS["ucf11"])
        assert (first.clip_id, first.cls, first.label) == ("v_biking_01_02", "biking", 1)
        assert first.group == "v_biking_01"
        assert (second.clip_id, second.label) == ("v_walk_dog_01_01", 10)
    (only,) = clips_in([whole / "UCF11/walking"], LAYOUTS["ucf11"])
    assert (only.cls, only.group) == ("walking", "v_walk_dog_01")
    assert len(UCF11_CLASSES) == 11
    assert sorted(UCF11_CLASSES) == list(UCF11_CLASSES)


def test_folders_of_pictures_are_clips_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [f"run/scene/clip/frame_{number}.jpg" for number in (10, 9, 1, 100)]
    (clip,) = clips_in([touch(tmp_path, *names)], LAYOUTS["frames"])
    assert (clip.clip_id, clip.cls, clip.group) == ("clip", "run", "scene")
    assert isinstance(clip.media, JpegFiles)
    assert [path.stem for path in clip.media.paths] == [
        "frame_1",
        "frame_9",
        "frame_10",
        "frame_100",
    ]


def test_without_groups_each_clip_is_its_own(tmp_path: Path) -> None:
    clips = clips_in([touch(tmp_path, "run/a.avi", "jump/b.mp4")], LAYOUTS["frames"])
    assert [(clip.cls, clip.label, clip.group) for clip in clips] == [
        ("run", 1, "a"),
        ("jump", 0, "b"),
    ]


def test_names_that_two_clips_share_become_paths(tmp_path: Path) -> None:
    root = touch(tmp_path, "run/g/1.avi", "run/h/1.avi", "jump/g/2.avi")
    ids = [clip.clip_id for clip in clips_in([root], LAYOUTS["frames"])]
    assert ids == ["jump/g/2.avi", "run/g/1.avi", "run/h/1.avi"]


@pytest.mark.parametrize("unpacked", ["UCF", "."])
def test_a_clip_in_an_archive_and_beside_it_counts_once(tmp_path: Path, unpacked: str) -> None:
    beside = touch(tmp_path / "data", f"{unpacked}/run/g/a.avi", "UCF/jump/g/a.avi")
    archive = touch(tmp_path / "scratch/UCF", "run/g/a.avi")
    clips = clips_in([beside, archive], LAYOUTS["frames"])
    assert [(clip.clip_id, clip.cls) for clip in clips] == [
        ("UCF/jump/g/a.avi", "jump"),
        (Path(unpacked, "run/g/a.avi").as_posix(), "run"),
    ]


def test_files_that_a_mac_leaves_are_no_clips(tmp_path: Path) -> None:
    root = touch(tmp_path, "run/a.avi", "run/._a.avi", "run/b/1.jpg", "run/b/._1.jpg")
    first, second = clips_in([root], LAYOUTS["frames"])
    assert (first.clip_id, second.clip_id) == ("a", "b")
    assert second.media == JpegFiles((root / "run/b/1.jpg",))


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "run/a.avi")
    (root / "jump").symlink_to(touch(tmp_path / "elsewhere", "b.avi"))
    (root / "run/up").symlink_to(root)
    (root / "hike").symlink_to(root / "run")
    clips = clips_in([root], LAYOUTS["frames"])
    assert [(clip.clip_id, clip.cls) for clip in clips] == [("a", "run"), ("b", "jump")]


def test_names_of_other_alphabets_and_of_no_text_can_be_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"run/\xff.avi")
    clips = clips_in([touch(tmp_path, name, "run/\u00b2/\u00b21.jpg")], LAYOUTS["frames"])
    assert [clip.clip_id for clip in clips] == ["\\udcff", "\u00b2"]
    assert clips[0].media == VideoFile(tmp_path / name)


def test_clips_that_differ_but_have_one_path_are_told(tmp_path: Path) -> None:
    roots = [touch(tmp_path / name, "run/g/a.avi") for name in ("data", "unpacked")]
    (roots[1] / "run/g/a.avi").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"^run/g/a\.avi exists twice, as a file and in an arch"):
        clips_in(roots, LAYOUTS["frames"])


@pytest.mark.parametrize(
    ("cls", "clip", "group"),
    [
        ("brush_hair", "April_09_brush_hair_u_nm_np1_ba_goo_0", "April_09"),
        ("swing_baseball", "BASEBALL_swing_baseball_f_cm_np12_fr_med_3", "BASEBALL"),
        ("kick", "kick_kick_f_cm_np-1_le_bad_1", "kick"),
        ("run", "a clip of another name", "a clip of another name"),
    ],
)
def test_groups_of_hmdb51_are_its_source_videos(cls: str, clip: str, group: str) -> None:
    assert hmdb51_group(cls, clip) == group


def test_splits_are_read_as_windows_and_a_mac_write_them(tmp_path: Path) -> None:
    (tmp_path / "wave_test_split1.txt").write_bytes(b"\xef\xbb\xbfa #1 b;.avi 1\r\nc.avi 2\r\n")
    (tmp_path / "run_test_split1.txt").write_bytes(b"c.avi 1\n")
    (tmp_path / "._wave_test_split1.txt").write_bytes(b"\0\1 of a Mac")
    splits = read_splits([tmp_path])
    told = [sides(splits, *clip)["hmdb_split1"] for clip in CLIPS]
    assert told == [1, 2, 1, 0]


CLIPS = (("wave", "a #1 b;"), ("wave", "c"), ("run", "c"), ("run", "a #1 b;"))


def test_a_line_that_is_no_split_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wave_test_split2.txt"
    path.write_text("a.avi 1\n\nb.avi 7\n")
    with pytest.raises(ValueError, match=r"line 3: must be a clip and 0, 1 or 2, got 'b\.avi 7'$"):
        read_splits([tmp_path])
