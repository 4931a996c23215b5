"""Tables of a benchmark for the terminal, and remarks on contenders that are not ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Column
from rich.text import Text

from rankbench.bench.contenders import CONTENDERS, OURS, SAME
from rankbench.bench.maps import TIME_STEPS
from rankbench.common.table import TerminalTable
from rankbench.common.text import metric

Row = dict[str, Any]
LEGEND = (
    "medians in ms of wall time; fwd, bwd: the input map alone; step: LSTM, head, loss, backward, "
    "Adam; / best: step divided by that of the fastest peer with the same map; "
    "x floor: step divided by the least time that the rates above allow"
)


def table(rows: Sequence[Row]) -> TerminalTable:
    """Build the table of one batch, dtype and number of threads; the fastest step comes first.

    Args:
        rows: Rows of `runs` of the benchmark.
    """
    first = rows[0]
    title = (
        f"batch {first['rows'] // TIME_STEPS} ({first['rows']} rows), {first['dtype']}, "
        f"{first['threads']} thread(s); {first['gemm_rate'] / 1e9:.3g} GFLOP/s, "
        f"{first['memory_rate'] / 1e9:.3g} GB/s"
    )
    shown = TerminalTable(
        Column("contender", no_wrap=True), title=title, drop=("MB", "fwd", "x floor", "fwd+bwd")
    )
    shown.add_numbers("params", "fwd", "fwd+bwd", "step", "/ best", "x floor", "MB")
    for name in dict.fromkeys(row["input_map"] for row in rows):
        group = [row for row in rows if row["input_map"] == name]
        _add_map(shown, group)
    return shown


def remarks(rows: Iterable[Row]) -> list[str]:
    """Write a line for each contender that computes a different map, and for each that failed."""
    others: dict[str, None] = {}
    failed = []
    for row in rows:
        who, where = CONTENDERS[row["contender"]].title, row["input_map"]
        if row["computes"] != SAME:
            others[f"* {where}: {who} computes a different map, {row['computes']}"] = None
        if row["status"] == "error":
            which = f"{where}, {row['rows']} rows, {row['dtype']}"
            failed.append(f"{which}: {who} is left out: {row['error']}")
    return [*others, *failed]


_FACTS = (
    *("input_map", "contender", "contender_version", "computes", "status", "error", "rows"),
    *("dtype", "threads", "num_params", "compression_ratio", "forward_ms", "backward_ms"),
    *("step_ms", "forward_floor_ms", "step_floor_ms", "step_peak_mb", "gemm_rate", "memory_rate"),
)


def facts(rows: Sequence[Row]) -> list[Row]:
    """The rows for JSON: the columns of the table, and the step over that of the best peer."""
    found = []
    for row in rows:
        group = [one for one in rows if _condition(one) == _condition(row)]
        best = best_peer(group)
        of_best = row["step_ms"] / best if best and _ranked(row) else None
        found.append({**{name: row.get(name) for name in _FACTS}, "step_of_best_peer": of_best})
    return found


def _condition(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("input_map", "rows", "dtype", "threads"))


def best_peer(group: Iterable[Row]) -> float | None:
    """Return the least step_ms of the peers that finished and compute the same map, or None."""
    peers = [row["step_ms"] for row in group if row["contender"] != OURS and _ranked(row)]
    return min(peers, default=None)


def _add_map(shown: TerminalTable, group: Sequence[Row]) -> None:
    best = best_peer(group)
    shown.add_row(Text(group[0]["input_map"], style="bold"))
    for row in sorted(group, key=_order):
        timed = "backward_ms" in row
        values = [
            f"{row['num_params']:,}" if row.get("num_params") else "-",
            metric(row.get("forward_ms")),
            metric(row["forward_ms"] + row["backward_ms"] if timed else None),
            metric(row.get("step_ms")),
            _times(row, best),
            _times(row, row.get("step_floor_ms")),
            metric(row.get("step_peak_mb")),
        ]
        title = CONTENDERS[row["contender"]].title
        other = "" if row["computes"] == SAME else " *"
        shown.add_row(f"  {title}{other}", *values)
    shown.add_section()


def _ranked(row: Row) -> bool:
    return bool(row["status"] == "done" and row["computes"] == SAME)


def _order(row: Row) -> tuple[bool, float]:
    return not _ranked(row), row.get("step_ms") or float("inf")


def _times(row: Row, base: float | None) -> str:
    return f"{row['step_ms'] / base:.2f}" if base and _ranked(row) else "-"
