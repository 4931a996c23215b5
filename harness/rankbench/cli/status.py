"""`rankbench status`: show the progress of a study and its runs in progress."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from time import monotonic, sleep
from typing import TYPE_CHECKING

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import STUDY_DETAILS, add_json, add_study, read_study
from rankbench.cli.parsing.parser import CommandParser
from rankbench.cli.run import list_studies
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rankbench.engine.runner import StudyRun
    from rankbench.study.config import Study
    from rankbench.study.in_progress import RunInProgress

_WATCH_S = 5.0
# `status` reads only the columns that it shows, because a study may have a million rows.
_STATUS = ("run_id", "point_id", "seed", "status", "error", "params")
_LABEL = ("decomposition", "learner", "core_order", "rank", "tucker_rank", "cp_rank", "tt_rank")
_FRONT = (*_LABEL, "tr_rank", "compression_ratio")


def status(arguments: argparse.Namespace) -> int:
    """Show the progress of a study; with `--dashboard`, serve it with optuna-dashboard."""
    if arguments.study is None:
        return list_studies()
    from rankbench.cli.show.facts import status_facts
    from rankbench.cli.show.json import print_json
    from rankbench.engine.runner import StudyRun
    from rankbench.study.in_progress import runs_in_progress

    study = read_study(arguments)
    columns = None if arguments.dashboard else _columns(study)
    if arguments.watch:
        _watch(study, columns)
        return DONE
    execution = StudyRun(study, columns)
    if arguments.json:
        print_json(status_facts(execution))
        return DONE
    console = Screen()
    for part in _parts(execution, runs_in_progress(execution.folder)):
        console.print(part)
    if arguments.dashboard:
        from rankbench.cli.show.dashboard import serve

        serve(execution, arguments.port, lambda line: print(line, flush=True))
    return DONE


def _watch(study: Study, columns: Sequence[str] | None) -> None:
    """Refresh the status every few seconds, until all runs are measured or Ctrl-C."""
    from rich.console import Group
    from rich.live import Live

    from rankbench.engine.runner import StudyRun
    from rankbench.study.in_progress import runs_in_progress

    with contextlib.suppress(KeyboardInterrupt), Live(console=Screen(), auto_refresh=False) as live:
        while True:
            began = monotonic()
            execution = StudyRun(study, columns)
            running = runs_in_progress(execution.folder)
            live.update(Group(*_parts(execution, running)), refresh=True)
            if not running and not execution.planned():
                return
            sleep(max(_WATCH_S, 4 * (monotonic() - began)))


def _parts(execution: StudyRun, running: Sequence[RunInProgress]) -> list[RenderableType]:
    from rankbench.cli.show.fronts import front_table
    from rankbench.cli.show.running import running_table
    from rankbench.cli.show.study_notes import earlier
    from rankbench.cli.show.summary import failure_table
    from rankbench.common.text import status_counts

    study, rows = execution.study, list(execution.rows.values())
    parts: list[RenderableType] = [
        f"{study.name}: {status_counts(rows)} in {execution.store.place}"
    ]
    found = failure_table(rows)
    if found is not None:
        parts.append(found)
    if len(study.search.objectives) > 1:
        parts.append(front_table(study, execution.own_rows()))
    if running:
        parts.append(running_table(running))
    most = "" if execution.grid is not None else "at most "
    number = sum(len(run.seeds) for run in running)
    now = f", {number} of them in progress" if number else ""
    return [*parts, *earlier(execution), f"{most}{execution.planned()} runs to measure{now}"]


def _columns(study: Study) -> tuple[str, ...]:
    objectives = [column for column, _ in study.search.objectives]
    if len(objectives) < 2:
        return _STATUS
    bounds = [bound.column for bound in study.search.constraints]
    return tuple(dict.fromkeys((*_STATUS, *_FRONT, *objectives, *bounds)))


def _add_options(command: CommandParser) -> None:
    add_study(command)
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--watch", action="store_true", help="show it anew every few seconds, until it is done"
    )
    form.add_argument("--dashboard", action="store_true", help="serve the study to a browser")
    command.add_argument("--port", type=int, default=8080, help="port of the dashboard")
    add_json(form)


COMMAND = Command(
    name="status",
    help="Show how far a study is, and what is being measured now.",
    details=STUDY_DETAILS
    + """

Runs that are being measured now are listed with their worker,
epoch, last metric and time left.""",
    examples=(
        "rankbench status smoke",
        "rankbench status ucf11 task.frames=ucf11 --watch",
        "rankbench status smoke --json | jq .runs_to_measure",
        "rankbench status pareto --dashboard --port 8081",
    ),
    add_options=_add_options,
    execute=status,
)
