"""rankbench data: what it prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rankbench.cli.main import main
from rankbench.data.features.extractors import EXTRACTORS
from rankbench.data.sets.catalog import open_set, set_folder
from tests.helpers.clips import clip_rows, write_rows
from tests.helpers.stored import mixing, save_mixing, write_frames
from tests.helpers.videos import write_folder, write_video

SIZE = ["--width", "32", "--height", "24"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def test_a_data_set_is_stored_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data", 4)
    assert main(["data", "ucf11", str(data), *SIZE]) == 0
    out = capsys.readouterr().out
    assert "decoded 32 frames" in out
    assert f"stored: {set_folder('ucf11')}" in out
    assert "train on it: rankbench run ucf11 task.frames=ucf11 task.classes=3" in out
    assert main(["data", "ucf11", str(data), *SIZE]) == 0
    assert "nothing to do: the set is stored already" in capsys.readouterr().out
    assert main(["data", "list"]) == 0
    assert "32x24x3" in capsys.readouterr().out


def test_a_set_without_groups_is_to_be_split_by_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("v_golf_g01_c01.avi", "v_golf_g01_c02.avi"):
        write_video(tmp_path / "golf" / name, frames=3)
    assert main(["data", "frames", "mine", str(tmp_path), *SIZE]) == 0
    hint = "run ucf11 task.frames=mine task.classes=1 space.shared.task.split=[clip]\n"
    assert hint in capsys.readouterr().out
    overrides = ["task.frames=mine", "task.classes=1", "space.shared.task.split=[clip]"]
    assert main(["plan", "ucf11", *overrides]) == 0
    assert "7 points x 1 seeds" in capsys.readouterr().out  # 14 where both splits are asked for


def test_skipped_clips_are_listed_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data", 4)
    (data / "biking/v_1_00/v_01.avi").write_bytes(b"")
    for _ in range(2):  # the second finds the set stored
        assert main(["data", "frames", "mine", str(data), *SIZE]) == 1
        out = capsys.readouterr().out
        assert "not in the set: biking/v_1_00/v_01.avi: it cannot be decoded" in out


def test_a_damaged_set_is_listed_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "frames", "mine", str(write_folder(tmp_path / "data", 2)), *SIZE])
    with (set_folder("mine") / "frames.npy").open("ab") as file:
        file.truncate(500)
    capsys.readouterr()
    assert main(["data", "list"]) == 1
    assert "the set mine is damaged" in capsys.readouterr().out


def test_features_are_made_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_mixing(tmp_path / "mixing.safetensors")
    monkeypatch.setitem(EXTRACTORS, "mixing", mixing(weights))
    write_frames("tiny")
    asked = ["data", "features", "tiny", "--extractor", "mixing", "--device", "cpu"]
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert "tiny-mixing: 13 frames of 6 clips, 4 features each, hash " in out
    hint = "run ucf11-features task.features=tiny-mixing task.classes=2 task.time_steps=1 "
    assert f"{hint}task.sampling=random" in out
    assert main(asked) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(["data", "list"]) == 0
    assert "4 features" in capsys.readouterr().out
    assert main(["data", "features", "tiny", "--extractor", "nothing"]) == 2
    assert "--extractor must be one of: efficientnet-lite0, inc" in capsys.readouterr().err


def test_features_of_a_file_are_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = np.array(["a", "a", "b"])
    arrays = {"label": np.array([0, 0, 1]), "group": ids, "slot": np.array([0, 1, 0])}
    features = np.ones((3, 4), np.float16)
    np.savez(tmp_path / "made.npz", feat=features, clip_id=ids, **arrays)
    assert main(["data", "features", "mine", "--from", str(tmp_path / "made.npz")]) == 0
    assert "mine: 3 frames of 2 clips, 4 features each" in capsys.readouterr().out


def test_features_never_replace_the_frames_of_their_name_nor_frames_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames("tiny")
    ids = np.array(["a", "b"])
    arrays = {"label": np.array([0, 1]), "group": ids, "slot": np.array([0, 0]), "clip_id": ids}
    np.savez(tmp_path / "made.npz", feat=np.ones((2, 4), np.float16), **arrays)
    made = str(tmp_path / "made.npz")
    assert main(["data", "features", "tiny", "--from", made]) == 2
    assert "the set tiny contains frames; choose another name" in capsys.readouterr().err
    assert main(["data", "features", "made", "--from", made]) == 0
    assert main(["data", "frames", "made", str(write_folder(tmp_path / "data", 2)), *SIZE]) == 2
    assert "the set made contains features; choose another name" in capsys.readouterr().err
    assert open_set("tiny")[1].num_rows == 6


def test_missing_official_splits_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data", 2)
    assert main(["data", "hmdb51", str(data), *SIZE]) == 0
    assert "no official splits were found" in capsys.readouterr().out
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "biking_test_split1.txt").write_text("v_01.avi 1\n")
    assert main(["data", "hmdb51", str(data), "--splits", str(tmp_path / "lists"), *SIZE]) == 0
    assert "no official splits" not in capsys.readouterr().out


def test_several_columns_choose_rows_wherever_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_rows(tmp_path / "clips.PARQUET", clip_rows(classes=2, groups=2, clips=1)))
    asked = ["--where", "label=1", path, "--where", "slot=2"]
    assert main(["data", "frames", "mine", *asked, *SIZE]) == 0
    assert "decoded 2 frames" in capsys.readouterr().out


def test_brackets_in_the_name_of_the_cache_are_no_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "c[" / "x]"))
    data = str(write_folder(tmp_path / "data", 2))
    assert main(["data", "frames", "mine", data, *SIZE]) == 0
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out.count(str(tmp_path / "c[" / "x]" / "sets")) == 2


def test_without_sets_none_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    assert "no set is stored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hmdb51", "nowhere"], "nowhere does not exist; HMDB51 is at the Serre lab"),
        (["frames", "mine", "."], "contains no video"),
        (["frames", "-x", "."], "the name of a set must consist of"),
        (["frames", "mine", ".", "--every", "0"], "--every must be a positive integer, got 0"),
        (["frames", "mine", ".", "--workers", "0"], "--workers must be a positive integer, got 0"),
        (["ucf11", ".", "--splits", "."], "--splits is for hmdb51, not for ucf11"),
        (["hmdb51", ".", "--splits", "a.txt"], "--splits must be a folder or a file of .zip, .rar"),
        (
            ["hmdb51", "a.PARQUET", "--splits", "."],
            "--splits cannot be combined with a Parquet file",
        ),
        (["frames", "mine", ".", "--where", "x"], "--where must be COLUMN=VALUE, got 'x'"),
    ],
)
def test_mistakes_are_told_in_a_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "a.PARQUET"):
        (tmp_path / name).touch()
    if arguments[1] == "-x":
        arguments = [arguments[0], "--", *arguments[1:]]
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
