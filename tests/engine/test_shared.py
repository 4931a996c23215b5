"""A study that many processes work on, in a PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from sqlalchemy import text

from rankbench.cli.main import main
from rankbench.common.files import remove
from rankbench.doctor.checks import is_being_run
from rankbench.doctor.mend import mend_study
from rankbench.doctor.postgres_checks import check_storage
from rankbench.engine import shared_queue as shared
from rankbench.engine.postgres import Postgres
from rankbench.engine.queue import Row
from rankbench.engine.runner import StudyRun
from rankbench.engine.shared_queue import SharedQueue, storage_name
from rankbench.study.config import Study
from rankbench.tasks import TASKS
from tests.engine.test_study import Silent, executed, make_study, runs_of, wait_for_runs
from tests.helpers import processes
from tests.helpers.paths import ROOT
from tests.helpers.postgres import PASSWORD, Server, served
from tests.helpers.probe import Probe
from tests.helpers.processes import HANG_S


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield from served()


@pytest.fixture(autouse=True)
def probe_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)


def shared_study(server: Server, folder: Path, points: int = 3, **settings: Any) -> Study:
    settings.setdefault("storage", server.database())
    space = settings.pop("space", {"task": {"value": tuple(range(points))}})
    return make_study(folder, space, heartbeat_s=1, **settings)


def again(study: Study, folder: Path, points: int, **settings: Any) -> Study:
    """The study of the same storage with so many points."""
    space = {"task": {"value": tuple(range(points))}}
    return make_study(folder, space, heartbeat_s=1, storage=study.storage, **settings)


def execute(study: Study) -> StudyRun:
    execution = StudyRun(study)
    execution.run(Silent())
    return execution


def states(study: Study) -> Counter[str]:
    execution = StudyRun(study)
    directions = [direction for _, direction in study.search.objectives]
    postgres = Postgres(study.storage, storage_name(study, execution.grid), directions, 1)
    with postgres.locked() as connection:
        found = Counter(trial.state.name for trial in postgres.trials(connection))
    postgres.close()
    return found


def join(study: Study, *, again: bool = True) -> None:
    """Fill the storage, measure nothing."""
    StudyRun(study).join(None, again=again)


def test_a_study_is_measured_told_and_then_left_alone(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, seeds=(0, 1))
    assert len(execute(study).measured) == 6
    assert states(study) == {"COMPLETE": 3}
    assert execute(study).measured == []
    assert states(study) == {"COMPLETE": 3}
    assert set(executed(tmp_path).values()) == {1}


@pytest.mark.slow
def test_two_thousand_points_are_added_once(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, points=2000)
    join(study)
    join(study, again=False)
    assert states(study) == {"WAITING": 2000}


def test_what_parquet_knows_is_told_and_what_it_lost_waits(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path)
    execute(study)
    other = shared_study(server, tmp_path)  # an empty database, the same results
    join(other)
    assert states(other) == {"COMPLETE": 3}
    lost = next((tmp_path / "results" / "probing" / "runs").glob("*.parquet"))
    remove([lost])
    join(other, again=False)
    assert states(other) == {"COMPLETE": 3, "WAITING": 1}
    assert [row["run_id"] for row in execute(other).measured] == [lost.stem]


def test_the_doctor_compares_the_trials_with_the_rows(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = shared_study(server, tmp_path)
    asked = ["doctor", study.results, "--storage", study.storage]
    (tmp_path / "results" / "probing" / "runs").mkdir(parents=True)
    assert main(asked) == 0  # the database has no tables yet
    execute(study)
    assert main(asked) == 0
    lost = next((tmp_path / "results" / "probing" / "runs").glob("*.parquet"))
    remove([lost])
    assert main(asked) == 1
    assert main([*asked, "--mend"]) == 1
    told = capsys.readouterr().out
    assert told.count("1 told trial without rows") == 2
    assert PASSWORD not in told
    execute(study)  # its trial from before stays told
    assert main(asked) == 0


def test_workers_hold_the_study_together_and_nobody_alone(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, points=1)
    folder = tmp_path / "results" / "probing"

    class Asking(Silent):
        def on_run_finished(self, worker: int, row: Row) -> None:
            assert is_being_run(folder)
            join(study, again=False)
            with pytest.raises(ValueError, match=f"is being run by process {os.getpid()}"):
                mend_study(folder)

    execution = StudyRun(study)
    execution.run(Asking())
    assert len(execution.measured) == 1
    assert not is_being_run(folder)


def test_the_doctor_tells_of_a_silent_worker(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path)
    join(study)
    directions = [direction for _, direction in study.search.objectives]
    postgres = Postgres(study.storage, storage_name(study, StudyRun(study).grid), directions, 1)
    claimed = postgres.claim()
    folder = tmp_path / "results" / "probing"
    assert list(check_storage(study.storage, folder, set())) == []  # it has just begun
    with postgres.locked() as connection:
        old = "UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '1 hour'"
        connection.execute(text(old))
    (finding,) = check_storage(study.storage, folder, set())
    postgres.close()
    assert (claimed, finding.kind) == (1, "silent trial")
    assert "trial 0 is running, but its worker has been silent for 10 minutes" in finding.what
    assert list(check_storage(study.storage, folder.with_name("prob"), set())) == []


def test_the_doctor_says_which_storage_it_cannot_read(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "probing" / "runs").mkdir(parents=True)
    gone = f"{server.database()}-no"
    assert main(["doctor", str(tmp_path), "--storage", gone]) == 1
    error = capsys.readouterr().err
    assert error.startswith("rankbench: error: storage postgresql://study:***@127.0.0.1")
    assert "does not exist" in error
    assert main(["doctor", str(tmp_path), "--storage", "sqlite:///x.db"]) == 2
    assert "storage must be empty" in capsys.readouterr().err


def test_failures_are_repeated_by_run_and_not_by_work(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, task={"how": "once"})
    assert {row["status"] for row in execute(study).measured} == {"error"}
    joining = StudyRun(study)
    joining.join(Silent(), again=False)
    assert joining.measured == []
    elsewhere = StudyRun(study)
    assert {row["status"] for row in elsewhere.rows.values()} == {"error"}
    assert {row["status"] for row in execute(study).measured} == {"done"}
    assert states(study) == {"FAIL": 3, "COMPLETE": 3}
    elsewhere.catch_up()
    assert [row["status"] for row in elsewhere.measured] == ["done"] * 3


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_samplers_draw_the_stated_number_of_trials(
    server: Server, tmp_path: Path, sampler: str
) -> None:
    space = {"task": {"value": {"low": 0, "high": 1000}}}
    search = {"sampler": sampler, "trials": 5}
    study = shared_study(server, tmp_path, space=space, search=search, workers=2)
    execute(study)
    assert states(study) == {"COMPLETE": 5}
    assert execute(study).measured == []
    assert set(executed(tmp_path).values()) == {1}


def test_the_trial_of_a_worker_without_a_heartbeat_waits_again(
    server: Server, tmp_path: Path
) -> None:
    study = shared_study(server, tmp_path, points=1)
    join(study)
    name = storage_name(study, StudyRun(study).grid)
    postgres = Postgres(study.storage, name, ["minimize"], 1)
    for died in range(1, shared.MOST_DEATHS + 1):
        assert postgres.claim() is not None
        assert postgres.reap(3600.0, shared.MOST_DEATHS) == 0
        assert postgres.reap(0.0, shared.MOST_DEATHS) == 1
        waiting = 0 if died == shared.MOST_DEATHS else 1
        assert states(study) == Counter(FAIL=died) + Counter(WAITING=waiting)
    postgres.close()


def test_telling_a_trial_that_was_given_away_is_harmless(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, points=1)
    execution = StudyRun(study)
    execution.join(None, again=True)
    queue = execution.state.queue
    assert isinstance(queue, SharedQueue)
    with queue.joined(execution.grid):
        trial = queue.claim(queue.sampler(0, 0))
        assert trial is not None
        queue._postgres.reap(0.0, shared.MOST_DEATHS)
        trial.report(1.0, 1)
        assert trial.should_prune() is False
        queue.tell(trial, [1.0], TrialState.COMPLETE)
    assert states(study) == {"FAIL": 1, "WAITING": 1}
    assert len(execute(study).measured) == 1


def test_a_trial_that_is_stopped_waits_again(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, points=1, task={"how": "forever"})
    execution = StudyRun(study)
    execution.join(None, again=True)
    queue = execution.state.queue
    assert isinstance(queue, SharedQueue)
    with queue.joined(execution.grid):
        assert queue.claim(queue.sampler(0, 0)) is not None
        assert states(study) == {"RUNNING": 1}
    assert states(study) == {"WAITING": 1}


def test_the_trial_of_a_run_that_is_stopped_waits_again(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, points=1, task={"how": "forever"})
    execution = StudyRun(study)

    class Stopping(Silent):
        def on_row(self, worker: int, table: str, row: Row) -> None:
            execution.stop.set()

    execution.run(Stopping())
    assert [row["status"] for row in execution.measured] == ["interrupted"]
    assert states(study) == {"WAITING": 1}


@pytest.mark.slow
def test_a_server_that_stays_away_ends_the_worker_with_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", 0.5)
    study = shared_study(server, tmp_path, points=1)
    execution = StudyRun(study)

    class Stopping(Silent):
        def on_run_started(self, worker: int, point: object, seed: int) -> None:
            server.stop()

    try:
        with pytest.raises(OSError, match="is gone; what was measured is stored") as told:
            execution.run(Stopping())
    finally:
        server.start()
    assert PASSWORD not in str(told.value)
    assert list(runs_of(tmp_path)["status"]) == ["done"]
    assert execute(study).measured == []


def test_results_that_others_do_not_share_are_an_error(server: Server, tmp_path: Path) -> None:
    study = shared_study(server, tmp_path, points=1)
    execute(study)
    elsewhere = again(study, tmp_path / "elsewhere", 1, task={"log": str(tmp_path / "log")})
    with pytest.raises(ValueError, match="is not the folder that the study's other workers"):
        join(elsewhere, again=False)


def test_no_server_is_one_line_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    address = "postgresql://me:hush@127.0.0.1:9/study"
    with pytest.raises(OSError, match=r"storage postgresql://me:\*\*\*@127.0.0.1:9/study") as told:
        join(make_study(tmp_path, storage=address))
    assert "hush" not in str(told.value)


def start(
    study: Study, folder: Path, points: int, number: int, **more: str
) -> subprocess.Popen[bytes]:
    """A process that works on the study, in a folder of its own."""
    own, meeting = folder / f"{number}", folder / "4"
    for path in (own, meeting):
        path.mkdir(exist_ok=True)
    return processes.start(
        [sys.executable, "-m", "tests.helpers.run_shared", str(folder), str(points)],
        limit_s=6 * HANG_S,
        cwd=own,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RANKBENCH_STORAGE": study.storage,
            "RANKBENCH_MEETING": str(meeting),
            "OMP_NUM_THREADS": "1",
            **more,
        },
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "restart"])
def test_four_workers_and_a_fault_leave_one_good_row_a_run(
    server: Server, tmp_path: Path, fault: str
) -> None:
    study = shared_study(server, tmp_path, points=200, task={"how": "meets"})
    dying: dict[str, str] = {"RANKBENCH_DIES": "yes"} if fault == "kill" else {}
    workers = [start(study, tmp_path, 200, k, **({} if k else dying)) for k in range(4)]
    wait_for_runs(tmp_path, 60, *workers[1:])
    if fault == "restart":
        server.stop()
        time.sleep(2.0)
        server.start()
    codes = [worker.wait() for worker in workers]
    assert codes == [-9 if fault == "kill" else 0, 0, 0, 0]
    runs = runs_of(tmp_path)
    assert len(runs) == runs["run_id"].nunique() == 200
    assert set(runs["status"]) == {"done"}
    found = states(study)
    assert found["COMPLETE"] == 200
    assert found["RUNNING"] == found["WAITING"] == 0
    # A kill costs at most the run in hand, an outage none.
    assert sum(executed(tmp_path).values()) <= 201
