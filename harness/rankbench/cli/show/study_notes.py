"""Lines on a study that several commands print: what there is to measure, its bounds, its skips."""

from __future__ import annotations

from collections.abc import Iterator

from rankbench.cli.show.summary import earlier_note
from rankbench.engine.runner import StudyRun


def announcement(execution: StudyRun) -> Iterator[str]:
    """What a study measures, what of it is done, and what is skipped and why."""
    study, grid, total = execution.study, execution.grid, execution.planned()
    if grid is None:
        trials = f"{study.search.trials} {study.search.sampler} trials x {len(study.seeds)} seeds"
        yield f"{study.name}: {trials}, {total} runs to go"
    else:
        runs = len(grid.points) * len(study.seeds)
        yield (
            f"{study.name}: {len(grid.points)} points x {len(study.seeds)} seeds = {runs} runs, "
            f"{runs - total} measured already, {total} to go"
        )
        if grid.duplicates:
            yield f"{grid.duplicates} settings are duplicates of a point above"
    yield from bounds(execution)
    for reason, number in execution.skipped.items():
        yield f"skipped {number}: {reason}"
    yield from earlier(execution)


def bounds(execution: StudyRun) -> Iterator[str]:
    """The limits and constraints of a study, a line each."""
    search = execution.study.search
    for name, found in (("limits", search.limits), ("constraints", search.constraints)):
        if found:
            yield f"{name}: {', '.join(map(str, found))}"


def earlier(execution: StudyRun) -> Iterator[str]:
    """A line on stored runs that the study as it is now does not count, if there are any."""
    note = earlier_note(len(execution.rows), len(execution.own_rows()))
    if note is not None:
        yield note
