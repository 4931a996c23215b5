"""The commands of a study: run, plan, status."""

from __future__ import annotations

import argparse
import signal

from rich.console import Console

from harness.config import Study, load_study
from harness.dashboard import serve
from harness.estimate import estimate
from harness.exits import DONE, FAILED
from harness.label import duration
from harness.progress import StudyProgress
from harness.schema import PRUNED
from harness.screen import Screen
from harness.study import StudyRun
from harness.summary import best_table, plan_table, status_counts

_MOST_POINTS = 60


def run(arguments: argparse.Namespace) -> int:
    """Measure what a study has not measured yet."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop and tell
    console = Screen()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study)
    missing = execution.missing()
    if missing is not None:
        raise ValueError(missing)
    _announce(console, study, execution)
    pending, total = execution.pending(), execution.planned()
    points = [point for point, _ in pending]
    weights = estimate(points, execution.threads(), execution.together()) if pending else {}
    work = sum(weights[point.point_id] for point in points) if pending else float(total)
    with StudyProgress(console, study.name, total, weights, work) as progress:
        execution.run(progress)
    return _conclude(console, study, execution)


def plan(arguments: argparse.Namespace) -> int:
    """Show what `run` would measure, and for how long."""
    console = Screen()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study)
    if execution.grid is None:
        console.print(
            f"{study.name}: {study.search.sampler} draws {study.search.trials} points "
            f"x {len(study.seeds)} seeds from {len(study.space.branches)} branches"
        )
        return DONE
    points = list(execution.grid.points.values())
    seconds = estimate(points, execution.threads(), execution.together())
    console.print(plan_table(execution.grid, seconds, _MOST_POINTS))
    if len(points) > _MOST_POINTS:
        console.print(f"... and {len(points) - _MOST_POINTS} more points")
    _announce(console, study, execution)
    left = sum(seconds[point.point_id] for point, _ in execution.pending()) / study.workers
    console.print(f"estimated time: {duration(left)} with {study.workers} worker(s), roughly")
    return DONE


def status(arguments: argparse.Namespace) -> int:
    """Show how far a study is; with --dashboard, serve it."""
    console = Screen()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study)
    console.print(f"{study.name}: {status_counts(execution.rows.values())} in {execution.folder}")
    for row in execution.rows.values():
        if row["status"] != "done":
            console.print(f"  {row['run_id']} {row['status']}: {row['error']}", markup=False)
    if execution.grid is not None:
        console.print(f"{len(execution.pending())} runs to measure")
    if getattr(arguments, "dashboard", False):
        serve(execution, arguments.port, lambda line: print(line, flush=True))
    return DONE


def _announce(console: Console, study: Study, execution: StudyRun) -> None:
    grid, total = execution.grid, execution.planned()
    if study.description:
        console.print(study.description, style="dim", markup=False)
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
    return DONE if all(row["status"] in ("done", PRUNED) for row in rows) else FAILED
