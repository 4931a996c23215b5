"""Runs that fail are tried again at once, so often and no more; the memory limit of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankbench.tasks import TASKS
from tests.engine.test_study import execute, executed, journal, make_study, probe_task, runs_of
from tests.helpers.processes import HANG_S, time_limits
from tests.helpers.rogue import Rogue

__all__ = ["probe_task"]


def test_a_run_that_fails_once_is_done_in_its_second_attempt(tmp_path: Path) -> None:
    execution = execute(make_study(tmp_path, task={"how": "once"}, retries=2))
    runs = runs_of(tmp_path)
    assert list(runs["status"]) == ["done"] * 3
    assert list(runs["attempts"]) == [2] * 3
    assert len(execution.measured) == 3
    assert set(executed(tmp_path).values()) == {2}
    assert {trial.state.name for trial in journal(tmp_path).trials} == {"COMPLETE"}


@pytest.mark.parametrize(
    ("how", "status", "tries"),
    [
        ("error", "error", 3),
        ("kill", "killed", 3),
        ("memory", "out_of_memory", 3),
        ("forever", "timeout", 3),
        ("diverged", "diverged", 1),
        ("done", "done", 1),
    ],
)
def test_only_failures_are_tried_again_and_the_last_is_the_row(
    tmp_path: Path, how: str, status: str, tries: int
) -> None:
    space = {"task": {"value": (1,), "how": (how,)}}
    for limit in time_limits() if status == "timeout" else [HANG_S]:
        folder = tmp_path / f"{limit:g}"
        folder.mkdir()
        execution = execute(make_study(folder, space, retries=2, time_limit_s=limit))
        assert list(runs_of(folder)["status"]) == [status]
        assert list(runs_of(folder)["attempts"]) == [tries]
        assert len(execution.measured) == 1
        if status != "timeout" or (folder / "log").exists():
            break
    counts = set(executed(folder).values())
    assert counts == {tries} or (status == "timeout" and max(counts) <= tries)


def test_without_retries_a_failure_waits_for_the_next_run(tmp_path: Path) -> None:
    execute(make_study(tmp_path, task={"how": "once"}))
    assert list(runs_of(tmp_path)["attempts"]) == [1] * 3
    execute(make_study(tmp_path, task={"how": "once"}))
    assert list(runs_of(tmp_path)["status"]) == ["done"] * 3
    assert list(runs_of(tmp_path)["attempts"]) == [1] * 3


def test_of_replicates_only_those_that_failed_are_tried_again(tmp_path: Path) -> None:
    space = {"task": {"value": (1,), "how": ("odd, then forever",)}}
    settings = {"seeds": (1, 2, 3), "replicates": 3, "retries": 1}
    for limit in time_limits():
        folder = tmp_path / f"{limit:g}"
        folder.mkdir()
        execute(make_study(folder, space, time_limit_s=limit, **settings))
        runs = runs_of(folder).set_index("seed")
        assert dict(runs["status"][[2, 3]]) == {2: "timeout", 3: "timeout"}
        assert dict(runs["attempts"][[2, 3]]) == {2: 2, 3: 2}
        if dict(runs["attempts"])[1] == 1:
            break
    assert runs.loc[1, "status"] == "diverged"


def test_a_study_limits_the_memory_of_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "probe", Rogue)
    space = {"task": {"how": ("eats", "")}}
    execute(make_study(tmp_path, space, memory_limit_gb=0.8))
    runs = runs_of(tmp_path).set_index("target")
    assert dict(runs["status"]) == {"eats": "out_of_memory", "": "done"}
    assert "over memory_limit_gb 0.8" in runs.loc["eats", "error"]
    assert (runs["peak_rss_mb"] > 100).all()
