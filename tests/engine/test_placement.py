"""Where runs go: workers, GPUs and threads of this machine, with GPUs that are made up."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rankbench.engine.placement import gpus, place, threads, worker_count
from rankbench.tasks import TASKS
from tests.engine.test_study import execute, make_study, probe_task, runs_of
from tests.helpers.rogue import Rogue

__all__ = ["probe_task"]


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def properties(index: int) -> SimpleNamespace:
        return SimpleNamespace(name=f"Made Up {index}", total_memory=(index + 1) * 10**9, uuid="")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("three_gpus")
def test_workers_take_turns_with_the_gpus(tmp_path: Path) -> None:
    study = make_study(tmp_path, workers=4)
    assert worker_count(study) == 4
    places = [place(study, worker) for worker in range(4)]
    assert [where.gpu_index for where in places] == [0, 1, 2, 0]
    assert {where.device for where in places} == {"cuda"}
    visible = [where.environment["CUDA_VISIBLE_DEVICES"] for where in places]
    assert visible == ["0", "1", "2", "0"]


@pytest.mark.usefixtures("three_gpus")
def test_workers_per_device_are_counted_on_every_gpu(tmp_path: Path) -> None:
    study = make_study(tmp_path, workers_per_device=2)
    assert worker_count(study) == 6
    assert [place(study, worker).gpu_index for worker in range(6)] == [0, 1, 2, 0, 1, 2]


def test_workers_per_device_wait_for_a_machine_with_gpus(tmp_path: Path) -> None:
    study = make_study(tmp_path, workers_per_device=2, workers=3, device="cpu")
    assert worker_count(study) == 3
    assert (place(study, 1).device, place(study, 1).gpu_index) == ("cpu", None)
    assert place(study, 1).environment == {}


@pytest.mark.usefixtures("three_gpus")
@pytest.mark.parametrize(
    ("visible", "names"),
    [("5,3,7", ["5", "3", "7"]), ("GPU-1, GPU-2,GPU-3", ["GPU-1", "GPU-2", "GPU-3"])],
)
def test_only_gpus_that_the_study_sees_are_given_out(
    monkeypatch: pytest.MonkeyPatch, visible: str, names: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == names


@pytest.mark.usefixtures("three_gpus")
def test_a_run_sees_its_gpu_alone_and_its_row_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "probe", Rogue)
    space = {"task": {"value": tuple(range(6))}}
    task = {"how": "tells_gpus", "sleep_s": 0.2}
    execute(make_study(tmp_path, space, task=task, workers_per_device=1))
    runs = runs_of(tmp_path)
    assert len(runs) == 6
    assert {0, 1, 2} >= set(runs["gpu_index"])
    assert list(runs["gpu"]) == [f"Made Up {index}" for index in runs["gpu_index"]]
    told = [line for line in (tmp_path / "log").read_text().splitlines() if "gpus" in line]
    seen = [int(line.split()[1]) for line in told]
    assert sorted(seen) == sorted(runs["gpu_index"])
    assert {line.split()[2] for line in told} == {"False"}  # nobody initialised CUDA before it


def test_a_run_on_a_cpu_has_no_gpu_index(tmp_path: Path) -> None:
    execute(make_study(tmp_path, {"task": {"value": (1,)}}))
    assert runs_of(tmp_path)["gpu_index"].isna().all()


def test_workers_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    assert threads(make_study(tmp_path, workers=5)) == 3
    assert threads(make_study(tmp_path, workers=20)) == 1
    assert threads(make_study(tmp_path, workers=5, threads=7)) == 7


def test_every_library_of_a_run_keeps_to_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "probe", Rogue)
    space = {"task": {"value": (1,)}}
    execute(make_study(tmp_path, space, task={"how": "tells_threads"}, threads=1))
    assert (tmp_path / "log").read_text().splitlines()[-1] == "threads [1] interop 1"
    assert list(runs_of(tmp_path)["threads"]) == [1]


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("workers_per_device", 0, "workers_per_device must be a positive integer, got 0"),
        ("memory_limit_gb", 0.0, "memory_limit_gb must be a number in (0, inf), got 0.0"),
        ("retries", -1, "retries must be an integer of at least 0, got -1"),
        ("alone", "yes", "alone must be one of: auto, True, False; got 'yes'"),
    ],
)
def test_wrong_settings_of_the_engine_are_one_line(
    tmp_path: Path, name: str, value: object, rule: str
) -> None:
    with pytest.raises(ValueError) as refusal:
        make_study(tmp_path, **{name: value})
    assert str(refusal.value) == rule
