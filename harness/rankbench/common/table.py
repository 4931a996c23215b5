"""Tables that fit the terminal without cutting or wrapping a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_LEAST = 12  # Least width of a text column in characters, so that words stay readable.
_WIDE = 100_000


class TerminalTable(Table):
    """A table that never cuts or wraps a number, however narrow the terminal.

    A column that is right-aligned or `no_wrap` keeps its full width; other columns are wrapped. If
    the table is still too wide, the columns in `drop` are left out one by one, and a note below
    names them. If that is not enough, each row becomes a short list of "column  value" lines. The
    title is printed as a separate line, so that a narrow table does not fold it.

    Args:
        headers: Titles of the columns, or Rich columns.
        title: Line above the table.
        drop: Titles of the columns that may be left out, in the order in which they are dropped.
        options: Further options of `rich.table.Table`.
    """

    def __init__(
        self,
        *headers: Column | str,
        title: str | None = None,
        drop: Sequence[str] = (),
        **options: Any,
    ) -> None:
        style: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
        super().__init__(*headers, **{**style, **options})
        self.heading, self.drop = title, tuple(drop)

    def add_numbers(self, *titles: str) -> None:
        """Add a right-aligned column for each title."""
        for title in titles:
            self.add_column(title, justify="right", no_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.heading is not None:
            yield Text(self.heading, style="italic")
        if not self.columns:
            return
        kept = list(self.columns)
        dropped: list[str] = []
        for title in (*self.drop, None):
            widths = self._widths(kept, console, options)
            if widths is not None:
                yield self._table(kept, widths)
                if dropped:
                    yield Text(f"not shown, too wide: {', '.join(dropped)}", style="dim")
                return
            if title is not None and any(_title(column) == title for column in kept):
                kept = [column for column in kept if _title(column) != title]
                dropped.append(title)
        yield from self._records(console, options)

    def _widths(
        self, columns: Sequence[Column], console: Console, options: ConsoleOptions
    ) -> list[int] | None:
        """Return the width of each column, or None if the columns do not fit."""
        _, right, _, left = self.padding
        room = options.max_width - (right + left) * len(columns)
        room += 0 if self.pad_edge else right + left
        room -= len(columns) + 1 if self.box is not None else 0
        ranges = [_range(column, console, options) for column in columns]
        widths = [least for least, _ in ranges]
        room -= sum(widths)
        if room < 0:
            return None
        while room > 0:
            narrow = [i for i, (_, most) in enumerate(ranges) if widths[i] < most]
            if not narrow:
                break
            for index in narrow[:room]:
                step = min(max(1, room // len(narrow)), ranges[index][1] - widths[index], room)
                widths[index] += step
                room -= step
        return widths

    def _table(self, columns: Sequence[Column], widths: Sequence[int]) -> Table:
        shown = Table(box=self.box, padding=self.padding, pad_edge=self.pad_edge)
        for column, width in zip(columns, widths, strict=True):
            shown.add_column(
                column.header,
                justify=column.justify,
                overflow="fold",
                no_wrap=column.no_wrap,
                style=column.style,
                width=width,
            )
        for row, cells in zip(self.rows, _cells(columns), strict=True):
            shown.add_row(*cells, style=row.style, end_section=row.end_section)
        return shown

    def _records(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render each row as a list of titles and values.

        Values are beside their titles if the widest number fits there, otherwise below them.
        """
        titles = [_title(column).replace("\n", ", ") for column in self.columns]
        title_width = 2 + max(map(len, titles))
        words = [
            Measurement.get(console, options, cell) for row in _cells(self.columns) for cell in row
        ]
        beside = (
            title_width + 2 + max((word.minimum for word in words), default=0) <= options.max_width
        )
        for first, *rest in _cells(self.columns):
            filled = [
                pair for pair in zip(titles[1:], rest, strict=True) if pair[1] not in ("", Text())
            ]
            name = (f"{titles[0]}: ", "dim") if filled and titles[0] else ""
            yield Text.assemble(name, first)
            for title, cell in filled:
                record = Table.grid(
                    Column(width=title_width + 2 if beside else 4, style="dim"),
                    Column(overflow="fold"),
                )
                record.add_row(f"  {title}" if beside else "", cell)
                if not beside:
                    yield Text(f"  {title}", style="dim")
                yield record


def _range(column: Column, console: Console, options: ConsoleOptions) -> tuple[int, int]:
    """Return the smallest and the largest useful width of a column."""
    wide = options.update(max_width=_WIDE)
    cells = [column.header, *column.cells]
    widest = max(Measurement.get(console, wide, cell).maximum for cell in cells)
    if column.no_wrap or column.justify == "right":
        return widest, widest
    return min(widest, max(column.min_width or 0, _LEAST)), widest


def _title(column: Column) -> str:
    return str(column.header)


def _cells(columns: Sequence[Column]) -> Iterator[tuple[Any, ...]]:
    """Iterate over the rows of cells."""
    return zip(*(list(column.cells) for column in columns), strict=True)
