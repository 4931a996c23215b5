"""A run in a child process: every way it can end becomes a status with a reason."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rankbench.engine import child as engine
from rankbench.engine.child import run_in_child
from rankbench.engine.execute import Outcome
from rankbench.tasks.base import Context
from tests.helpers.paths import PACKAGE, ROOT
from tests.helpers.probe import probe_point
from tests.helpers.processes import HANG_S, is_alive, start, time_limits, wait_until
from tests.helpers.processes import run as run_command
from tests.helpers.rogue import rogue_point

HINT = "; the kernel kills a process when memory runs out: set memory_limit_gb or fewer workers"


def run(how: str, *, time_limit_s: float = HANG_S, **more: Any) -> Outcome:
    (outcome,) = run_in_child(
        probe_point(how=how),
        [Context(seed=1)],
        time_limit_s=time_limit_s,
        **{"stop": threading.Event(), **more},
    )
    return outcome


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ("done", "done", None),
        ("error", "error", "the probe was told to fail"),
        ("bug", "error", "KeyError: 'x'"),
        ("diverged", "diverged", "training loss is nan in epoch 2"),
        ("memory", "out_of_memory", "MemoryError: no more"),
        ("exit", "killed", "the process ended without a result, with exit code 7"),
        ("kill", "killed", "the process ended without a result, by signal 9 (SIGKILL)" + HINT),
    ],
)
def test_every_end_has_its_status_and_keeps_what_was_measured(
    how: str, status: str, error: str | None
) -> None:
    outcome = run(how)
    assert (outcome.status, outcome.error) == (status, error)
    assert outcome.tables == {"epochs": [{"epoch": 1, "train_loss": 0.5}]}
    assert outcome.facts["epochs"] == 1
    assert outcome.facts.get("rmse") == (0.25 if status == "done" else None)
    assert (outcome.traceback is not None) == (status in ("error", "out_of_memory"))


def run_together(how: str, *, time_limit_s: float = HANG_S) -> list[Outcome]:
    return run_in_child(
        probe_point(how=how),
        [Context(seed=seed) for seed in (1, 2, 3)],
        time_limit_s=time_limit_s,
        stop=threading.Event(),
    )


@pytest.mark.parametrize(
    ("how", "statuses", "rmse"),
    [
        ("done", ["done"] * 3, [0.25, 0.5, 0.75]),
        ("odd", ["diverged", "done", "diverged"], [None, 0.5, None]),
        ("bug", ["error"] * 3, [None] * 3),
        ("memory", ["out_of_memory"] * 3, [None] * 3),
        ("kill", ["killed"] * 3, [None] * 3),
    ],
)
def test_replicates_end_each_with_its_own_status(
    how: str, statuses: list[str], rmse: list[float | None]
) -> None:
    outcomes = run_together(how)
    assert [outcome.status for outcome in outcomes] == statuses
    assert [outcome.facts.get("rmse") for outcome in outcomes] == rmse
    assert outcomes[0].tables == {"epochs": [{"epoch": 1, "train_loss": 0.5}]}
    assert all((outcome.error is None) == (outcome.status == "done") for outcome in outcomes)


def test_a_run_over_its_time_is_killed() -> None:
    for limit in time_limits():
        outcome = run("forever", time_limit_s=limit)
        assert outcome.status == "timeout"
        assert outcome.error == f"did not end within time_limit_s {limit:g}"
        if "epochs" in outcome.facts:
            break


def test_a_replicate_that_ended_keeps_its_status_when_the_time_of_the_others_is_over() -> None:
    for limit in time_limits():
        ended, *others = run_together("odd, then forever", time_limit_s=limit)
        assert [outcome.status for outcome in others] == ["timeout"] * 2
        if ended.status == "diverged":
            break
        assert ended.status == "timeout"


def test_starting_the_server_takes_no_time_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that runs are forked from loads torch, which can take minutes."""
    begin, passed = engine._Supervisor.begin, [0.0]

    def begin_slowly(*arguments: Any) -> Any:
        rows = begin(*arguments)
        passed[0] += 10 * HANG_S
        return rows

    real = time.monotonic
    monkeypatch.setattr(engine._Supervisor, "begin", begin_slowly)
    monkeypatch.setattr(engine.time, "monotonic", lambda: real() + passed[0])
    assert run("done").status == "done"


def test_a_stopped_run_is_interrupted() -> None:
    stop = threading.Event()
    outcome = run("forever", stop=stop, on_row=lambda table, row: table == "runs" and stop.set())
    assert outcome.status == "interrupted"
    assert outcome.facts["epochs"] == 1


def test_rows_are_seen_as_they_come() -> None:
    seen: list[str] = []
    run_in_child(
        probe_point(),
        [Context(seed=0)],
        time_limit_s=HANG_S,
        stop=threading.Event(),
        on_row=lambda table, row: seen.append(table),
    )
    assert seen == ["epochs", "runs", "runs"]


def run_rogue(how: str, log: Path, *, time_limit_s: float = HANG_S, **limits: float) -> Outcome:
    (outcome,) = run_in_child(
        rogue_point(how, log),
        [Context(seed=0)],
        time_limit_s=time_limit_s,
        stop=threading.Event(),
        **limits,
    )
    return outcome


