"""Tables that commands print before and after a study runs."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Column

from rankbench.common.table import TerminalTable
from rankbench.common.text import count, duration, label, metric, plain, ratio
from rankbench.engine.queue import Grid, Row
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.store.schema import PRUNED
from rankbench.study.config import Study
from rankbench.study.feasibility import breaches
from rankbench.tasks.facts import layer_facts

# Addresses, hashes of points and runs, and numbers that are not part of a word.
_VARIES = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{16}\b|(?<![A-Za-z_])[-+]?\d+(\.\d+)?(e[-+]?\d+)?")


def plan_table(grid: Grid, seconds: Mapping[str, float], most: int) -> TerminalTable:
    """Return a table of the first `most` points, with their sizes and estimated time per run."""
    extra = varied(grid.params.values())
    drop = ("FLOP/row", "CR", "modes", *titles(extra))
    table = TerminalTable(_point(), "modes", *titles(extra), title="points", drop=drop)
    table.add_numbers("parameters", "CR", "FLOP/row", "time")
    for name, point in list(grid.points.items())[:most]:
        layer = point.layer
        table.add_row(
            label({**layer_facts(layer), **point.task.describe()}),
            f"{_modes(layer.in_modes)} -> {_modes(layer.out_modes)}",
            *(str(grid.params[name].get(key, "")) for key in extra),
            f"{layer.num_params:,}",
            ratio(layer.compression_ratio),
            count(layer_cost(layer, 1).flops),
            duration(seconds[name]),
        )
    return table


def best_table(study: Study, rows: Iterable[Row], most: int = 12) -> TerminalTable:
    """Return a table of the best points by the first objective: mean over seeds ± one sd.

    Points that break a constraint come last, with the constraint that they break.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row["status"] == "done":
            groups.setdefault(row["point_id"], []).append(row)
    objectives = study.search.objectives
    shown_anyway = ("num_params", "compression_ratio", "duration_s")
    columns = [name for name, _ in objectives if name not in shown_anyway]
    broken = {name: "; ".join(breaches(study, runs)) for name, runs in groups.items()}
    ranked = sorted(
        groups.values(),
        key=lambda runs: (bool(broken[runs[0]["point_id"]]), _rank(runs, *objectives[0])),
    )
    shown = f"best {most} of {len(ranked)} points" if len(ranked) > most else "points"
    infeasible = sum(map(bool, broken.values()))
    shown += f", {infeasible} of them infeasible" if infeasible else ""
    params = [json.loads(runs[0]["params"]) for runs in ranked]
    extra = varied(params)
    title = f"{study.name}: {shown}, by {objectives[0][0]} (mean ± sd over seeds)"
    table = TerminalTable(_point(), *titles(extra), title=title, drop=("time", "CR"))
    table.add_numbers("parameters", "CR", *columns, "time")
    if infeasible:
        table.add_column("breaks")
    for runs, chosen in list(zip(ranked, params, strict=True))[:most]:
        table.add_row(
            label(runs[0]),
            *(str(chosen.get(key, "")) for key in extra),
            f"{runs[0]['num_params']:,}",
            ratio(runs[0]["compression_ratio"]),
            *(_mean_sd([run.get(name) for run in runs]) for name in columns),
            duration(statistics.mean(run["duration_s"] for run in runs)),
            *([broken[runs[0]["point_id"]]] if infeasible else []),
            style="dim" if broken[runs[0]["point_id"]] else None,
        )
    return table


def _point() -> Column:
    return Column("point", no_wrap=True)


def varied(params: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the settings, sorted, that differ between points and are not in a point's label."""
    rows = list(params)
    names = {name for row in rows for name in row if ".layer." not in f".{name}"}
    told = {"task.learner", "branch"}
    return [name for name in sorted(names - told) if len({row.get(name) for row in rows}) > 1]


def titles(names: Sequence[str]) -> list[str]:
    """Convert names of settings to column titles."""
    return [name.rsplit(".", 1)[-1].replace("learning_rate", "lr") for name in names]


def failures(rows: Iterable[Row]) -> list[tuple[tuple[str, str], list[str]]]:
    """Group the ids of failed runs by (status, reason), the most frequent group first.

    The reason is the first line of the error, with its numbers and addresses replaced.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["status"] not in ("done", PRUNED):
            groups.setdefault((row["status"], reason(row["error"])), []).append(row["run_id"])
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def failure_table(rows: Iterable[Row]) -> TerminalTable | None:
    """Return a table of failed runs by status and reason; None if no run failed."""
    found = failures(rows)
    if not found:
        return None
    table = TerminalTable(title="failed runs by reason", drop=("for example",))
    table.add_numbers("runs")
    table.add_column("status", no_wrap=True)
    table.add_column("reason")
    table.add_column("for example", no_wrap=True)
    for (status, told), runs in found:
        table.add_row(str(len(runs)), status, plain(told), min(runs))
    return table


def reason(error: str | None) -> str:
    """Return the first line of an error, with every number, address and hash replaced by #."""
    lines = (error or "").strip().splitlines()
    return _VARIES.sub("#", lines[0]) if lines else "no reason given"


def earlier_note(stored: int, own: int) -> str | None:
    """Return a line if runs are stored that the study no longer includes, else None."""
    if stored <= own:
        return None
    return (
        f"{stored - own} more stored runs are of earlier settings of this study (points or seeds"
        " that are no longer in it); they are kept and not counted"
    )


def _rank(runs: Sequence[Row], column: str, direction: str) -> float:
    values = [run[column] for run in runs if run.get(column) is not None]
    if not values:
        return float("inf")
    mean = statistics.fmean(values)
    return mean if direction == "minimize" else -mean


def _mean_sd(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < 2 or len(set(known)) == 1:
        return metric(known[0]) if known else "-"
    return f"{metric(statistics.mean(known))} ± {statistics.stdev(known):.1g}"


def _modes(modes: Sequence[int]) -> str:
    return "x".join(str(mode) for mode in modes)
