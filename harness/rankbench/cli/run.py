"""`rankbench run`: measure the runs that a study has not measured yet."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import STUDY_DETAILS, add_study, read_study
from rankbench.common.exit_codes import DONE, FAILED, USAGE
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    from rankbench.engine.runner import StudyRun


def run(arguments: argparse.Namespace) -> int:
    """Measure all runs of a study that have no finished row; list the studies if none is given."""
    if arguments.study is None:
        return list_studies()
    return measure(arguments, fill=True)


def list_studies() -> int:
    """Print all studies with their costs, for a command without a study."""
    from rankbench.cli.show.studies import studies_table

    console = Screen()
    console.print(studies_table())
    console.print("run one: rankbench run STUDY; see `rankbench run --help`")
    return USAGE


def measure(arguments: argparse.Namespace, *, fill: bool) -> int:
    """Measure a study with workers of this process or of a cluster.

    Args:
        arguments: Parsed command line.
        fill: Whether to add the runs of the study to the queue first.

    Returns:
        The exit code.
    """
    from rankbench.cli.show.study_notes import announcement
    from rankbench.cli.show.study_progress import StudyProgress
    from rankbench.engine.runner import StudyRun
    from rankbench.study.estimate import estimate

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Like Ctrl-C: stop, then report.
    console, execution = Screen(), StudyRun(read_study(arguments))
    if not fill:
        execution.check_shared()
    missing = execution.missing()
    if missing is not None:
        raise ValueError(missing)
    if execution.study.description:
        console.print(execution.study.description, style="dim", markup=False)
    for line in announcement(execution):
        console.print(line)
    if fill and execution.study.engine != "local":
        _place(execution, arguments)
        return _conclude(console, execution)
    points, total = [point for point, _ in execution.pending()], execution.planned()
    weights = estimate(points, execution.threads(), execution.together()) if points else {}
    work = sum(weights[point.point_id] for point in points) if points else float(total)
    name, folder = execution.study.name, execution.folder
    with StudyProgress(console, name, folder, total, weights, work) as progress:
        if fill:
            execution.run(progress)
        else:
            execution.join(progress, again=False)
    return _conclude(console, execution)


def _place(execution: StudyRun, arguments: argparse.Namespace) -> None:
    """Add the runs to the shared storage, then have workers on a cluster measure them."""
    from rankbench.engine.clusters import ray, slurm

    cluster = {"ray": ray, "slurm": slurm}[execution.study.engine]
    execution.join(None, again=True)
    results = [f"--results={arguments.results}"] if arguments.results is not None else []
    try:
        cluster.place(execution, arguments.study, [*arguments.overrides, *results])
    finally:
        execution.catch_up()


def _conclude(console: Screen, execution: StudyRun) -> int:
    from rankbench.cli.show.fronts import front_table
    from rankbench.cli.show.summary import best_table
    from rankbench.common.text import status_counts
    from rankbench.store.schema import PRUNED

    study, rows = execution.study, execution.own_rows()
    console.print(best_table(study, rows))
    if len(study.search.objectives) > 1:
        console.print(front_table(study, rows))
    if execution.grid is None:
        for reason, number in execution.skipped.items():
            console.print(f"drawn and skipped {number}: {reason}")
    elsewhere = "" if study.results == "results" else f" --results {study.results}"
    console.print(f"measured now: {status_counts(execution.measured)}")
    console.print(f"results: {execution.store.place}", soft_wrap=True)
    console.print(f"figures: rankbench figures {study.name}{elsewhere}", soft_wrap=True)
    if execution.stop.is_set():
        console.print(f"stopped; `rankbench run {study.name}` goes on where it stopped")
        return FAILED
    missing = len({point.run_id(seed) for point, seed in execution.pending()} - set(execution.rows))
    if missing:  # In a shared storage, their workers have died repeatedly.
        console.print(f"{missing} runs have no row: see `rankbench status {study.name}`")
        return FAILED
    return DONE if all(row["status"] in ("done", PRUNED) for row in rows) else FAILED


COMMAND = Command(
    name="run",
    help="Measure the runs of a study that are still missing.",
    details=STUDY_DETAILS
    + """

Stop it with Ctrl-C and start it again at any time: finished runs are kept, and
a training continues from its last checkpoint. Without a terminal, a line a
minute says how far each run is.""",
    examples=(
        "rankbench run smoke",
        "rankbench run smoke task.noise=0.1 seeds=5 --results noisy",
        "rankbench run ucf11 task.frames=ucf11 workers=2 > run.log",
    ),
    add_options=add_study,
    execute=run,
)
