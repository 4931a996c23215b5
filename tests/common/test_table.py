"""Tables in narrow and wide terminals: numbers stay whole, whatever else must go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankbench.common.table import TerminalTable
from rankbench.common.terminal import Screen

NUMBERS = ("123,456,789", "1234.5678", "12.5")


def shown(table: TerminalTable, width: int) -> str:
    console = Screen(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def example(*drop: str) -> TerminalTable:
    table = TerminalTable("point", "why", title="all points", drop=drop)
    table.add_numbers("parameters", "forward", "MB")
    table.add_row("a heading")
    table.add_row("block_term d=2", "a long sentence that says why it is so", *NUMBERS)
    return table


@given(width=st.integers(16, 160))
def test_numbers_are_whole_at_any_width(width: int) -> None:
    told = shown(example("MB", "forward"), width)
    assert "123,456,789" in told
    assert max(map(len, told.splitlines())) <= width
    assert all(number in told for number in NUMBERS) or "not shown, too wide: MB" in told


def test_columns_are_left_out_in_the_order_given_and_named() -> None:
    assert "not shown" not in shown(example("MB", "forward"), 80)
    assert "not shown, too wide: MB\n" in shown(example("MB", "forward"), 57)
    told = shown(example("MB", "forward"), 48)
    assert "not shown, too wide: MB, forward\n" in told
    assert "1234.5678" not in told


def test_rows_become_records_where_no_column_may_go() -> None:
    lines = [line.rstrip() for line in shown(example(), 40).splitlines()]
    assert lines[:3] == ["all points", "a heading", "point: block_term d=2"]
    assert "  parameters  123,456,789" in lines
    assert "  MB          12.5" in lines
    assert "not shown" not in "".join(lines)


def test_text_is_wrapped_before_anything_is_left_out() -> None:
    told = shown(example("MB"), 70)
    assert "a long sentence that says why it is so" not in told
    assert all(number in told for number in NUMBERS)


def test_a_title_is_not_folded_to_the_width_of_a_narrow_table() -> None:
    table = TerminalTable("a", title="a title that is much wider than the table")
    table.add_row("1")
    assert shown(table, 80).splitlines()[0] == "a title that is much wider than the table"


def test_a_pipe_gets_the_full_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = Screen()
    with console.capture() as capture:
        console.print("word " * 100)
    assert capture.get().count("\n") == 1
    monkeypatch.setenv("COLUMNS", "80")
    assert Screen().width == 80
