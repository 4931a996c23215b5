"""Print tables on a terminal and write them to files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from rankbench.analysis.tables.catalog import sheets
from rankbench.analysis.tables.sheet import Sheet
from rankbench.common.checks import one_of
from rankbench.common.table import TerminalTable
from rankbench.store.query import load

# Columns of at most this many characters, such as a number and its interval, do not wrap.
_WHOLE = 24
SUFFIXES = (".md", ".csv")


def tables_of(
    study: str, only: str | None = None, root: Path | str = "results"
) -> dict[str, Sheet]:
    """Load a study and return its tables.

    Args:
        study: The name of the study.
        only: The name of the single table to return; None returns all.
        root: The results folder or URL.

    Returns:
        Sheets by name.

    Raises:
        ValueError: If the study has no results or allows no table, or if `only` is unknown.
    """
    found = sheets({table: load(study, table, root) for table in ("runs", "epochs", "samples")})
    if only is None:
        return found
    one_of("--only", only, found)
    return {only: found[only]}


def show(found: dict[str, Sheet], console: Console) -> None:
    """Print every table with its title and notes."""
    for sheet in found.values():
        console.print(_screen(sheet))
        for note in sheet.notes:
            console.print(Text(note, style="dim"))


def _screen(sheet: Sheet) -> TerminalTable:
    table = TerminalTable(title=sheet.title)
    for name in sheet.shown.columns:
        lines = [line for cell in sheet.shown[name] for line in _stacked(str(cell)).splitlines()]
        whole = max(map(len, lines), default=0) <= _WHOLE
        table.add_column(name.replace("; ", "\n").replace(", ", "\n"), no_wrap=whole)
    for row in sheet.shown.itertuples(index=False):
        table.add_row(*(Text(_stacked(str(cell))) for cell in row))
    return table


def _stacked(cell: str) -> str:
    """Put the parts of a cell on lines of their own, because a terminal is narrower than a file."""
    return cell.replace("; ", "\n").replace(" [", "\n[")


def write(found: dict[str, Sheet], path: Path) -> None:
    """Write tables to a file.

    Args:
        found: Sheets by name.
        path: The file. A .md file takes any number of formatted tables, a .csv file the numbers of
            one.

    Raises:
        ValueError: If the suffix is another one, or if several tables should go into one .csv.
    """
    one_of("--out", path.suffix, SUFFIXES)
    if path.suffix == ".csv" and len(found) > 1:
        raise ValueError(f"--out {path.name} takes one table: add --only {'|'.join(found)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        next(iter(found.values())).numbers.to_csv(path, index=False)
    else:
        path.write_text("\n".join(markdown(sheet) for sheet in found.values()))


def markdown(sheet: Sheet) -> str:
    """Format a table as Markdown, with its title in bold above and its notes below."""
    lines = [f"**{sheet.title}**", "", _line(list(sheet.shown.columns))]
    lines.append("|" + "---|" * len(sheet.shown.columns))
    lines += [_line(list(row)) for row in sheet.shown.itertuples(index=False)]
    return "\n".join([*lines, "", *(f"- {note}" for note in sheet.notes), ""])


def _line(cells: list[object]) -> str:
    texts = (str(cell).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"