def noted(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def alive(log: Path) -> list[int]:
    """Those of the noted processes that are there, zombies apart."""
    return [pid for pid in noted(log) if is_alive(pid)]


@pytest.mark.parametrize(
    ("how", "status", "processes"),
    [
        ("forks", "done", 4),
        ("daemonises", "done", 3),
        ("forks daemonises dies", "killed", 6),
        ("daemonises forever", "timeout", 3),
        ("deaf forever", "timeout", 1),
        ("stopped", "timeout", 1),
        ("native", "timeout", 1),
        ("forks deaf stopped", "timeout", 4),
    ],
)
def test_no_process_of_a_run_outlives_it(
    tmp_path: Path, how: str, status: str, processes: int
) -> None:
    for limit in time_limits() if status == "timeout" else [HANG_S]:
        log = tmp_path / f"{limit:g}"
        outcome = run_rogue(how, log, time_limit_s=limit)
        assert outcome.status == status
        assert alive(log) == []
        if status != "timeout" or (len(noted(log)) == processes and "epochs" in outcome.facts):
            break
    assert len(noted(log)) == processes
    assert outcome.facts["epochs"] == 1


@pytest.mark.parametrize("how", ["kills_its_warden forever", "forks kills_its_warden forever"])
def test_a_run_that_kills_what_watches_it_is_a_row_and_the_next_one_runs(
    tmp_path: Path, how: str
) -> None:
    outcome = run_rogue(how, tmp_path / "log")
    assert outcome.status == "killed"
    assert len(noted(tmp_path / "log")) == 1 + 3 * ("forks" in how)
    assert outcome.error == "the supervisor of the run was killed or did not answer"
    wait_until(lambda: alive(tmp_path / "log") == [])  # the kernel ends it, in its own time
    assert run("done").status == "done"


@pytest.mark.parametrize("how", ["eats", "feeds_a_child"])
def test_a_run_over_its_memory_is_killed_with_all_it_started(tmp_path: Path, how: str) -> None:
    outcome = run_rogue(how, tmp_path / "log", memory_limit_gb=0.8)
    assert outcome.status == "out_of_memory"
    assert outcome.error is not None
    value = float(outcome.error.removeprefix("took ").split(" GB")[0])
    assert value > 0.8
    assert outcome.error.endswith(" GB, over memory_limit_gb 0.8")
    assert alive(tmp_path / "log") == []


def test_memory_that_is_refused_is_an_error_with_a_traceback(tmp_path: Path) -> None:
    outcome = run_rogue("asks_for_all", tmp_path / "log", memory_limit_gb=1.0)
    assert outcome.status == "out_of_memory"
    assert "you tried to allocate 274877906944 bytes" in str(outcome.error)
    assert "torch.empty(2**36)" in str(outcome.traceback)


def test_a_full_gpu_is_a_row(tmp_path: Path) -> None:
    outcome = run_rogue("fills_the_gpu", tmp_path / "log")
    assert outcome.status == "out_of_memory"
    assert outcome.error is not None
    assert outcome.error.startswith("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00")


def test_the_peak_of_memory_is_kept_however_a_run_ends() -> None:
    # Python with torch alone takes 100 MB and more.
    assert run("done").facts["peak_rss_mb"] > 100
    assert run("kill").facts["peak_rss_mb"] > 100


@pytest.mark.parametrize(
    "how",
    [
        "daemonises forever",
        "native",
        pytest.param("stopped", marks=pytest.mark.slow),
        pytest.param("forks deaf forever", marks=pytest.mark.slow),
    ],
)
def test_all_processes_of_a_run_die_with_a_killed_study(tmp_path: Path, how: str) -> None:
    study = start(
        [sys.executable, "-m", "tests.helpers.rogue", how, str(tmp_path / "log")], cwd=ROOT
    )
    expected = 1 + 2 * ("daemonises" in how) + 3 * ("forks" in how)
    wait_until(lambda: len(noted(tmp_path / "log")) == expected, study)
    study.kill()
    study.wait()
    wait_until(lambda: alive(tmp_path / "log") == [])


def test_a_run_works_where_the_study_does_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the process that it is forked from was started elsewhere."""
    run("done")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKBENCH_CACHE", "here")
    outcome = run_rogue("tells_its_place", Path("log"))
    assert outcome.status == "done"
    assert f"{tmp_path} here" in (tmp_path / "log").read_text().splitlines()


def test_what_runs_load_is_loaded_before_them() -> None:
    program = (
        "import importlib, sys\n"
        "from rankbench.engine.child import _PRELOAD\n"
        "[importlib.import_module(name) for name in _PRELOAD]\n"
        "print(*sys.modules)\n"
    )
    loaded = set(run_command([sys.executable, "-c", program], cwd=ROOT).split())
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for folder in ("layers", "tasks")
        for path in (PACKAGE / folder).rglob("[!_]*.py")
    ]
    assert len(names) > 40
    # What only the study's own process and `recommend` use.
    elsewhere = {"rankbench.layers.enumerate", "rankbench.tasks.facts"}
    assert set(names) - loaded == elsewhere
