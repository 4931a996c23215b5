"""`rankbench plan`: show what `run` would measure and how long it would take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import STUDY_DETAILS, add_json, add_study, read_study
from rankbench.cli.parsing.parser import CommandParser
from rankbench.cli.run import list_studies
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen
from rankbench.common.text import duration

if TYPE_CHECKING:
    from rankbench.engine.runner import StudyRun

_MOST_POINTS = 60


def plan(arguments: argparse.Namespace) -> int:
    """Show the runs that `run` would measure, and the estimated time."""
    if arguments.study is None:
        return list_studies()
    from rankbench.cli.show.json import print_json
    from rankbench.engine.runner import StudyRun
    from rankbench.study.estimate import estimate

    execution = StudyRun(read_study(arguments))
    seconds: Mapping[str, float] = {}
    if execution.grid is not None:
        points = list(execution.grid.points.values())
        seconds = estimate(points, execution.threads(), execution.together())
    if arguments.json:
        print_json(_facts(execution, seconds))
    else:
        _show(Screen(), execution, seconds)
    return DONE


def _show(console: Screen, execution: StudyRun, seconds: Mapping[str, float]) -> None:
    from rankbench.cli.show.study_notes import announcement, bounds, earlier
    from rankbench.cli.show.summary import plan_table

    study, grid = execution.study, execution.grid
    if grid is None:
        console.print(
            f"{study.name}: {study.search.sampler} draws {study.search.trials} points "
            f"x {len(study.seeds)} seeds from {len(study.space.branches)} branches"
        )
        for line in (*bounds(execution), *earlier(execution)):
            console.print(line)
        return
    console.print(plan_table(grid, seconds, _MOST_POINTS))
    if len(grid.points) > _MOST_POINTS:
        console.print(f"... and {len(grid.points) - _MOST_POINTS} more points")
    if study.description:
        console.print(study.description, style="dim", markup=False)
    for line in announcement(execution):
        console.print(line)
    left = _seconds_left(execution, seconds)
    console.print(f"estimated time: {duration(left)} with {execution.workers()} worker(s), roughly")


def _seconds_left(execution: StudyRun, seconds: Mapping[str, float]) -> float:
    return sum(seconds[point.point_id] for point, _ in execution.pending()) / execution.workers()


def _facts(execution: StudyRun, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return the plan in the form that docs/reference/json.md describes."""
    from rankbench.cli.show.facts import plan_points, study_facts

    study, grid = execution.study, execution.grid
    return {
        **study_facts(execution),
        "sampler": study.search.sampler,
        "trials": study.search.trials if grid is None else None,
        "seeds": list(study.seeds),
        "points": plan_points(grid, seconds) if grid is not None else None,
        "duplicates": grid.duplicates if grid is not None else None,
        "skipped": dict(execution.skipped),
        "limits": [str(bound) for bound in study.search.limits],
        "constraints": [str(bound) for bound in study.search.constraints],
        "workers": execution.workers(),
        "estimated_s": _seconds_left(execution, seconds) if grid is not None else None,
    }


def _add_options(command: CommandParser) -> None:
    add_study(command)
    add_json(command)


COMMAND = Command(
    name="plan",
    help="Show which runs a study would measure, and how long they take.",
    details=STUDY_DETAILS,
    examples=(
        "rankbench plan ucf11",
        "rankbench plan smoke 'space.branches.cp.layer.cp_rank=[1,2,4,8]'",
        "rankbench plan smoke --json | jq .estimated_s",
    ),
    add_options=_add_options,
    execute=plan,
)
