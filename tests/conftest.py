"""Shared by tests: hypothesis without a clock, processes that end, a cache, a store of results."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rankbench.store.store import Store
from tests.helpers import processes

# How long an example takes says nothing of it being right.
settings.register_profile("rankbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rankbench")

# A background job of a script ignores SIGINT, and so would every process a test stops by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Inherited by every process that a test starts, so that none is overlooked in the end.
os.environ[processes.MARK] = processes.SESSION


@pytest.fixture(scope="session", autouse=True)
def no_process_outlives_the_session() -> Iterator[None]:
    yield
    left = processes.left_over()
    assert not left, "\n".join(["tests have left processes, which are killed now:", *left])


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    with processes.ending():
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(
    tmp_path_factory: pytest.TempPathFactory, no_process_outlives_the_session: None
) -> Iterator[None]:
    """This process's own cache: timing runs wait for no other's, and a person's is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", "demo")


@pytest.fixture
def write(store: Store) -> Callable[..., None]:
    """Write a run that is done, of the facts given, with `epochs` rows of its curve."""

    def write_run(run_id: str, *, epochs: int = 0, **facts: Any) -> None:
        curve = [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in range(1, epochs + 1)]
        run = {"run_id": run_id, "status": "done", **facts}
        store.write_run({"runs": [run], "epochs": curve})

    return write_run
