"""Every shipped study in a PostgreSQL server of the tests' own."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from rankbench import load
from rankbench.cli.main import main
from rankbench.engine.postgres import DEATHS, REPEATED, Postgres
from rankbench.engine.queue import enumerate_grid
from rankbench.engine.runner import StudyRun
from rankbench.engine.shared_queue import storage_name
from rankbench.study.config import load_study
from tests.helpers.postgres import Server, served
from tests.study.test_studies import NAMES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield from served()


@pytest.fixture(scope="module")
def database(server: Server) -> str:
    """The address of one database for every study: each is an Optuna study of its own there."""
    return server.database()


def open_postgres(execution: StudyRun) -> Postgres:
    study = execution.study
    directions = [direction for _, direction in study.search.objectives]
    return Postgres(study.storage, storage_name(study, execution.grid), directions, 1)


def stored_trials(execution: StudyRun) -> list[FrozenTrial]:
    """The trials as Optuna reads them."""
    postgres = open_postgres(execution)
    try:
        return optuna.load_study(study_name=postgres.name, storage=postgres.optuna).trials
    finally:
        postgres.close()


def start(*arguments: str) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "rankbench", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_study_is_enqueued(database: str, tmp_path: Path, name: str) -> None:
    study = load_study(name, [f"storage={database}", f"results={tmp_path}"])
    execution = StudyRun(study)
    execution.join(None, again=True)
    trials = stored_trials(execution)
    assert {trial.state for trial in trials} == {TrialState.WAITING}
    if execution.grid is None:
        assert len(trials) == study.search.trials
        return
    params = {trial.user_attrs["point_id"]: trial.params for trial in trials}
    assert params == execution.grid.params
    assert len(trials) == len(params)


def test_everything_a_trial_holds_is_stored_and_copied(server: Server, tmp_path: Path) -> None:
    study = load_study("smoke", [f"storage={server.database()}", f"results={tmp_path}"])
    execution = StudyRun(study)
    assert execution.grid is not None
    point_id, params = next(iter(execution.grid.params.items()))
    parts: dict[str, Any] = {
        "params": params,
        "distributions": {name: execution.grid.distributions[name] for name in params},
        "user_attrs": {"point_id": point_id, "folds": [1, 2.5, None]},
        "system_attrs": {"fixed_params": params},
    }
    curve = {1: 3, 2: 0.5, 3: math.inf, 4: -math.inf, 5: math.nan}
    whole = [
        create_trial(state=TrialState.COMPLETE, values=[2], **parts),
        create_trial(state=TrialState.COMPLETE, values=[math.inf], **parts),
        create_trial(state=TrialState.PRUNED, values=[0.5], intermediate_values=curve, **parts),
        create_trial(state=TrialState.WAITING),
    ]
    postgres = open_postgres(execution)
    with postgres.locked() as connection:
        postgres.add(connection, [])
        postgres.add(connection, whole)
        postgres.repeat(connection, postgres.trials(connection)[:1], died=True)
    postgres.close()
    *stored, copy = stored_trials(execution)
    assert [trial.state for trial in stored] == [trial.state for trial in whole]
    assert [trial.values for trial in stored] == [[2.0], [math.inf], [0.5], None]
    assert str(stored[2].intermediate_values) == str({k: float(v) for k, v in curve.items()})
    for trial in [*stored[:3], copy]:
        assert (trial.params, trial.distributions) == (params, parts["distributions"])
        assert trial.system_attrs == parts["system_attrs"]
        assert {**trial.user_attrs, **parts["user_attrs"]} == trial.user_attrs
    assert (copy.state, copy.values, copy.intermediate_values) == (TrialState.WAITING, None, {})
    assert {**copy.user_attrs, REPEATED: True, DEATHS: 1} == copy.user_attrs


# Short trainings of fewer points: what is tested is the way from the command to the last row.
SHORT = [
    *("seeds=1", "training.epochs=2", "training.evaluate_every=1", "threads=1", "heartbeat_s=1"),
    *(
        f"space.branches.{branch}.layer.core_order=2"
        for branch in ("cp", "tucker", "block_term", "tensor_train", "tensor_ring")
    ),
]


def test_a_whole_study_is_measured_by_run_and_work_together(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [f"storage={server.database()}", f"results={tmp_path}", *SHORT]
    other = start("work", "smoke", *overrides)
    try:
        assert main(["run", "smoke", *overrides, "workers=2"]) == 0
        told = other.communicate(timeout=900)[0]
    finally:
        other.kill()
    assert other.returncode == 0, told
    study = load_study("smoke", overrides)
    points = enumerate_grid(study).points
    runs = load("smoke", root=tmp_path)
    assert set(runs["point_id"]) == set(points)
    assert Counter(runs["status"]) == {"done": len(points)}
    states = Counter(trial.state for trial in stored_trials(StudyRun(study)))
    assert states == {TrialState.COMPLETE: len(points)}
    # No run was measured twice.
    measured = re.findall(r"measured now: (\d+) done", told + capsys.readouterr().out)
    assert sum(map(int, measured)) == len(points)
