"""Results as frames and through SQL."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rankbench
from rankbench.store.query import load, query, studies
from rankbench.store.schema import TABLES
from rankbench.store.store import DamagedFileWarning, Store
from tests.helpers.paths import ROOT
from tests.helpers.processes import run

Write = Callable[..., None]
NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def root(store: Store) -> Path:
    return store.folder.parent


def test_a_frame_has_proper_types(store: Store, root: Path) -> None:
    run = {
        "run_id": "a",
        "status": "done",
        "seed": 2**60 + 1,
        "rmse": math.inf,
        "in_modes": [4, 8],
        "git_dirty": False,
        "started_at": NOON,
    }
    store.write_run({"runs": [run]})
    store.write_run({"runs": [{"run_id": "b", "status": "error"}]})
    frame = load("demo", root=root)
    assert list(frame.columns) == [column.name for column in TABLES["runs"]]
    assert frame["run_id"].dtype == frame["gpu"].dtype == pd.StringDtype()
    assert frame["seed"].dtype == frame["tr_rank"].dtype == pd.Int64Dtype()
    assert frame["rmse"].dtype == frame["noise"].dtype == np.dtype("float64")
    assert frame["git_dirty"].dtype == pd.BooleanDtype()
    assert frame["started_at"].dtype == pd.DatetimeTZDtype("us", "UTC")
    first, second = frame.iloc[0], frame.iloc[1]
    assert first["seed"] == 2**60 + 1  # not through a float
    assert math.isinf(first["rmse"])
    assert first["in_modes"] == (4, 8)
    assert first["started_at"] == pd.Timestamp(NOON)
    assert second["seed"] is pd.NA
    assert math.isnan(second["rmse"])
    assert second["in_modes"] is None
    assert frame.groupby("in_modes").size().to_dict() == {(4, 8): 1}


def test_a_frame_of_some_columns(store: Store, root: Path) -> None:
    store.write_run({"runs": [{"run_id": "a", "status": "done", "rmse": 0.5}]})
    frame = load("demo", root=root, columns=["rmse", "run_id"])
    assert frame.to_dict("list") == {"rmse": [0.5], "run_id": ["a"]}
    with pytest.raises(ValueError, match="column of the table runs must be one of"):
        load("demo", root=root, columns=["rsme"])


def test_a_matrix_comes_back_in_its_shape(store: Store, root: Path) -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    weights = [{"name": "target", "shape": matrix.shape, "values": matrix.ravel()}]
    store.write_run({"runs": [{"run_id": "a", "status": "done"}], "weights": weights})
    [row] = load("demo", table="weights", root=root).to_dict("records")
    np.testing.assert_array_equal(row["values"].reshape(row["shape"]), matrix)


def test_a_table_without_rows_is_an_empty_frame_of_its_types(write: Write, root: Path) -> None:
    write("a")
    frame = load("demo", table="samples", root=root)
    assert frame.empty
    assert list(frame.columns) == [column.name for column in TABLES["samples"]]
    assert frame["sample"].dtype == pd.Int64Dtype()
    assert frame["ms"].dtype == np.dtype("float64")


def test_a_study_without_results_is_answered_with_those_that_have_some(
    write: Write, root: Path
) -> None:
    with pytest.raises(
        ValueError, match=r"^study 'demo' has no results: there are none in .*results$"
    ):
        load("demo", root=root)
    write("a")
    Store(root, "empty").folder.mkdir()
    Store(root, "ucf11").write_run({"runs": [{"run_id": "a", "status": "done"}]})
    assert studies(root) == ["demo", "ucf11"]
    message = r"^study must be one of: demo, ucf11; got 'ucf1' \(did you mean 'ucf11'\?\)$"
    with pytest.raises(ValueError, match=message):
        load("ucf1", root=root)
    with pytest.raises(ValueError, match=r"^table must be one of: runs, .*; got 'epoch'"):
        load("demo", table="epoch", root=root)


def test_load_is_what_the_package_offers(write: Write, root: Path) -> None:
    assert rankbench.load is load
    write("a")
    assert list(rankbench.load("demo", root=str(root))["run_id"]) == ["a"]
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = rankbench.lode


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, harness; "
        "print(sorted({'torch', 'pandas', 'pyarrow', 'duckdb'} & sys.modules.keys()))"
    )
    assert run([sys.executable, "-c", code], cwd=ROOT) == "[]\n"


# SQL.


def test_a_query_sees_every_study_and_the_rows_that_count(write: Write, root: Path) -> None:
    write("a", decomposition="cp", rmse=9.0)
    other = Store(root, "other")
    other.write_run(
        {"runs": [{"run_id": "b", "status": "done", "decomposition": "cp", "rmse": 2.0}]}
    )
    other.compact()
    write("c", decomposition="tucker", rmse=4.0)
    write("a", decomposition="cp", rmse=1.0)
    answer = query("SELECT decomposition, avg(rmse) AS rmse FROM Runs GROUP BY 1 ORDER BY 1", root)
    assert answer.to_pylist() == [
        {"decomposition": "cp", "rmse": 1.5},
        {"decomposition": "tucker", "rmse": 4.0},
    ]
    assert query(
        "select study, count(*) as runs from runs group by 1 order by 1", root
    ).to_pylist() == [
        {"study": "demo", "runs": 2},
        {"study": "other", "runs": 1},
    ]


def test_a_query_joins_tables_and_reads_lists(write: Write, root: Path) -> None:
    write("a", epochs=3, in_modes=[4, 8])
    write("b", epochs=1, in_modes=[2])
    sql = (
        "select run_id, in_modes[1] as first, count(*) as epochs "
        "from runs join epochs using (run_id) group by all order by 1"
    )
    assert query(sql, root).to_pylist() == [
        {"run_id": "a", "first": 4, "epochs": 3},
        {"run_id": "b", "first": 2, "epochs": 1},
    ]


def test_times_are_utc_wherever_the_query_runs(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    store.write_run({"runs": [{"run_id": "a", "status": "done", "started_at": NOON}]})
    [row] = query("select started_at, hour(started_at) as hour from runs", root).to_pylist()
    assert row == {"started_at": NOON, "hour": 12}
    assert str(row["started_at"].tzinfo) == "UTC"


def test_every_table_is_there_even_without_rows(write: Write, root: Path) -> None:
    write("a")
    for table in TABLES:
        columns = query(f"select * from {table} limit 0", root).column_names
        assert columns == [column.name for column in TABLES[table]]


TABLES_LINE = r"\(tables: runs, epochs, samples, weights, beams, sentences\)"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec 1", rf"^Parser Error: syntax error at or near \"selec\" {TABLES_LINE}$"),
        (
            "select * from run",
            rf"^Catalog Error: Table with name run does not exist! {TABLES_LINE}$",
        ),
        ("select lr from runs", rf"^Binder Error: .* \"lr\" not found .*! {TABLES_LINE}$"),
        ("select cast(run_id as int) from runs", rf"^Conversion Error: .* {TABLES_LINE}$"),
        ("", rf"^a query must be a select, got '' {TABLES_LINE}$"),
        ("-- nothing", rf"^a query must be a select, got '-- nothing' {TABLES_LINE}$"),
    ],
)
def test_bad_sql_is_one_line(write: Write, root: Path, sql: str, message: str) -> None:
    write("a")
    with pytest.raises(ValueError, match=message) as raised:
        query(sql, root)
    assert "\n" not in str(raised.value)


def test_variables_of_the_program_are_no_tables(write: Write, root: Path) -> None:
    write("a")
    # DuckDB would look at the variables of `query` itself, and find this one to be a list.
    with pytest.raises(ValueError, match=r"^Catalog Error: Table with name found does not exist!"):
        query("select * from found", root)


def test_a_query_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^there are no results in .*nowhere$"):
        query("select * from runs", tmp_path / "nowhere")


def test_a_damaged_file_is_reported_by_frames_and_queries(
    store: Store, write: Write, root: Path
) -> None:
    write("a")
    write("b")
    (store.folder / "runs" / "b.parquet").write_bytes(b"")
    with pytest.warns(DamagedFileWarning, match="b.parquet is skipped"):
        assert list(load("demo", root=root)["run_id"]) == ["a"]
    with pytest.warns(DamagedFileWarning, match="b.parquet is skipped"):
        assert query("select run_id from runs", root).to_pylist() == [{"run_id": "a"}]
