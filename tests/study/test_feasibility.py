"""Limits known before a run and constraints measured by it: who is measured, what Optuna sees."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankbench.engine.execute import Outcome, execute
from rankbench.engine.queue import JOURNAL, enumerate_grid
from rankbench.engine.runner import StudyRun
from rankbench.store.schema import RUNS
from rankbench.study.bounds import Bound
from rankbench.study.config import Study, load_study
from rankbench.study.feasibility import breaches, constraint_violations
from rankbench.study.search import Search
from rankbench.study.space import Space
from rankbench.tasks import TASKS
from rankbench.tasks.base import Context, Point
from rankbench.tasks.facts import KNOWN, known_number, point_facts
from tests.engine.test_study import Silent
from tests.helpers.probe import Probe

NUMBERS = st.floats(-1e6, 1e6)
RANKS = {"layer": {"decomposition": ("low_rank",), "rank": (1, 2, 3)}}  # 8, 16, 24 parameters
VALUES = {"task": {"value": {"low": 0, "high": 1000}}}


def at_once(point: Point, contexts: Sequence[Context], **_: Any) -> list[Outcome]:
    """Runs in this process, for studies of many points."""
    outcomes = [Outcome() for _ in contexts]
    for outcome, context in zip(outcomes, contexts, strict=True):
        for table, row in execute(point, context):
            outcome.end(**row) if table == "end" else outcome.add(table, row)
    return outcomes


@pytest.fixture(autouse=True)
def probe_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)
    monkeypatch.setattr("rankbench.engine.worker.run_in_child", at_once)


def make(folder: Path, space: dict[str, Any], **search: Any) -> Study:
    for name in ("limits", "constraints"):
        search[name] = Bound.parse(f"search.{name}", search.get(name, {}))
    return Study(
        name="bounded",
        task={"name": "probe"},
        layer={"decomposition": "dense"},
        space=Space.parse(space, {}),
        search=Search(**{"objectives": (("rmse", "minimize"),), **search}),
        results=str(folder / "results"),
    )


def run(study: Study) -> StudyRun:
    execution = StudyRun(study)
    execution.run(Silent())
    return execution


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    path = str(folder / "results" / "bounded" / JOURNAL)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    return optuna.load_study(study_name="bounded", storage=storage).trials


@given(low=NUMBERS, width=st.floats(0, 1e6), value=NUMBERS)
def test_a_violation_is_positive_beyond_either_end_and_there_alone(
    low: float, width: float, value: float
) -> None:
    bound = Bound(column="rmse", low=low, high=low + width)
    assert (bound.violation(value) > 0) == (not low <= value <= low + width)
    assert bound.violation(None) > 0
    assert bound.violation(math.nan) > 0


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ({"rmse": "5 ms"}, "search.limits.rmse must be a number in .* got '5 ms'"),
        (
            {"rmse": {}},
            r"search.limits.rmse must be a number \(an upper bound\) or have low and/or high",
        ),
        (
            {"rmse": {"most": 5}},
            r"search.limits.rmse must be a number \(an upper bound\) or have low",
        ),
        ({"rmse": {"low": 2, "high": 1}}, "low must not be above high, got 2 and 1"),
        (("rmse",), "search.limits must map columns of runs to bounds"),
    ],
)
def test_a_wrong_bound_is_one_line(node: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Bound.parse("search.limits", node)


def test_bounds_are_typed_as_overrides() -> None:
    typed = ["search.limits.num_params=300", "search.limits.compression_ratio.low=30"]
    study = load_study("smoke", [*typed, "search.constraints={rmse:{low:0.1,high:0.5}}"])
    assert [str(bound) for bound in study.search.limits] == [
        "num_params at most 300",
        "compression_ratio at least 30",
    ]
    assert str(study.search.constraints[0]) == "rmse at least 0.1 and at most 0.5"
    assert json.loads(study.search.asked()) == {
        "objectives": {"rmse": "minimize"},
        "constraints": {"rmse": {"low": 0.1, "high": 0.5}},
    }


def test_a_limit_on_what_must_be_measured_names_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"known before a run\) must be one of: num_p.*rmse"):
        load_study("smoke", ["search.limits.rmse=1"])
    with pytest.raises(ValueError, match=r"search\.constraints must be one of: .*'stepms'"):
        load_study("smoke", ["search.constraints.stepms=1"])


def test_known_columns_are_numbers_of_the_schema_and_those_of_a_row() -> None:
    point = next(iter(enumerate_grid(load_study("params")).points.values()))
    counted = {k: v for k, v in at_once(point, [Context(seed=0)])[0].facts.items() if k in KNOWN}
    assert {"rows", "forward_flops", "largest_intermediate"} <= set(counted)
    assert set(KNOWN) <= {column.name for column in RUNS}
    for column, value in {**point_facts(point), **counted}.items():
        if column in KNOWN:
            assert known_number(point, column) == value


def test_a_grid_leaves_out_what_is_beyond_a_limit_and_counts_it() -> None:
    everything = enumerate_grid(load_study("smoke"))
    limits = ["search.limits.num_params=300", "search.limits.compression_ratio.low=30"]
    grid = enumerate_grid(load_study("smoke", limits))
    assert {p.layer.num_params <= 136 for p in grid.points.values()} == {True}
    assert sum(grid.skipped.values()) == len(everything.points) - len(grid.points) > 0
    assert all(reason.startswith("outside search.limits: ") for reason in grid.skipped)
    assert (
        "outside search.limits: num_params at most 300, compression_ratio at least 30"
        in grid.skipped
    )


def test_a_grid_with_nothing_within_its_limits_is_an_error() -> None:
    with pytest.raises(ValueError, match="no valid point: outside search"):
        enumerate_grid(load_study("smoke", ["search.limits.num_params=3"]))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_draw_beyond_a_limit_costs_neither_a_run_nor_a_trial(
    tmp_path: Path, sampler: str
) -> None:
    space = {**RANKS, **VALUES}
    study = make(tmp_path, space, sampler=sampler, trials=6, limits={"num_params": 16})
    execution = run(study)
    assert len(execution.measured) == 6
    assert {row["num_params"] for row in execution.measured} <= {8, 16}
    beyond = [trial for trial in trials(tmp_path) if trial.constraints]
    assert len(beyond) == sum(execution.skipped.values()) == len(trials(tmp_path)) - 6 > 0
    assert {trial.constraints["num_params"] for trial in beyond} == {0.5}
    assert {trial.value for trial in beyond} == {math.inf}
    assert set(execution.skipped) == {"outside search.limits: num_params at most 16"}
    assert run(study).measured == []


def test_a_space_beyond_every_limit_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankbench.engine.worker.MOST_REJECTED", 5)
    study = make(tmp_path, VALUES, sampler="random", trials=4, limits={"num_params": 3})
    execution = run(study)
    assert execution.measured == []
    assert sum(execution.skipped.values()) == 5 + 4


def test_a_violation_is_of_the_mean_and_of_what_is_not_known(tmp_path: Path) -> None:
    study = make(tmp_path, VALUES, constraints={"rmse": 4, "step_ms": {"low": 2}})
    within = [{"rmse": 3.0, "step_ms": 2.0}, {"rmse": 5.0, "step_ms": 4.0}]
    assert constraint_violations(study, within) == {"rmse": 0.0, "step_ms": -0.5}
    assert breaches(study, within) == []
    beyond = [{"rmse": 5.0, "step_ms": None}]
    assert constraint_violations(study, beyond)["rmse"] == 0.25
    assert breaches(study, beyond) == ["rmse 5, at most 4", "step_ms -, at least 2"]


def late_values(study: Study, folder: Path) -> list[float]:
    """What is drawn after the journal of half the trials was built anew."""
    run(study)
    longer = dataclasses.replace(study.search, trials=60)
    run(dataclasses.replace(study, search=longer))
    return [trial.values[0] for trial in trials(folder)[30:]]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_samplers_learn_from_violations_also_after_the_journal_is_built_anew(
    tmp_path: Path, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The less the better, but at least 600: without the constraint they would go to 0."""
    monkeypatch.setattr("rankbench.engine.queue.POPULATION", 10)
    space, search = {**RANKS, **VALUES}, {"sampler": sampler, "trials": 30}
    bounded = make(tmp_path, space, **search, constraints={"rmse": {"low": 600}})
    late = late_values(bounded, tmp_path)
    assert len(late) == 30
    for trial in trials(tmp_path):
        assert trial.constraints == {"rmse": pytest.approx((600 - trial.values[0]) / 600)}
    assert statistics.median(late) > 550
    free = make(tmp_path / "free", space, **search)
    assert statistics.median(late_values(free, tmp_path / "free")) < 350


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_several_objectives_with_limits_and_constraints(tmp_path: Path, sampler: str) -> None:
    space = {**RANKS, **VALUES}
    study = make(
        tmp_path,
        space,
        sampler=sampler,
        trials=25,
        limits={"num_params": 16},
        constraints={"rmse": {"low": 600}},
        objectives=(("rmse", "minimize"), ("num_params", "minimize")),
    )
    execution = run(study)
    assert len(trials(tmp_path)) == 25 + sum(execution.skipped.values())
