"""A study of machines that share no file: trials in PostgreSQL, results on an object store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rankbench.store.query import load
from tests.helpers.paths import ROOT
from tests.helpers.postgres import served
from tests.helpers.processes import start
from tests.helpers.s3 import CREDENTIALS, make_bucket, serving, url

POINTS = 24


def test_machines_that_share_no_folder_measure_each_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for server in served():
        with serving() as address:
            make_bucket(address)
            monkeypatch.setenv("RANKBENCH_STORAGE", server.database())
            meeting = tmp_path / "2"
            meeting.mkdir()
            monkeypatch.setenv("RANKBENCH_MEETING", str(meeting))
            machines = [tmp_path / name for name in ("one", "other")]
            workers = [work(folder, url(address)) for folder in machines]
            assert [worker.wait() for worker in workers] == [0, 0]
            runs = load("probing", root=url(address))
    assert len(runs) == runs["run_id"].nunique() == POINTS
    assert set(runs["status"]) == {"done"}
    one, other = ((folder / "log").read_text().split() for folder in machines)
    assert one
    assert other
    assert sorted(one + other) == sorted(runs["run_id"])
    assert not [path for folder in machines for path in folder.rglob("*.parquet")]


def work(folder: Path, results: str) -> subprocess.Popen[bytes]:
    """A machine: a process whose folder, home and cache no other has."""
    folder.mkdir()
    own = {"HOME": str(folder), "RANKBENCH_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.helpers.run_shared", str(folder), str(POINTS), results]
    return start(command, cwd=folder, env={**os.environ, **own, "OMP_NUM_THREADS": "1"})
