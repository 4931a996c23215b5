"""What is recommended: by evidence, then by cost, and a study that holds just that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rankbench.analysis.recommend.evidence import MeasuredLayer
from rankbench.analysis.recommend.shortlist import (
    LEVEL,
    OPEN,
    UNMEASURED,
    Answer,
    Question,
    recommend,
)
from rankbench.analysis.recommend.study_file import study_of
from rankbench.analysis.recommend.writers import notes, table, told
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.cli.main import main
from rankbench.engine.queue import enumerate_grid
from rankbench.layers import LAYERS, Layer
from rankbench.layers.enumerate import Sizes
from rankbench.study.config import load_study
from tests.helpers.paths import REFERENCE

SIZES = Sizes(in_features=64, out_features=64)
QUESTION = Question(
    sizes=SIZES, max_params=600, max_step_ms=None, task="recovery", cell=None, rows=16, top=10
)


def layer(name: str, modes: tuple[int, ...] = (8, 8), **ranks: Any) -> Layer:
    return LAYERS[name](in_modes=modes, out_modes=modes, **ranks)


def piece(one: Layer, values: list[float], condition: str = "ring") -> MeasuredLayer:
    return MeasuredLayer(
        layer=one,
        task="recovery",
        cell=None,
        study="made",
        shown=condition,
        condition=(condition,),
        value=mean_interval(values),
        seeds=len(values),
        diverged=0,
        config={
            "task": {"name": "recovery", "noise": 0.5, "target": "ring", "target_settings": []},
            "training": {"epochs": 7, "learning_rate": 0.02},
            "dtype": "float64",
        },
    )


CHEAP, DEAR = layer("cp", cp_rank=2), layer("tensor_train", tt_ranks=4)
WORSE, WIDE = layer("tensor_ring", tr_ranks=2), layer("tucker", tucker_rank=3)
PIECES = [
    piece(CHEAP, [0.21, 0.22, 0.20]),
    piece(DEAR, [0.20, 0.21, 0.19]),
    piece(WORSE, [0.50, 0.51, 0.52]),
    piece(WIDE, [0.10, 0.50, 0.90]),
    piece(layer("dense", (64,)), [0.01, 0.01, 0.02]),  # better, and beyond the parameters
]


@pytest.fixture(scope="module")
def answer() -> Answer:
    return recommend(QUESTION, PIECES)


def test_what_is_level_with_the_best_comes_first_and_the_cheaper_of_it(answer: Answer) -> None:
    first, second, third, *others = answer.entries
    assert (first.layer, first.grade, first.steps) == (CHEAP, LEVEL, 0)
    assert (second.layer, second.grade) == (DEAR, LEVEL)
    assert (third.layer, third.grade) == (WIDE, OPEN)
    assert {one.grade for one in others} == {UNMEASURED}
    assert answer.worse == 1
    assert WORSE not in [one.layer for one in answer.entries]


def test_what_is_not_measured_is_the_largest_of_a_decomposition_and_says_so(
    answer: Answer,
) -> None:
    bare = [one for one in answer.entries if one.grade == UNMEASURED]
    assert {one.layer.name for one in bare} == {"low_rank", "block_term", "tensor_ring"}
    low_rank = next(one for one in bare if one.layer.name == "low_rank")
    assert low_rank.layer.ranks == (600 // 128,)
    assert {told(one) for one in bare} == {"-"}
    rows = table(answer)
    assert list(rows["evidence"][-3:]) == ["not measured"] * 3
    assert rows["mean"][-3:].isna().all()
    assert "What is not measured may be better or worse: the study below would tell." in notes(
        answer
    )


def test_no_evidence_at_all_is_no_error() -> None:
    found = recommend(QUESTION, [])
    assert {one.grade for one in found.entries} == {UNMEASURED}
    assert found.protocol is None


def test_a_measured_neighbour_is_evidence_and_named() -> None:
    found = recommend(replace(QUESTION, max_params=480), [PIECES[1], PIECES[0]])
    near = next(one for one in found.entries if one.layer.name == "tensor_train")
    assert near.layer.num_params <= 480
    assert 0 < near.steps <= 1
    assert told(near).startswith("near: tensor_train d=2 R=4, 512 parameters; made (ring): rmse")


def test_one_run_and_nothing_beside_it_tell_nothing() -> None:
    found = recommend(QUESTION, [piece(CHEAP, [0.5]), piece(DEAR, [0.2], "disk")])
    assert [(one.layer, one.grade) for one in found.entries[:2]] == [(CHEAP, OPEN), (DEAR, OPEN)]
    beside = recommend(QUESTION, [piece(CHEAP, [0.5]), piece(DEAR, [0.2])])
    assert [one.layer for one in beside.entries[:2]] == [DEAR, CHEAP]
    assert beside.entries[1].behind == pytest.approx(0.3)


def test_half_of_the_conditions_decide() -> None:
    others = [piece(one.layer, [0.9, 0.91, 0.92], "disk") for one in PIECES[:1]]
    best = piece(DEAR, [0.1, 0.11, 0.12], "disk")
    first = recommend(QUESTION, [*PIECES, *others, best]).entries[0]
    assert (first.layer, first.grade, first.good, first.told) == (CHEAP, LEVEL, 1, 2)


def test_a_limit_of_time_holds_for_all_that_is_listed(answer: Answer) -> None:
    times = sorted(one.step_ms for one in answer.entries)
    limit = times[len(times) // 2]
    found = recommend(replace(QUESTION, max_step_ms=limit), PIECES)
    assert found.entries
    assert max(one.step_ms for one in found.entries) <= limit
    with pytest.raises(ValueError) as caught:
        recommend(replace(QUESTION, max_step_ms=1e-6), PIECES)
    assert str(caught.value).startswith("--max-step-ms 1e-06 is below the fastest of ")


def test_the_study_holds_the_shortlist_and_the_protocol(answer: Answer, tmp_path: Path) -> None:
    path = tmp_path / "settling.yaml"
    path.write_text(study_of(answer))
    study = load_study(str(path))
    points = list(enumerate_grid(study).points.values())
    assert [point.layer for point in points] == [one.layer for one in answer.entries]
    assert study.seeds == (0, 1, 2, 3, 4)
    assert study.dtype == "float64"
    assert [(bound.column, bound.high) for bound in study.search.limits] == [("num_params", 600)]
    assert (study.task["noise"], study.task["target"]) == (0.5, "ring")
    assert points[0].training is not None
    assert (points[0].training.epochs, points[0].training.learning_rate) == (7, 0.02)


def test_a_map_that_the_task_has_no_data_of_is_profiled(tmp_path: Path) -> None:
    sizes = Sizes(in_features=60, out_features=64, gates=4)
    question = replace(QUESTION, sizes=sizes, task="motion", cell="lstm", max_step_ms=50.0)
    path = tmp_path / "settling.yaml"
    path.write_text(study_of(recommend(question, [])))
    study = load_study(str(path))
    assert study.task["name"] == "profile"
    assert [bound.column for bound in study.search.constraints] == ["step_ms"]
    assert enumerate_grid(study).points


COMMANDS = {
    "issue": ("57600", "1024", "4000", "action"),
    "features": ("1280", "8192", "700000", "features"),
    "recovery": ("64", "64", "1000", "recovery"),
    "draw": ("1824", "1024", "1200", "draw"),
}
SLOWER = ("features", "recovery")


@pytest.mark.parametrize(
    "name", ["issue", "draw", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOWER)]
)
def test_the_command_writes_a_study_of_its_shortlist(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, outputs, most, task = COMMANDS[name]
    chosen = ["--task", "draw"] if task == "draw" else []
    path = tmp_path / "settling.yaml"
    asked = ["recommend", "--in", inputs, "--out", outputs, "--max-params", most]
    where = ["--results", str(REFERENCE), "--format", "json", "--study", str(path)]
    assert main([*asked, *where, *chosen]) == 0
    listed = json.loads(capsys.readouterr().out)
    study = load_study(str(path))
    layers = [point.layer for point in enumerate_grid(study).points.values()]
    assert [list(one.in_modes) for one in layers] == [row["in_modes"] for row in listed]
    assert [one.num_params for one in layers] == [row["num_params"] for row in listed]
    assert max(row["num_params"] for row in listed) <= int(most)
    assert study.task["name"] == task
    measured = pd.DataFrame(listed)["evidence"] != "not measured"
    assert name == "draw" or measured.any()


def test_the_table_names_the_gates_and_the_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["recommend", "--in", "256", "--out", "256", "--max-params", "1000", "--top", "2"]
    assert main([*asked, "--results", str(REFERENCE)]) == 0
    out = capsys.readouterr().out
    assert "256 -> 256 (4 gates x 64 hidden units of one lstm), at most 1,000 parameters" in out
    assert "task motion" in out
    assert "level with the best" in out
    assert "search:\n  sampler: grid" in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--max-params", "0"], "--max-params must be a positive integer, got 0"),
        (["--max-step-ms", "0"], "--max-step-ms must be a number in (0, inf), got 0.0"),
        (["--task", "recovery", "--cell", "lstm"], "--cell must be none for task recovery"),
        (["--task", "motion", "--cell", "none"], "--cell must be one of: rnn, gru, lstm for task"),
        (["--task", "actoin"], "(did you mean 'action'?)"),
        (["--cell", "lstn"], "(did you mean 'lstm'?)"),
        (["--out", "66", "--cell", "lstm"], "must be a multiple of the cell's 4, got 66"),
        (["--max-params", "5"], "the smallest has "),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["recommend", "--in", "64", "--out", "64", "--max-params", "500"]
    assert main([*asked, "--results", str(REFERENCE), *options]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_without_results_nothing_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["recommend", "--in", "16", "--out", "16", "--max-params", "100", "--format", "csv"]
    assert main([*asked, "--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert all("not measured" in line for line in lines[1:])
