"""SQL reads the results and nothing else, and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rankbench.store.query import query
from rankbench.store.store import Store

Write = Callable[..., None]
ELSEWHERE = {
    "read_text": "select * from read_text('{secret}')",
    "read_blob": "select * from read_blob('{secret}')",
    "read_csv": "select * from read_csv('{secret}', header = false)",
    "sniff": "select * from sniff_csv('{secret}')",
    "parquet": "select * from read_parquet('{secret}')",
    "parquet_metadata": "select * from parquet_metadata('{secret}')",
    "as a table": "select * from '{secret}'",
    "glob": "select * from glob('{folder}/*')",
    "network": "select * from read_csv('http://127.0.0.1:9/x')",
    "explained": "explain analyze select * from read_text('{secret}')",
}
CHANGES = {
    "copy": "copy (select 1) to '{folder}/new.csv'",
    "copy runs": "copy runs to '{folder}/new.parquet' (format parquet)",
    "copy from": "copy runs from '{secret}'",
    "attach": "attach '{folder}/new.db'",
    "export": "export database '{folder}/new'",
    "import": "import database '{folder}'",
    "install": "install httpfs",
    "load": "load '{folder}/new.duckdb_extension'",
    "create": "create table new as select 1",
    "drop": "drop view runs",
    "insert": "insert into runs select * from runs",
    "delete": "delete from runs",
    "secret": "create secret new (type s3)",
    "access": "set enable_external_access = true",
    "unlock": "set lock_configuration = false",
    "reset": "reset timezone",
    "pragma": "pragma threads = 1",
    "call": "call pragma_version()",
    "second": "select 1; copy (select 1) to '{folder}/new.csv'",
    "explained": "explain analyze copy (select 1) to '{folder}/new.csv'",
    "prepared": "prepare new as select 1",
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text("xyzzy\n1\n")
    return path


@pytest.mark.parametrize("sql", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_no_file_is_read(store: Store, write: Write, secret: Path, sql: str) -> None:
    write("a")
    with pytest.raises(
        ValueError, match=r"\(tables: runs, epochs, samples, weights, beams, sentences\)$"
    ) as raised:
        query(sql.format(secret=secret, folder=secret.parent), store.folder.parent)
    assert "xyzzy" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_passwords_are_not_read(store: Store, write: Write) -> None:
    write("a")
    with pytest.raises(ValueError, match=r"^Permission Error: Cannot access file \"/etc/passwd\""):
        query("select content from read_text('/etc/passwd')", store.folder.parent)


@pytest.mark.parametrize("sql", CHANGES.values(), ids=CHANGES.keys())
def test_nothing_is_changed(store: Store, write: Write, secret: Path, sql: str) -> None:
    write("a")
    before = sorted(secret.parent.rglob("*"))
    with pytest.raises(
        ValueError, match=r"\(tables: runs, epochs, samples, weights, beams, sentences\)$"
    ) as raised:
        query(sql.format(secret=secret, folder=secret.parent), store.folder.parent)
    assert "\n" not in str(raised.value)
    assert sorted(secret.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "sql", ["from runs", "with r as (from runs) select * from r", "describe runs", "values (1)"]
)
def test_whatever_only_reads_the_results_is_answered(store: Store, write: Write, sql: str) -> None:
    write("a")
    assert query(sql, store.folder.parent).num_rows >= 1


def test_links_and_parents_in_the_results_do_not_lead_out(
    store: Store, write: Write, tmp_path: Path
) -> None:
    write("a")
    outside = Store(tmp_path / "elsewhere", "private")
    outside.write_run({"runs": [{"run_id": "b", "status": "done"}]})
    (path,) = (outside.folder / "runs").glob("*.parquet")
    relative = os.path.relpath(path, Path.cwd())
    for name in (path, relative):
        with pytest.raises(ValueError, match=r"^(Permission|Catalog) Error: "):
            query(f"select * from '{name}'", store.folder.parent)
