"""The fault harness: its audit sees what is wrong, and every fault ends with nothing wrong."""

from __future__ import annotations

import dataclasses
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankbench.engine.queue import JOURNAL
from rankbench.store.store import Store
from tests.faults.audit import Audit, audit
from tests.faults.place import MARK, NAME, Place
from tests.faults.report import judge
from tests.faults.scenarios import SCENARIOS, SHARED
from tests.helpers.postgres import Server, served
from tests.helpers.processes import ending, start

WAITING = [sys.executable, "-c", "import time; time.sleep(3600)"]
NOTHING = {"lost": 0, "double": 0, "wrong": 0, "left": 0, "open": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(folder=tmp_path_factory.mktemp("faults"), points=6, rng=random.Random(0))
    with ending():
        made.finish()
    return made


def found(place: Place) -> dict[str, int]:
    return dataclasses.asdict(audit(place))


def test_a_study_nothing_happened_to_is_clean(place: Place) -> None:
    assert found(place) == {"runs": 6, **NOTHING}
    assert audit(place).clean


def test_the_audit_sees_lost_wrong_and_open_runs(place: Place) -> None:
    store, journal = Store(place.runs.parents[1], NAME), place.runs.parent / JOURNAL
    lost, changed = sorted(place.runs.glob("*.parquet"))[:2]
    row = next(row for row in store.read("runs").to_pylist() if row["run_id"] == changed.stem)
    kept = {path: path.read_bytes() for path in (lost, changed, journal)}
    lost.unlink()
    store.write_run({"runs": [{**row, "rmse": 9.0}]})  # and its epochs are gone
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert found(place) == {"runs": 6, **NOTHING, "lost": 2, "wrong": 1, "open": 1}
    for path, content in kept.items():
        path.write_bytes(content)


def test_the_audit_sees_and_kills_what_is_left(place: Place) -> None:
    left = start(WAITING, env={**os.environ, MARK: str(place.folder)})
    assert audit(dataclasses.replace(place, grace_s=0.0)).left == 1
    assert left.wait() == -9
    assert audit(place).left == 0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield from served()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_fault_ends_clean(scenario: str) -> None:
    if scenario == "full disk" and os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    verdict = judge(scenario, points=60, count=6, seed=0)
    assert verdict.faults >= (scenario != "crowd")
    assert verdict.audit == Audit(runs=60, **NOTHING)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SHARED)
def test_every_fault_of_a_shared_study_ends_clean(scenario: str, server: Server) -> None:
    verdict = judge(scenario, points=60, count=3, seed=0, server=server)
    assert verdict.audit == Audit(runs=60, **NOTHING)


def test_folders_are_told_apart(tmp_path: Path, place: Place) -> None:
    """Another place's processes are not this one's."""
    start(WAITING, env={**os.environ, MARK: str(tmp_path)})
    assert place.left() == []
