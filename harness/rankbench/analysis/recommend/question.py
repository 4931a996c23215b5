"""Turn the arguments of `rankbench recommend` into a question, and load the evidence for it."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from rankbench.analysis.metrics import TASK_METRICS
from rankbench.analysis.recommend.evidence import COLUMNS, MeasuredLayer, doublings, measured
from rankbench.analysis.recommend.shortlist import Question
from rankbench.cells.settings import CELLS
from rankbench.common.checks import number, one_of, positive_int
from rankbench.layers.enumerate import Sizes
from rankbench.store.query import query, studies
from rankbench.tasks import TASKS

BARE = "none"  # The value of --cell for a map without a cell.


def evidence(root: Path | str, task: str) -> list[MeasuredLayer]:
    """Load the layers that were measured on `task`.

    Args:
        root: the folder or address of the results.
        task: the registry name of a task.

    Returns:
        The measured layers; empty where there are no results or the task learns nothing.
    """
    if task not in TASK_METRICS or not studies(root):
        return []
    columns = ", ".join([*COLUMNS, TASK_METRICS[task][0]])
    runs = query(f"select {columns} from runs where task = '{task}'", root).to_pandas()
    return measured(runs, task)


def question_of(arguments: argparse.Namespace) -> tuple[Question, list[MeasuredLayer]]:
    """Build the question from the command line's arguments, and load the evidence for it.

    Without --task, the task is the one with a measured map nearest in size, or `profile` where
    there is none. Without --cell, it is an LSTM for a task that has cells, otherwise a bare map.

    Args:
        arguments: the parsed arguments of `rankbench recommend`.

    Returns:
        The question, and the layers that were measured on its task.

    Raises:
        ValueError: a value is out of its range, or the task does not have that cell.
    """
    _check(arguments)
    task = arguments.task or _nearest(arguments)
    cell = _cell(task, arguments.cell)
    gates = CELLS[cell] if cell is not None else 1
    sizes = Sizes(in_features=arguments.inputs, out_features=arguments.outputs, gates=gates)
    steps = arguments.time_steps or (1 if cell is None else 6)
    question = Question(
        sizes=sizes,
        max_params=arguments.max_params,
        max_step_ms=arguments.max_step_ms,
        task=task,
        cell=cell,
        rows=arguments.batch * steps,
        top=arguments.top,
    )
    return question, evidence(arguments.results, task)


def _check(arguments: argparse.Namespace) -> None:
    for name, value in {
        "--in": arguments.inputs,
        "--out": arguments.outputs,
        "--max-params": arguments.max_params,
        "--batch": arguments.batch,
        "--top": arguments.top,
    }.items():
        positive_int(name, value)
    if arguments.time_steps is not None:
        positive_int("--time-steps", arguments.time_steps)
    if arguments.max_step_ms is not None:
        number("--max-step-ms", arguments.max_step_ms, 0.0, math.inf, open_low=True)
    if arguments.task is not None:
        one_of("--task", arguments.task, TASKS)
    if arguments.cell is not None:
        one_of("--cell", arguments.cell, (*CELLS, BARE))


def _nearest(arguments: argparse.Namespace) -> str:
    """Return the task with a measured map that is the fewest doublings away in size."""
    if not studies(arguments.results):
        return "profile"
    maps = "select distinct task, in_features, out_features from runs where status = 'done'"
    found = []
    for row in query(maps, arguments.results).to_pylist():
        fits = row["task"] in TASK_METRICS and (
            arguments.cell is None or (arguments.cell != BARE) == TASKS[row["task"]].uses_cell
        )
        sizes = (row["in_features"], row["out_features"])
        if fits and None not in sizes:
            found.append((doublings((arguments.inputs, arguments.outputs), sizes), row["task"]))
    return min(found)[1] if found else "profile"


def _cell(task: str, asked: str | None) -> str | None:
    """Return the name of the cell, None for a bare map.

    The task `profile` allows both, and is a bare map unless a cell is given.
    """
    if asked is None:
        return "lstm" if task != "profile" and TASKS[task].uses_cell else None
    bare = asked == BARE
    if task != "profile" and bare == TASKS[task].uses_cell:
        valid = f"one of: {', '.join(CELLS)}" if bare else BARE
        raise ValueError(f"--cell must be {valid} for task {task}, got {asked!r}")
    return None if bare else asked
