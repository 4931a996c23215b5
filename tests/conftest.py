"""Shared by the tests of results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.store import Store


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
