"""The commands of a study: run, work, plan, status."""

from __future__ import annotations

import argparse
import importlib
import signal
from collections.abc import Sequence

from rich.console import Console

from rankbench.cli.dashboard import serve
from rankbench.cli.fronts import front_table
from rankbench.cli.progress import StudyProgress
from rankbench.cli.summary import (
    best_table,
    earlier_note,
    failure_table,
    plan_table,
    status_counts,
)
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen
from rankbench.common.text import duration
from rankbench.engine.queue import Row
from rankbench.engine.runner import StudyRun
from rankbench.store.schema import PRUNED
from rankbench.study.config import Study, load_study
from rankbench.study.estimate import estimate

_MOST_POINTS = 60
# Of a million rows `status` reads the columns that it shows: how far, why not, and the front.
_STATUS = ("run_id", "point_id", "seed", "status", "error", "params")
_LABEL = ("decomposition", "learner", "core_order", "rank", "tucker_rank", "cp_rank", "tt_rank")
_FRONT = (*_LABEL, "tr_rank", "compression_ratio")


def run(arguments: argparse.Namespace) -> int:
    """Measure what a study has not measured yet."""
    return _execute(arguments, again=True)


def work(arguments: argparse.Namespace) -> int:
    """Measure what waits in a storage that machines share, until nothing is left."""
    return _execute(arguments, again=False)


def _execute(arguments: argparse.Namespace, *, again: bool) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop and tell
    console = Screen()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study)
    if not again:
        execution.check_shared()
    missing = execution.missing()
    if missing is not None:
        raise ValueError(missing)
    _announce(console, study, execution)
    if again and study.engine != "local":
        _place(execution, arguments)
        return _conclude(console, study, execution)
    pending, total = execution.pending(), execution.planned()
    points = [point for point, _ in pending]
    weights = estimate(points, execution.threads(), execution.together()) if pending else {}
    work = sum(weights[point.point_id] for point in points) if pending else float(total)
    with StudyProgress(console, study.name, total, weights, work) as progress:
        if again:
            execution.run(progress)
        else:
            execution.join(progress, again=False)
    return _conclude(console, study, execution)


def _place(execution: StudyRun, arguments: argparse.Namespace) -> None:
    """Fill the storage here, and have workers elsewhere measure."""
    # Their packages are extras: they are imported only when asked for.
    engine = importlib.import_module(f"rankbench.engine.clusters.{execution.study.engine}")
    execution.join(None, again=True)
    try:
        engine.place(execution, arguments.study, arguments.overrides)
    finally:
        execution.catch_up()


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
        _say_bounds(console, study)
        _say_earlier(console, execution, execution.own_rows())
        return DONE
    points = list(execution.grid.points.values())
    seconds = estimate(points, execution.threads(), execution.together())
    console.print(plan_table(execution.grid, seconds, _MOST_POINTS))
    if len(points) > _MOST_POINTS:
        console.print(f"... and {len(points) - _MOST_POINTS} more points")
    _announce(console, study, execution)
    left = sum(seconds[point.point_id] for point, _ in execution.pending()) / execution.workers()
    console.print(f"estimated time: {duration(left)} with {execution.workers()} worker(s), roughly")
    return DONE


def status(arguments: argparse.Namespace) -> int:
    """Show how far a study is; with --dashboard, serve it."""
    console = Screen()
    study = load_study(arguments.study, arguments.overrides)
    execution = StudyRun(study, None if arguments.dashboard else _status_columns(study))
    counts = status_counts(execution.rows.values())
    console.print(f"{study.name}: {counts} in {execution.store.place}")
    own = execution.own_rows()
    failures = failure_table(execution.rows.values())
    if failures is not None:
        console.print(failures)
    if len(study.search.objectives) > 1:
        console.print(front_table(study, own))
    _say_earlier(console, execution, own)
    most = "" if execution.grid is not None else "at most "
    console.print(f"{most}{execution.planned()} runs to measure")
    if arguments.dashboard:
        serve(execution, arguments.port, lambda line: print(line, flush=True))
    return DONE


def _status_columns(study: Study) -> tuple[str, ...]:
    objectives = [column for column, _ in study.search.objectives]
    if len(objectives) < 2:
        return _STATUS
    bounds = [bound.column for bound in study.search.constraints]
    return tuple(dict.fromkeys((*_STATUS, *_FRONT, *objectives, *bounds)))


def _say_earlier(console: Console, execution: StudyRun, own: Sequence[Row]) -> None:
    note = earlier_note(len(execution.rows), len(own))
    if note is not None:
        console.print(note, markup=False)


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
    _say_bounds(console, study)
    for reason, number in execution.skipped.items():
        console.print(f"skipped {number}: {reason}", markup=False)
    _say_earlier(console, execution, execution.own_rows())


def _say_bounds(console: Console, study: Study) -> None:
    for name, bounds in (
        ("limits", study.search.limits),
        ("constraints", study.search.constraints),
    ):
        if bounds:
            console.print(f"{name}: {', '.join(map(str, bounds))}", markup=False)


def _conclude(console: Console, study: Study, execution: StudyRun) -> int:
    rows = execution.own_rows()
    console.print(best_table(study, rows))
    if len(study.search.objectives) > 1:
        console.print(front_table(study, rows))
    if execution.grid is None:
        for reason, number in execution.skipped.items():
            console.print(f"drawn and skipped {number}: {reason}", markup=False)
    console.print(f"measured now: {status_counts(execution.measured)}")
    console.print(f"results: {execution.store.place}", soft_wrap=True)
    elsewhere = "" if study.results == "results" else f" --results {study.results}"
    console.print(f"figures: rankbench figures {study.name}{elsewhere}", soft_wrap=True)
    if execution.stop.is_set():
        console.print(f"stopped; `rankbench run {study.name}` goes on where it stopped")
        return FAILED
    missing = len({point.run_id(seed) for point, seed in execution.pending()} - set(execution.rows))
    if missing:  # in a shared storage: whoever had them died, again and again
        console.print(f"{missing} runs have no row: see `rankbench status {study.name}`")
        return FAILED
    return DONE if all(row["status"] in ("done", PRUNED) for row in rows) else FAILED
