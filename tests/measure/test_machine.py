"""Provenance: every column, plausible values, null instead of an exception."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from rankbench.measure import machine
from rankbench.measure.machine import provenance
from rankbench.store.parquet_file import to_arrow
from rankbench.store.schema import RUNS

FIRST = next(index for index, column in enumerate(RUNS) if column.name == "device")
COMPUTED = {
    "dtype",
    "precision",
    "compiled",
    "cuda_graph",
    "fallback",
}  # of the run, not the machine
COLUMNS = {column.name for column in RUNS[FIRST:]} - COMPUTED
GPU_COLUMNS = {"gpu", "gpu_driver", "gpu_mhz", "gpu_memory_mb"}


@pytest.fixture(autouse=True)
def _forget_commit() -> Iterator[None]:
    machine._commit.cache_clear()
    yield
    machine._commit.cache_clear()


def test_provenance_is_the_columns_of_runs() -> None:
    facts = provenance("cpu")
    assert facts.keys() == COLUMNS
    [read] = to_arrow("runs", [facts]).to_pylist()
    assert {name: read[name] for name in facts} == facts


def test_this_machine_is_described() -> None:
    facts = provenance("cpu")
    assert facts["device"] == "cpu"
    assert facts["threads"] == torch.get_num_threads()
    assert facts["cpu_cores"] == len(os.sched_getaffinity(0))
    assert facts["memory_mb"] == psutil.virtual_memory().total // 10**6
    assert facts["torch_version"] == torch.__version__
    assert {facts[name] for name in GPU_COLUMNS} == {None}


def test_the_host_is_told_apart_but_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = []
    for name in ("node-1", "node-2", "node-1"):
        monkeypatch.setattr("platform.node", lambda name=name: name)
        hosts.append(provenance("cpu")["host"])
    assert hosts[0] == hosts[2] != hosts[1]
    assert "node" not in hosts[0]


def test_nothing_readable_is_null_not_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("not here")

    for owner, name in (
        (psutil, "cpu_freq"),
        (psutil, "virtual_memory"),
        (subprocess, "run"),
        (torch, "get_num_threads"),
        (torch.cuda, "get_device_properties"),
    ):
        monkeypatch.setattr(owner, name, refuse)
    monkeypatch.setattr("platform.node", refuse)
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path)  # a folder cannot be read
    facts = provenance("cuda")
    assert facts.keys() == COLUMNS
    known = {name for name, value in facts.items() if value is not None}
    assert known == {
        "device",
        "cpu_cores",
        "python_version",
        "torch_version",
        "rankbench_version",
    }


def test_the_processor_is_the_kernels_name_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "_CPUINFO", cpuinfo)
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast One \nprocessor\t: 1\nmodel name\t: x\n")
    assert provenance("cpu")["cpu"] == "Fast One"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    monkeypatch.setattr("platform.processor", lambda: "aarch64")
    assert provenance("cpu")["cpu"] == "aarch64"
    monkeypatch.setattr("platform.processor", lambda: "")
    assert provenance("cpu")["cpu"] is None


# The commit of the code.


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that stands for the code, in a fresh checkout that does not track it yet."""
    path = tmp_path / "checkout" / "harness" / "machine.py"
    path.parent.mkdir(parents=True)
    path.write_text("# code\n")
    git(path.parent, "init", "-q", str(path.parents[1]))
    monkeypatch.setattr(machine, "_CODE", path)
    return path


def commit_of() -> tuple[str | None, bool | None]:
    machine._commit.cache_clear()
    facts = provenance("cpu")
    return facts["git_commit"], facts["git_dirty"]


def test_the_commit_is_that_of_the_code(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(code.parent, "add", ".")
    assert commit_of() == (None, None)  # nothing is committed yet
    git(code.parent, "commit", "-qm", "first")
    head = git(code.parent, "rev-parse", "HEAD")
    assert commit_of() == (head, False)
    (code.parents[1] / "results").mkdir()
    (code.parents[1] / "results" / "rows.parquet").write_text("")
    assert commit_of() == (head, False)  # what a study writes is no change of its code
    code.write_text("# changed\n")
    assert commit_of() == (head, True)
    git(code.parent, "commit", "-qam", "second")
    (code.parent / "new.py").write_text("")
    assert commit_of() == (git(code.parent, "rev-parse", "HEAD"), True)
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook
    assert commit_of()[0] is not None


def test_installed_code_takes_no_commit_from_a_checkout_around_it(code: Path) -> None:
    (code.parents[1] / "notes").write_text("")
    git(code.parents[1], "add", "notes")
    git(code.parents[1], "commit", "-qm", "first")
    assert commit_of() == (None, None)


# A GPU, played by its tools.

SMI = "GPU-aa-11, 560.35, 1410\nGPU-bb-22, 560.35, 1980\n"


@pytest.mark.parametrize(
    ("answer", "uuid", "expected"),
    [
        (SMI, "bb-22", ("560.35", 1980.0)),
        (SMI, "cc-33", ("560.35", None)),
        (SMI, "", ("560.35", None)),
        ("GPU-aa-11, 560.35, 1410\n", "", ("560.35", 1410.0)),
        ("GPU-aa-11, 560.35, [N/A]\n", "aa-11", ("560.35", None)),
        ("No devices were found\n", "aa-11", (None, None)),
        (None, "aa-11", (None, None)),
    ],
)
def test_a_gpu_is_described(
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    uuid: str,
    expected: tuple[str | None, float | None],
) -> None:
    def output(*command: str) -> str:
        if command[0] == "git" or answer is None:
            raise OSError("not here")
        return answer

    found = SimpleNamespace(name="H200", total_memory=150_000_000_000, uuid=uuid)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: found)
    monkeypatch.setattr(machine, "_output", output)
    facts = provenance("cuda")
    assert facts["gpu"] == "H200"
    assert facts["gpu_memory_mb"] == 150_000
    assert (facts["gpu_driver"], facts["gpu_mhz"]) == expected
    assert {provenance("cpu")[name] for name in GPU_COLUMNS} == {None}
