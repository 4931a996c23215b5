"""Where notebooks find results."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankbench.analysis.summaries.load import measured, results_root
from tests.helpers.frames import run, store_runs


def test_the_root_is_the_nearest_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANKBENCH_RESULTS", raising=False)
    here = tmp_path / "repo" / "analysis" / "notebooks"
    here.mkdir(parents=True)
    (tmp_path / "results").mkdir()
    assert results_root(here) == tmp_path / "results"
    (tmp_path / "repo" / "results").mkdir()
    assert results_root(here) == tmp_path / "repo" / "results"


def test_the_environment_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_RESULTS", str(tmp_path / "elsewhere"))
    assert results_root(tmp_path) == tmp_path / "elsewhere"


def test_a_study_without_results_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_runs(tmp_path, "params", [run()])
    assert measured("params", tmp_path)
    assert capsys.readouterr().out == ""
    assert not measured("ucf11", tmp_path)
    text = f"ucf11 has no results in {tmp_path}; make them with: "
    assert capsys.readouterr().out == text + "rankbench run ucf11 task.frames=PATH\n"
