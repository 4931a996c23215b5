"""`--json`: one object on standard output, with the documented fields and no others."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rankbench.cli.main import main
from rankbench.cli.show.json import plain_value
from tests.helpers.paths import ROOT
from tests.helpers.stored import write_frames

REFERENCE = str(ROOT / "results/reference")
PAGE = (ROOT / "docs/reference/json.md").read_text()
STUDY = """
task: {name: recovery, in_features: 16, out_features: 16, samples: 100}
training: {epochs: 2}
search: {objectives: {rmse: minimize, num_params: minimize}}
space:
  branches:
    tt: {layer: {decomposition: tensor_train, core_order: 2, tt_ranks: [1, 2]}}
    wrong: {layer: {decomposition: cp, core_order: 40, cp_rank: 1}}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    Path("tiny.yaml").write_text(STUDY)


def answer(line: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*line, "--json"]) == code
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def documented(title: str) -> set[str]:
    """The fields that the page lists for a command, those of its table."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_plan_and_status_of_a_study(capsys: pytest.CaptureFixture[str]) -> None:
    plan = answer(["plan", "tiny.yaml"], capsys)
    assert set(plan) == documented("plan")
    assert plan["runs_to_measure"] == plan["runs"] == 2
    assert [point["label"] for point in plan["points"]] == [
        "tensor_train d=2 R=1",
        "tensor_train d=2 R=2",
    ]
    assert list(plan["skipped"].values()) == [1]
    assert plan["estimated_s"] > 0
    assert main(["run", "tiny.yaml"]) == 0
    status = answer(["status", "tiny.yaml"], capsys)
    common = {"study", "description", "results", "runs", "runs_to_measure", "earlier_runs"}
    assert set(status) == documented("status") | common
    assert status["statuses"] == {"done": 2}
    assert status["runs_to_measure"] == 0
    assert status["in_progress"] == []
    assert set(status["front"]["points"][0]["objectives"]) == {"rmse", "num_params"}


def test_a_sampled_plan_has_no_points(capsys: pytest.CaptureFixture[str]) -> None:
    plan = answer(["plan", "tiny.yaml", "search.sampler=random", "search.trials=3"], capsys)
    assert (plan["points"], plan["trials"], plan["runs_to_measure"]) == (None, 3, 3)


def test_claims(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(["claims", "--only", "BT", "--results", REFERENCE], capsys)
    assert set(found) == documented("claims")
    assert sum(found["verdicts"].values()) == len(found["claims"])
    assert main(["claims", "--only", "BT", "--results", REFERENCE, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == found["claims"]


def test_recommend(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--in", "64", "--out", "64", "--max-params", "300", "--task", "recovery"]
    line = ["recommend", *sizes, "--top", "2", "--results", REFERENCE]
    found = answer(line, capsys)
    assert set(found) == documented("recommend")
    assert len(found["layers"]) == 2
    assert found["question"]["in_features"] == 64
    assert found["study"].count("task:") == 1


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.yaml"]) == 0
    victim = next(Path("results/tiny/runs").glob("*.parquet"))
    victim.write_bytes(victim.read_bytes()[:100])
    found = answer(["doctor"], capsys, code=1)
    assert set(found) == documented("doctor")
    (study,) = found["studies"]
    assert (study["study"], study["mended"], study["not_mended"]) == ("tiny", [], None)
    assert "damaged file" in [one["kind"] for one in study["findings"]]
    assert set(study["findings"][0]) == {"kind", "path", "what", "remedy", "runs"}
    (study,) = answer(["doctor", "--results", "results", "--mend"], capsys)["studies"]
    assert "damaged file" in [one["kind"] for one in study["mended"]]
    assert study["findings"] == []


def test_data_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["data", "list"], capsys)["sets"] == []
    write_frames("tiny")
    found = answer(["data", "list"], capsys)
    assert set(found) == documented("data list")
    (one,) = found["sets"]
    assert (one["name"], one["kind"], one["clips"]) == ("tiny", "frames", 6)
    assert one["features"] == one["width"] * one["height"] * one["channels"]


def test_what_json_cannot_hold() -> None:
    values = {
        "a": (1, math.nan),
        "b": Path("x"),
        "c": datetime(2020, 1, 2, tzinfo=UTC),
        3: -math.inf,
    }
    assert plain_value(values) == {
        "a": [1, None],
        "b": "x",
        "c": "2020-01-02T00:00:00+00:00",
        "3": None,
    }
