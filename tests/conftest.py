"""Shared by tests: hypothesis without a clock, signals, a cache, and a store of results."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from rankbench.store.store import Store

# How long an example takes says nothing of it being right.
settings.register_profile("rankbench", deadline=None)
settings.load_profile("rankbench")

# A background job of a script ignores SIGINT, and so would every process a test stops by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
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
