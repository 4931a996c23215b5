"""Files of every released schema keep loading, column by column, whatever was added since."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankbench.store import schema
from rankbench.store.query import load, query
from rankbench.store.schema import RENAMED, SCHEMA_VERSION, TABLES, Column
from rankbench.store.store import DamagedFileWarning, Store
from tests.helpers.paths import ROOT

GOLDEN = ROOT / "tests" / "golden"
NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
RUNS = ("a", "b", "c")  # a and b in a compact file, c in a fragment
FIXED = {"study": "golden", "status": "done"}


def expected(name: str, kind: pa.DataType, number: int) -> Any:
    """What the golden run `number` has in a column: a value made of the number and the type."""
    values: dict[Any, Any] = {
        pa.string(): FIXED.get(name, f"{name} {number}"),
        pa.int64(): number,
        pa.float64(): number + 0.5,
        pa.bool_(): number % 2 == 0,
    }
    if pa.types.is_list(kind):
        whole = kind.value_type == pa.int64()
        return [number, number + 1] if whole else [number + 0.25, -number]
    return RUNS[number - 1] if name == "run_id" else values.get(kind, NOON)


@pytest.fixture(params=sorted(path.name for path in GOLDEN.glob("schema-*")))
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the results that a released version wrote."""
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "results"))


@pytest.fixture
def later_schema(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Gives a table one more column until the test is over."""

    def add(table: str) -> None:
        new = Column("added_later", pa.float64(), "ms", "a column of a later release")
        monkeypatch.setitem(schema.TABLES, table, (*TABLES[table], new))
        schema.arrow_schema.cache_clear()

    yield add
    monkeypatch.undo()
    schema.arrow_schema.cache_clear()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("added", [False, True])
def test_every_value_of_an_old_file_is_read(
    root: Path, table: str, added: bool, later_schema: Callable[[str], None]
) -> None:
    if added:
        later_schema(table)
    if not (root / "golden" / table).exists():  # a table of a later version
        assert Store(root, "golden").read(table).num_rows == 0
        assert query(f"select * from {table}", root).num_rows == 0
        return
    written = pq.read_schema(root / "golden" / table / "c.parquet")
    for store in (Store(root, "golden"), compacted(root)):
        rows = store.read(table).to_pylist()
        assert [row["run_id"] for row in rows] == list(RUNS)
        for number, row in enumerate(rows, start=1):
            for field in written:
                name = RENAMED.get(field.name, field.name)
                assert row[name] == expected(field.name, field.type, number), name
            assert row.get("added_later") is None
    assert len(load("golden", table, root)) == 3
    assert query(f"select * from {table}", root).num_rows == 3


def compacted(root: Path) -> Store:
    store = Store(root, "golden")
    store.compact()
    return store


def test_there_is_a_golden_folder_of_this_version() -> None:
    assert (GOLDEN / f"schema-{SCHEMA_VERSION}").is_dir()


@pytest.mark.parametrize("compact", [False, True])
def test_what_is_known_of_a_newer_file_is_read(store: Store, compact: bool) -> None:
    newer = pa.table({"run_id": ["a"], "status": ["done"], "of_tomorrow": [1]})
    newer = newer.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION + 1)})
    folder = store.folder / "runs"
    folder.mkdir(parents=True)
    pq.write_table(newer, folder / ("compact-1.parquet" if compact else "a.parquet"))
    [row] = store.read("runs", ["run_id", "status"]).to_pylist()
    assert row == {"run_id": "a", "status": "done"}


def test_a_newer_file_that_cannot_be_read_is_one_line_that_says_so(store: Store) -> None:
    newer = pa.table({"run_id": ["a"], "seed": ["a seed of another kind"]})
    newer = newer.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION + 1)})
    folder = store.folder / "runs"
    folder.mkdir(parents=True)
    pq.write_table(newer, folder / "a.parquet")
    line = f"a.parquet is skipped: its schema version is {SCHEMA_VERSION + 1}, this Rankbench "
    with pytest.warns(DamagedFileWarning, match=line + f"reads versions up to {SCHEMA_VERSION}: "):
        assert store.read("runs").num_rows == 0
