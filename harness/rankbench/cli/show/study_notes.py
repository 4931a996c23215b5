"""Lines about a study that several commands print: runs to measure, bounds, skipped points."""

from __future__ import annotations

from collections.abc import Iterator

from rankbench.cli.show.summary import earlier_note
from rankbench.engine.runner import StudyRun


def announcement(execution: StudyRun) -> Iterator[str]:
    """Yield lines on what a study measures, what is done, and what is skipped and why."""
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
    """Yield one line each for the limits and the constraints of a study."""
    search = execution.study.search
    for name, found in (("limits", search.limits), ("constraints", search.constraints)):
        if found:
            yield f"{name}: {', '.join(map(str, found))}"


def earlier(execution: StudyRun) -> Iterator[str]:
    """Yield a line if runs are stored that the study no longer includes."""
    note = earlier_note(len(execution.rows), len(execution.own_rows()))
    if note is not None:
        yield note
