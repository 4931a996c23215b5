"""`rankbench query`: each column under its own heading, on the screen and in files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankbench.cli.main import main
from rankbench.cli.query import screen_table
from rankbench.common.terminal import Screen
from rankbench.store.export import export_table

TWICE = "select 1 as a, 2 as a, [3, 4] as b, [5] as b"
JOINED = """
    select r.run_id, r.rmse, e.rmse, e.run_id
    from runs r join runs e on r.seed = e.seed and r.run_id < e.run_id order by 1
"""


@pytest.fixture(autouse=True)
def results(tmp_path: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Four runs of two seeds, in the folder `results` of the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for place, run_id in enumerate("abcd"):
        write(run_id, seed=place % 2, rmse=place + 0.5)


def cells(text: str) -> list[list[str]]:
    """The cells of a table on the screen, its headings first."""
    rows = [line for line in text.splitlines() if line.strip() and "─" not in line]
    return [re.split(r"\s{2,}", row.strip()) for row in rows]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["query", *arguments]) == 0
    return capsys.readouterr().out


def test_the_screen_shows_columns_of_one_name_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert cells(answer(capsys, TWICE)) == [["a", "a", "b", "b"], ["1", "2", "[3, 4]", "[5]"]]
    assert cells(answer(capsys, JOINED)) == [
        ["run_id", "rmse", "rmse", "run_id"],
        ["a", "0.5", "2.5", "c"],
        ["b", "1.5", "3.5", "d"],
    ]


def test_the_screen_shows_the_headings_of_an_answer_without_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sql = "select rmse, rmse from runs where seed = 9"
    assert cells(answer(capsys, sql)) == [["rmse", "rmse"]]


def test_csv_holds_columns_of_one_name_apart(capsys: pytest.CaptureFixture[str]) -> None:
    printed = answer(capsys, TWICE, "--format", "csv")
    answer(capsys, TWICE, "--format", "csv", "--out", "twice.csv")
    for text in (printed, Path("twice.csv").read_text()):
        rows = list(csv.reader(io.StringIO(text)))
        assert rows == [["a", "a", "b", "b"], ["1", "2", "[3, 4]", "[5]"]]


def test_parquet_refuses_columns_of_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", JOINED, "--format", "parquet", "--out", "twice.parquet"]) == 2
    message = (
        "parquet needs a different name for every column, got more than one run_id and more than"
        " one rmse: rename them (`select r.rmse as other_rmse`)\n"
    )
    assert capsys.readouterr().err.endswith(message)
    assert not Path("twice.parquet").exists()
    sql = "select r.rmse, r.rmse as other from runs r order by 1"
    answer(capsys, sql, "--format", "parquet", "--out", "apart.parquet")
    apart = pq.read_table("apart.parquet").to_pydict()
    assert apart == {"rmse": [0.5, 1.5, 2.5, 3.5], "other": [0.5, 1.5, 2.5, 3.5]}


def test_export_treats_a_column_named_twice_alike() -> None:
    columns = ["run_id", "rmse", "rmse"]
    assert export_table(["demo"], Path("twice.csv"), columns=columns) == 4
    rows = list(csv.reader(Path("twice.csv").read_text().splitlines()))
    assert rows[:2] == [["run_id", "rmse", "rmse"], ["a", "0.5", "0.5"]]
    with pytest.raises(ValueError, match=r"^parquet needs .*, got more than one rmse: "):
        export_table(["demo"], Path("twice.parquet"), columns=columns)


def test_what_a_format_cannot_hold_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sql = "select interval 1 day as lasted"
    assert "1" in cells(answer(capsys, sql))[1][0]
    for kind in ("csv", "parquet"):
        assert main(["query", sql, "--format", kind, "--out", f"lasted.{kind}"]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert f"{kind} cannot hold the column 'lasted' (month_day_nano_interval): cast it" in told
        assert not Path(f"lasted.{kind}").exists()


def test_a_frame_reads_the_csv_of_a_query(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(io.StringIO(answer(capsys, JOINED, "--format", "csv")))
    assert frame.iloc[:, 1].tolist() == [0.5, 1.5]
    assert frame.iloc[:, 2].tolist() == [2.5, 3.5]


def shown(table: pa.Table, width: int) -> str:
    console = Screen(width=width)
    with console.capture() as capture:
        console.print(screen_table(table))
    return capture.get()


def test_columns_of_one_name_keep_their_values() -> None:
    columns = [pa.array([1, 2]), pa.array([3.5, None]), pa.array(["x", None])]
    told = shown(pa.Table.from_arrays(columns, names=["a", "a", "a"]), 80)
    rows = [line.split() for line in told.splitlines() if line.strip()]
    assert rows[0] == ["a", "a", "a"]
    assert rows[2:] == [["1", "3.5", "x"], ["2", "-", "-"]]


def test_a_wide_answer_becomes_records_and_is_whole_in_a_pipe() -> None:
    columns = {f"column_{i}": [123456789 + i] for i in range(12)}
    told = shown(pa.table(columns), 80)
    assert all(str(123456789 + i) in told for i in range(12))
    assert "column_0: 123456789" in told
    assert len(shown(pa.table(columns), 10_000).splitlines()) == 5
