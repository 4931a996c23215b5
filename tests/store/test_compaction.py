"""Files are merged while a study runs: whoever reads, writes or is killed meanwhile."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import pytest

from rankbench.store import store as store_module
from rankbench.store.reader import Listing
from rankbench.store.store import Store
from tests.helpers.processes import spawn


def write(store: Store, run_id: str, epochs: int = 1, **facts: Any) -> None:
    curve = [{"epoch": epoch} for epoch in range(1, epochs + 1)]
    store.write_run({"runs": [{"run_id": run_id, "status": "done", **facts}], "epochs": curve})


def run_ids(store: Store, table: str = "runs") -> list[str]:
    return [str(row["run_id"]) for row in store.read(table, ["run_id"]).to_pylist()]


def compacts(store: Store, table: str = "runs") -> list[str]:
    return [path.stem for path in Listing.of(store.folder / table).compacts]


def test_fragments_beyond_the_limit_are_merged_by_whoever_writes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "COMPACT_BEYOND", 5)
    for number in range(5):
        write(store, f"{number}")
    assert compacts(store) == []
    write(store, "5")
    assert compacts(store) == ["compact-1"]
    assert len(Listing.of(store.folder / "runs").fragments) == 0
    assert run_ids(store) == run_ids(store, "epochs") == list("012345")


def test_large_files_are_not_merged_again_and_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "COMPACT_BEYOND", 3)
    merged = 0
    for number in range(64):
        before = compacts(store)
        write(store, f"{number:02d}", status="error" if number % 2 else "done")
        write(store, f"{number // 2:02d}", epochs=2)  # a run of a large file is repeated
        merged += compacts(store) != before
    assert merged > 10
    assert 1 < len(compacts(store)) < 8
    expected = [f"{number:02d}" for number in range(64)]
    assert run_ids(store) == expected
    epochs = [run for run in expected for _ in range(2 if int(run) < 32 else 1)]
    for _ in range(2):
        assert run_ids(store, "epochs") == epochs
        store.compact()
        assert compacts(store)[1:] == []


@pytest.mark.parametrize("repeats", [0, 1])
def test_rows_hidden_in_a_large_file_stay_hidden(
    store: Store, monkeypatch: pytest.MonkeyPatch, repeats: int
) -> None:
    for number in range(40):
        write(store, f"{number:02d}")
    store.compact()
    monkeypatch.setattr(store_module, "COMPACT_BEYOND", 3)
    for number in range(8):
        write(store, f"{number:02d}", epochs=0)
        for _ in range(repeats):
            write(store, f"{number + 50:02d}")
    later = [f"{number + 50:02d}" for number in range(8 * repeats)]
    for _ in range(2):
        assert run_ids(store, "epochs") == [f"{number:02d}" for number in range(8, 40)] + later
        store.compact()


def test_a_failed_compaction_is_not_tried_at_every_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "COMPACT_BEYOND", 3)
    folder = store.folder / "runs"
    folder.mkdir(parents=True)
    for number in range(6):
        (folder / f"damaged{number}.parquet").write_bytes(b"")
    with pytest.warns(match="is skipped"):
        write(store, "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for run_id in "bcd":
            write(store, run_id)
    assert len(compacts(store)) == 1


def write_many(root: str, worker: int, count: int) -> None:
    store_module.COMPACT_BEYOND = 4
    store = Store(root, "demo")
    for number in range(count):
        write(store, f"{worker}-{number:03d}", status="error", epochs=3)
        write(store, f"{worker}-{number:03d}", epochs=2)


def compact_for_ever(root: str) -> None:
    while True:
        store = Store(root, "demo")
        store.tables.compact(beyond=2)
        store.compact()


def test_kills_of_compactors_lose_nothing_and_readers_see_each_run_once(tmp_path: Path) -> None:
    root, count, draw, seen = str(tmp_path), 20, random.Random(1), set[str]()
    store = Store(root, "demo")
    writers = [spawn(write_many, root, number, count) for number in (1, 2)]
    compactor = spawn(compact_for_ever, root)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while any(writer.is_alive() for writer in writers):
            now = run_ids(store)
            assert len(now) == len(set(now))
            assert seen <= set(now)
            seen = set(now)
            if len(now) > 3 and draw.random() < 0.1:
                compactor.kill()
                compactor.join()
                compactor = spawn(compact_for_ever, root)
    assert [writer.exitcode for writer in writers] == [0, 0]
    compactor.kill()
    compactor.join()
    expected = [f"{worker}-{number:03d}" for worker in (1, 2) for number in range(count)]
    for _ in range(2):
        assert run_ids(store) == expected
        assert run_ids(store, "epochs") == [run for run in expected for _ in range(2)]
        store.compact()
