"""Slurm jobs by submitit's local executor: their time limit, its signal, requeueing, failures."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rankbench.engine.clusters import slurm as on_slurm
from rankbench.engine.clusters.slurm_job import WorkerJob
from rankbench.engine.runner import StudyRun
from rankbench.study.config import load_study
from rankbench.tasks import TASKS
from tests.engine.test_clusters import STUDY
from tests.engine.test_shared import states
from tests.engine.test_study import executed, runs_of
from tests.helpers.postgres import Server, served
from tests.helpers.probe import Probe
from tests.helpers.slurm_jobs import FailingJob, ProbeJob

pytest.importorskip("submitit", reason="no submitit: pip install 'rankbench[slurm]'")

ROOT = Path(__file__).resolve().parents[2]
PROBING = """
task: {name: probe, how: wait, log: LOG}
layer: {decomposition: dense}
device: cpu
threads: 1
heartbeat_s: 1
search: {objectives: {rmse: minimize}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield from served()


@pytest.fixture(autouse=True)
def probe_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the jobs, which look tests up by name
    monkeypatch.setenv("PGPASSWORD", "")  # which `place` sets, for the jobs


class Placing(threading.Thread):
    """`place` in a thread of its own: jobs of class `job` for a study, in one process."""

    def __init__(self, path: Path, overrides: list[str]) -> None:
        super().__init__(daemon=True)
        self.study = load_study(str(path), overrides)
        self.execution = StudyRun(self.study)
        self.execution.join(None, again=True)
        self.path, self.overrides = path, overrides
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            on_slurm.place(self.execution, str(self.path), self.overrides)
        except OSError as error:
            self.error = error


@pytest.fixture
def probing(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Placing]:
    """A study of one run, which a job has begun and which ends when the file `log.end` exists.

    A parameter is what submitit counts down when a job's time is up; below 0 it is not requeued.
    """
    path = tmp_path / "probing.yaml"
    path.write_text(PROBING.replace("LOG", str(tmp_path / "log")))
    monkeypatch.setattr(on_slurm, "WorkerJob", ProbeJob)
    requeues = {"local_max_num_timeout": getattr(request, "param", 5)}
    monkeypatch.setattr(on_slurm, "_REQUEUES", requeues)
    overrides = [f"storage={server.database()}", f"results={tmp_path / 'results'}"]
    placing = Placing(path, [*overrides, "engine=slurm", "slurm.cluster=local"])
    placing.start()
    try:
        wait_until(lambda: begun(tmp_path) == 1 or not placing.is_alive())
        yield placing
    finally:
        for controller in processes("submitit.local._local"):
            controller.send_signal(signal.SIGINT)
        placing.join()


def begun(folder: Path) -> int:
    return executed(folder).total() if (folder / "log").exists() else 0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what jobs do; the limit of minutes only catches a hang."""
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes(module: str) -> list[psutil.Process]:
    """The processes below this one that run a module."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if module in process.cmdline()]


def end_of_time(job: psutil.Process) -> None:
    """Signal a job as Slurm may shortly before its limit: all of its processes."""
    for process in [*job.children(recursive=True), job]:
        process.send_signal(signal.SIGUSR2)


def test_a_job_whose_time_is_up_is_requeued(probing: Placing, tmp_path: Path) -> None:
    (job,) = processes("submitit.core._submit")
    end_of_time(job)
    wait_until(lambda: begun(tmp_path) == 2 or not probing.is_alive())
    assert list(runs_of(tmp_path)["status"]) == ["interrupted"]
    (tmp_path / "log.end").touch()
    probing.join()
    assert probing.error is None
    assert list(runs_of(tmp_path)["status"]) == ["done"]
    assert states(probing.study) == {"COMPLETE": 1}
    assert [row["status"] for row in probing.execution.measured] == ["done"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("probing", "end", "reason"),
    [
        (-1, end_of_time, "Job not requeued because: timed-out too many times."),
        (5, psutil.Process.kill, ""),
    ],
    ids=["time", "kill"],
    indirect=["probing"],
)
def test_a_job_that_ends_early_releases_its_trial(
    probing: Placing, tmp_path: Path, end: Callable[[psutil.Process], None], reason: str
) -> None:
    (job,) = processes("submitit.core._submit")
    below = job.children(recursive=True)
    end(job)
    probing.join()
    assert f"measured now: {'1 interrupted' if reason else ''}" in str(probing.error)
    assert "runs left: 1; run the same command again to measure them" in str(probing.error)
    assert reason in str(probing.error)
    wait_until(lambda: not any(process.is_running() for process in below))
    assert states(probing.study) == {"WAITING": 1}


def test_jobs_that_fail_are_told_with_their_reason(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY)
    monkeypatch.setattr(on_slurm, "WorkerJob", FailingJob)
    overrides = [f"storage={server.database()}", f"results={tmp_path / 'results'}", "workers=2"]
    placing = Placing(path, [*overrides, "engine=slurm", "slurm.cluster=local"])
    placing.run()
    told = str(placing.error)
    assert told.startswith("Slurm jobs ended early; measured now: none; runs left: 3;")
    assert "(RuntimeError: this node has no disk; output: " in told


def limit(path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str, seconds: float) -> int:
    """The default limit of two jobs, each run being estimated to take so many seconds."""

    def estimate(points: list[Any], threads: int, together: int) -> dict[str, float]:
        return {point.point_id: seconds for point in points}

    monkeypatch.setattr(on_slurm, "estimate", estimate)
    execution = StudyRun(load_study(str(path), [f"results={path.parent}", *overrides]))
    return on_slurm.default_minutes(execution, 2)


def test_the_default_time_limit_suits_the_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY)
    assert limit(path, monkeypatch, seconds=0.1) == 60
    # 3 points x 8 seeds x 3 x 600 s by two jobs, and 3 x 600 s for the last run.
    assert limit(path, monkeypatch, "seeds=8", seconds=600.0) == 360 + 30
    # No run takes more than time_limit_s.
    assert limit(path, monkeypatch, "seeds=8", "time_limit_s=900", seconds=600.0) == 180 + 15
    assert limit(path, monkeypatch, "time_limit_s=1e6", seconds=1e6) == 24 * 60
    sampled = ["search.sampler=random", "search.trials=10", "time_limit_s=900"]
    assert limit(path, monkeypatch, *sampled, seconds=0.0) == 75 + 15


def test_a_time_limit_that_is_set_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY)
    settings = [f"results={tmp_path}", "slurm.cluster=local"]
    for chosen, expected in ([], 60), (["slurm.timeout_min=7"], 7):
        execution = StudyRun(load_study(str(path), [*settings, *chosen]))
        assert on_slurm._executor(execution, 1)._executor.parameters["timeout_min"] == expected


def test_a_job_is_resubmitted_with_its_arguments() -> None:
    again = pickle.loads(pickle.dumps(WorkerJob().checkpoint(["work", "smoke"])))
    assert isinstance(again.function, WorkerJob)
    assert again.args == (["work", "smoke"],)
