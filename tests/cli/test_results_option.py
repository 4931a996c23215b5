"""`--results` on the commands of a study, and the list of studies where none is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rankbench.cli.main import main
from rankbench.cli.show import studies

STUDY = """
description: two points to try
task: {name: profile, in_features: 16, out_features: 16, timing: false}
search: {objectives: {num_params: minimize}}
space: {shared: {layer: {decomposition: low_rank, rank: [1, 2]}}}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    Path("studies").mkdir()
    Path("studies/tiny.yaml").write_text(STUDY)


def test_results_may_be_an_option_or_an_override(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--results", "else where"]) == 0
    assert "results: else where/tiny" in capsys.readouterr().out
    for given in (["--results", "else where"], ["results='else where'"]):
        assert main(["status", "tiny", *given]) == 0
        assert "tiny: 2 done in else where/tiny" in capsys.readouterr().out
    both = ["--results", "else where", "results='else where'"]
    assert main(["plan", "tiny", *both]) == 0
    assert "2 measured already, 0 to go" in capsys.readouterr().out


def test_two_results_that_differ_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "tiny", "results=a", "--results", "b"]) == 2
    wanted = "--results and results= must agree, got 'b' and 'a'; give one of them"
    assert wanted in capsys.readouterr().err
    assert main(["doctor", "a", "--results", "b"]) == 2
    assert "RESULTS and --results must agree, got 'a' and 'b'" in capsys.readouterr().err


def test_without_a_study_the_studies_are_listed_with_their_cost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "study_names", lambda: ["tiny"])
    for command in ("run", "work", "plan", "status"):
        assert main([command]) == 2
        told = capsys.readouterr().out
        (line,) = (line for line in told.splitlines() if "two points to try" in line)
        assert line.split()[:3] == ["tiny", "2", "2"]
        assert "run one: rankbench run STUDY" in told


def test_the_costs_are_kept_until_the_file_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(studies, "study_names", lambda: ["tiny", "wrong"])
    Path("studies/wrong.yaml").write_text("task: {name: nothing}")
    costs = studies.study_costs()
    assert costs["tiny"]["runs"] == 2
    assert "task.name must be one of" in costs["wrong"]["error"]
    (cached,) = (tmp_path / "cache").glob("studies.json")
    cached.write_text(cached.read_text().replace('"runs": 2', '"runs": 7'))
    assert studies.study_costs()["tiny"]["runs"] == 7
    Path("studies/tiny.yaml").write_text(f"{STUDY}\nseeds: 2\n")
    assert studies.study_costs()["tiny"]["runs"] == 4
    cached.write_text(json.dumps([]))
    assert studies.study_costs()["tiny"]["runs"] == 4
