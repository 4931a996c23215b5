"""A study that grows measures what is new, each run once; other settings are other points."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.engine.execute import Outcome
from rankbench.engine.runner import StudyRun
from rankbench.study.config import Study
from rankbench.study.search import Search
from rankbench.study.space import Space
from rankbench.tasks import TASKS
from rankbench.tasks.base import Context, Point
from tests.engine.test_study import Silent
from tests.helpers.probe import Probe
from tests.study.test_feasibility import at_once

LAYERS = ({"decomposition": ("dense",)}, {"decomposition": ("low_rank",), "rank": (1, 2)})
VALUES = st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True).map(tuple)
# What of a grid there is: values, how many of LAYERS, seeds.
GRIDS = st.tuples(VALUES, st.integers(1, 2), st.integers(1, 2))


@pytest.fixture(autouse=True)
def probe_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)


def make(root: str, values: Sequence[int], layers: int, seeds: int, **fixed: Any) -> Study:
    branches = {f"layer_{i}": {"layer": layer} for i, layer in enumerate(LAYERS[:layers])}
    return Study(
        name="growing",
        task={"name": "probe"},
        layer={"decomposition": "dense"},
        space=Space.parse({"task": {"value": tuple(values)}}, branches),
        search=Search(objectives=(("rmse", "minimize"),)),
        seeds=tuple(range(seeds)),
        results=root,
        **fixed,
    )


def measure(study: Study, counts: Counter[str]) -> StudyRun:
    """Run a study in this process, counting each run that is executed."""

    def counted(point: Point, contexts: Sequence[Context], **asked: Any) -> list[Outcome]:
        counts.update(point.run_id(context.seed) for context in contexts)
        return at_once(point, contexts, **asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rankbench.engine.worker.run_in_child", counted)
        execution = StudyRun(study)
        execution.run(Silent())
    return execution


@settings(max_examples=8, deadline=None)
@given(grids=st.lists(GRIDS, min_size=2, max_size=3))
def test_grids_that_grow_and_shrink_measure_each_run_once(
    grids: list[tuple[tuple[int, ...], int, int]],
) -> None:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as root:
        for values, layers, seeds in grids:
            before = set(counts)
            execution = measure(make(root, values, layers, seeds), counts)
            asked = len(values) * (1 if layers == 1 else 3) * seeds
            own = {row["run_id"] for row in execution.own_rows()}
            assert len(own) == asked
            assert {row["run_id"] for row in execution.measured} == own - before
            assert execution.pending() == []
            assert set(execution.rows) == set(counts)  # nothing stored is ever lost
        assert set(counts.values()) == {1}


@pytest.mark.parametrize("fixed", [{"dtype": "float64"}, {"compute": {"precision": "bfloat16"}}])
def test_any_other_setting_starts_new_points_and_keeps_the_old(
    tmp_path: Path, fixed: dict[str, Any]
) -> None:
    counts: Counter[str] = Counter()
    measure(make(str(tmp_path), (1, 2), 1, 1), counts)
    changed = measure(make(str(tmp_path), (1, 2), 1, 1, **fixed), counts)
    assert len(changed.measured) == len(changed.own_rows()) == 2
    assert len(changed.rows) == 4
    back = measure(make(str(tmp_path), (1, 2), 1, 1), counts)
    assert back.measured == []
    assert set(counts.values()) == {1}


def test_how_a_study_runs_is_no_part_of_its_points(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    measure(make(str(tmp_path), (1, 2), 1, 2), counts)
    other = {"workers": 2, "replicates": 2, "threads": 1, "time_limit_s": 9.0, "checkpoint_s": 0.0}
    assert measure(make(str(tmp_path), (2, 1), 1, 2, **other), counts).measured == []
