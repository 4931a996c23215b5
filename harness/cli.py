"""rankbench run | plan | status | query | figures."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.table import Table

from harness import __version__
from harness.config import Study, load_study
from harness.estimate import estimate
from harness.label import duration, metric
from harness.progress import StudyProgress
from harness.query import query
from harness.study import StudyRun
from harness.summary import best_table, plan_table, status_counts

DONE, FAILED, USAGE = 0, 1, 2
_MOST_POINTS = 60


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 done, 1 some runs failed, 2 usage."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except ValueError as error:
        print(f"rankbench: error: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"rankbench: error: {error}", file=sys.stderr)
        return FAILED


def run(arguments: argparse.Namespace) -> int:
    """Measure what a study has not measured yet."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop and tell
    console = Console()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study)
    missing = execution.missing()
    if missing is not None:
        raise ValueError(missing)
    _announce(console, study, execution)
    pending, total = execution.pending(), execution.planned()
    weights = estimate((point for point, _ in pending), execution.threads()) if pending else {}
    work = sum(weights[point.point_id] for point, _ in pending) if pending else float(total)
    with StudyProgress(console, study.name, total, weights, work) as progress:
        execution.run(progress)
    return _conclude(console, study, execution)


def plan(arguments: argparse.Namespace) -> int:
    """Show what `run` would measure, and for how long."""
    console = Console()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study)
    if execution.grid is None:
        console.print(
            f"{study.name}: {study.search.sampler} draws {study.search.trials} points "
            f"x {len(study.seeds)} seeds from {len(study.space.branches)} branches"
        )
        return DONE
    points = list(execution.grid.points.values())
    seconds = estimate(points, execution.threads())
    console.print(plan_table(points, seconds, _MOST_POINTS))
    if len(points) > _MOST_POINTS:
        console.print(f"... and {len(points) - _MOST_POINTS} more points")
    _announce(console, study, execution)
    left = sum(seconds[point.point_id] for point, _ in execution.pending()) / study.workers
    console.print(f"estimated time: {duration(left)} with {study.workers} worker(s), roughly")
    return DONE


def status(arguments: argparse.Namespace) -> int:
    """Show how far a study is."""
    console = Console()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study)
    console.print(f"{study.name}: {status_counts(execution.rows.values())} in {execution.folder}")
    for row in execution.rows.values():
        if row["status"] != "done":
            console.print(f"  {row['run_id']} {row['status']}: {row['error']}", markup=False)
    if execution.grid is not None:
        console.print(f"{len(execution.pending())} runs to measure")
    return DONE


def query_command(arguments: argparse.Namespace) -> int:
    """Answer SQL over every study's tables."""
    table = query(arguments.sql, root=arguments.results)
    if arguments.out is None:
        if arguments.format == "csv":
            pyarrow.csv.write_csv(_flat(table), sys.stdout.buffer)
        elif arguments.format == "parquet":
            raise ValueError("--format parquet needs --out FILE")
        else:
            Console().print(_screen(table))
        return DONE
    if arguments.format == "table":
        raise ValueError("--out needs --format csv or parquet")
    if arguments.format == "csv":
        pyarrow.csv.write_csv(_flat(table), arguments.out)
    else:
        pyarrow.parquet.write_table(table, arguments.out)
    print(f"{table.num_rows} rows in {arguments.out}")
    return DONE


def figures(arguments: argparse.Namespace) -> int:
    """Draw every figure a study's rows allow, as PNG and PDF."""
    # The analysis stands above the harness: it is looked up by name, only when asked for.
    drawing = importlib.import_module("analysis.figures")
    drawn = drawing.draw(arguments.study, root=arguments.results)
    folder = arguments.out or Path(arguments.results) / arguments.study / "figures"
    for path in drawing.save(drawn, Path(folder)):
        print(path)
    return DONE


def _announce(console: Console, study: Study, execution: StudyRun) -> None:
    grid, total = execution.grid, execution.planned()
    if grid is None:
        trials = f"{study.search.trials} {study.search.sampler} trials x {len(study.seeds)} seeds"
        console.print(f"{study.name}: {trials}, {total} runs to go")
    else:
        runs = len(grid.points) * len(study.seeds)
        console.print(
            f"{study.name}: {len(grid.points)} points x {len(study.seeds)} seeds = {runs} runs, "
            f"{runs - total} measured already, {total} to go"
        )
        if grid.duplicates:
            console.print(f"{grid.duplicates} settings are duplicates of a point above")
    for reason, number in execution.skipped.items():
        console.print(f"skipped {number}: {reason}", markup=False)


def _conclude(console: Console, study: Study, execution: StudyRun) -> int:
    rows = execution.own_rows()
    console.print(best_table(study, rows))
    console.print(f"measured now: {status_counts(execution.measured)}")
    console.print(f"results: {execution.folder}", soft_wrap=True)
    elsewhere = "" if study.results == "results" else f" --results {study.results}"
    console.print(f"figures: rankbench figures {study.name}{elsewhere}", soft_wrap=True)
    if execution.stop.is_set():
        console.print(f"stopped; `rankbench run {study.name}` goes on where it stopped")
        return FAILED
    return FAILED if any(row["status"] != "done" for row in rows) else DONE


def _flat(table: pa.Table) -> pa.Table:
    """CSV has no lists: they are written as text."""
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            text = pa.array([None if v is None else str(v) for v in table[index].to_pylist()])
            table = table.set_column(index, field.name, text)
    return table


def _screen(table: pa.Table) -> Table:
    shown = Table(*table.column_names)
    for row in table.to_pylist():
        shown.add_row(*(metric(v) if isinstance(v, float) else str(v) for v in row.values()))
    return shown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rankbench", description="Benchmarks and studies of tensor-compressed RNNs."
    )
    parser.add_argument("--version", action="version", version=f"rankbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function in (("run", run), ("plan", plan), ("status", status)):
        command = commands.add_parser(name, help=function.__doc__)
        command.add_argument("study", help="a name in studies/ or a path to a YAML file")
        command.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. task.noise=0.1")
        command.set_defaults(command=function)
    asked = commands.add_parser("query", help=query_command.__doc__)
    asked.add_argument("sql", help='e.g. "select decomposition, avg(rmse) from runs group by 1"')
    asked.add_argument("--format", choices=("table", "csv", "parquet"), default="table")
    asked.add_argument("--out", type=Path, help="file to write, for csv and parquet")
    asked.set_defaults(command=query_command)
    drawn = commands.add_parser("figures", help=figures.__doc__)
    drawn.add_argument("study")
    drawn.add_argument("--out", type=Path, help="folder (default: figures in the study's results)")
    drawn.set_defaults(command=figures)
    for command in (asked, drawn):
        command.add_argument("--results", default="results", help="results folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
