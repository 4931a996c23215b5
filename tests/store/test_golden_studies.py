"""Studies, checkpoints and ids of version 0.1.0 are used as if they had been written today.

What is stored and how it was made: `golden/studies/README.md`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rankbench import load
from rankbench.cli.main import main
from rankbench.store.query import query
from rankbench.study.config import load_study
from tests.helpers.captions import write_captions
from tests.helpers.paths import ROOT

GOLDEN = ROOT / "tests" / "golden"
EXPECTED = json.loads((GOLDEN / "studies" / "expected.json").read_text())
IDS = json.loads((GOLDEN / "ids.json").read_text())
CHECKPOINTS = EXPECTED["checkpoints"]
# A resumed training that lost its optimiser, a generator or the weights differs by 1e-2 or more,
# one on another processor by 1e-8.
CLOSE = 1e-5


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a copy of the stored studies."""
    shutil.copytree(GOLDEN / "studies", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_every_table_is_loaded_and_queried() -> None:
    assert query("select status, count(*) n from runs group by 1 order by 1").to_pylist() == [
        {"status": "diverged", "n": 2},
        {"status": "done", "n": 24},
        {"status": "pruned", "n": 5},
        {"status": "timeout", "n": 1},
    ]
    rows = {"epochs": 47, "weights": 2, "samples": 3}
    assert {table: query(f"select * from {table}").num_rows for table in rows} == rows
    assert list(load("motion", columns=["cell"])["cell"].sort_values()) == ["gru", "rnn"]
    recovery = load("recovery").query("status == 'done'")
    assert recovery["decomposition"].nunique() == 6
    assert recovery["rmse"].between(0, 1.2).all()


def test_the_doctor_knows_the_stored_rows_and_reads_the_journals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "results"]) == 1
    found = capsys.readouterr().out
    assert all(f"{study}: 1 zombie trial" in found for study in CHECKPOINTS)
    assert not any(study in found for study in EXPECTED["studies"])


@pytest.mark.parametrize(("study", "expected"), EXPECTED["studies"].items())
def test_status_and_plan_count_what_is_stored(
    study: str, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    missing = len(expected["missing"])
    assert main(["status", f"{study}.yaml"]) == 0
    told = capsys.readouterr().out
    assert all(f"{number} {status}" in told for status, number in expected["stored"].items())
    assert f"{missing} runs to measure" in told
    assert main(["plan", f"{study}.yaml"]) == 0
    assert f"{missing} to go" in capsys.readouterr().out


def stored(study: str) -> pd.DataFrame:
    return load(study).set_index("run_id").sort_index()


def measured(before: pd.DataFrame, after: pd.DataFrame) -> set[str]:
    """The runs of which `after` has another row than `before`."""
    started = before["started_at"].reindex(after.index)
    return set(after.index[after["started_at"] != started])


@pytest.mark.parametrize(("study", "expected"), EXPECTED["studies"].items())
def test_a_study_goes_on_with_what_is_missing(study: str, expected: dict[str, Any]) -> None:
    before = stored(study)
    main(["run", f"{study}.yaml"])
    after = stored(study)
    assert measured(before, after) == set(expected["missing"])
    kept = before.index.difference(expected["missing"])
    pd.testing.assert_frame_equal(after.loc[kept], before.loc[kept])
    assert set(after["status"]) <= {"done", "diverged"}


def test_a_sampled_search_goes_on_from_its_stored_trials(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = stored("sampled")
    assert main(["status", "sampled.yaml"]) == 0
    assert "at most 2 runs to measure" in capsys.readouterr().out
    assert main(["run", "sampled.yaml"]) == 0
    after = stored("sampled")
    assert len(measured(before, after)) == len(after) - len(before) == 2
    pd.testing.assert_frame_equal(after.loc[before.index], before)


@pytest.mark.parametrize(("study", "expected"), CHECKPOINTS.items())
def test_a_checkpoint_goes_on_to_the_same_numbers(
    study: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if study == "caption":
        monkeypatch.setenv("RANKBENCH_CACHE", str(Path("cache").absolute()))
        write_captions()
    assert main(["run", f"{study}.yaml", "checkpoint_s=60"]) == 0
    run = stored(study).loc[expected["run_id"]]
    assert run["resumed_epoch"] == expected["resumed_epoch"]
    assert dict(run[list(expected["runs"])]) == pytest.approx(expected["runs"], rel=CLOSE)
    curve = load(study, "epochs").query("run_id == @expected['run_id']").sort_values("epoch")
    assert list(curve["epoch"]) == list(range(1, len(expected["curve"]) + 1))
    assert list(curve["train_loss"]) == pytest.approx(expected["curve"], rel=CLOSE)
    assert list(Path("results", study, "checkpoints").iterdir()) == []


def ids_now(recorded: dict[str, Any]) -> dict[str, str]:
    """The point_id of every point of a study, and the run_id of each recorded seed."""
    study = load_study(recorded["study"], recorded["overrides"])
    found = {}
    for settings in recorded.get("drawn") or study.space.grid():
        try:
            point = study.point(settings)
        except ValueError:  # a combination that makes no point
            continue
        found[point.point_id] = " ".join(point.run_id(seed) for seed in recorded["seeds"])
    return found


@pytest.mark.parametrize("recorded", IDS, ids=lambda recorded: recorded["study"])
def test_ids_are_those_recorded(recorded: dict[str, Any]) -> None:
    found = ids_now(recorded)
    assert {point: found.get(point) for point in recorded["runs"]} == recorded["runs"]
