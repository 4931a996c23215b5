"""Print a recommendation as a table, CSV or JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from rankbench.analysis.metrics import TASK_METRICS
from rankbench.analysis.recommend.evidence import MeasuredLayer
from rankbench.analysis.recommend.shortlist import (
    GRADES,
    LEVEL,
    OPEN,
    UNMEASURED,
    Answer,
    Entry,
    label,
)
from rankbench.common.table import TerminalTable
from rankbench.common.text import count, metric, ratio

FORMATS = ("table", "csv", "json")
_STYLES = {LEVEL: "green", OPEN: "yellow", UNMEASURED: "dim"}


def write(found: Answer, form: str, console: Console) -> None:
    """Print the shortlist.

    Args:
        found: the answer to print.
        form: one of FORMATS: a table with its notes, or one row per layer as CSV or JSON.
        console: where the table is printed; CSV and JSON go to standard output.
    """
    if form == "csv":
        table(found).to_csv(sys.stdout, index=False)
    elif form == "json":
        print(json.dumps(layers(found), indent=1))
    else:
        for line in heading(found):
            console.print(Text(line))
        console.print(_screen(found))
        for line in notes(found):
            console.print(Text(line))


def layers(found: Answer) -> list[dict[str, Any]]:
    """Return the shortlist as values that JSON can hold, one dict per layer."""
    # JSON has no NaN or infinity; pandas writes them as null.
    rows: list[dict[str, Any]] = json.loads(table(found).to_json(orient="records"))
    return rows


def facts(found: Answer, study: str) -> dict[str, Any]:
    """Return the whole answer as values that JSON can hold.

    Args:
        found: the answer.
        study: the study file from `study_of`, which is included as text.

    Returns:
        The question, the numbers of candidates, the shortlist as `layers`, and `study`.
    """
    question = found.question
    return {
        "question": {
            "in_features": question.sizes.in_features,
            "out_features": question.sizes.out_features,
            "gates": question.sizes.gates,
            "cell": question.cell,
            "task": question.task,
            "max_params": question.max_params,
            "max_step_ms": question.max_step_ms,
            "rows": question.rows,
        },
        "candidates": found.candidates,
        "measured": found.measured,
        "worse": found.worse,
        "layers": layers(found),
        "study": study,
    }


def table(found: Answer) -> pd.DataFrame:
    """Return the shortlist as a frame, one row per layer: its settings, its costs, its evidence."""
    return pd.DataFrame([_row(place, one) for place, one in enumerate(found.entries, 1)])


def _row(place: int, entry: Entry) -> dict[str, Any]:
    layer = entry.layer
    piece = entry.evidence[0] if entry.evidence else None
    return {
        "place": place,
        "decomposition": layer.name,
        "in_modes": list(layer.in_modes),
        "out_modes": list(layer.out_modes),
        "ranks": list(layer.ranks),
        "num_params": layer.num_params,
        "compression_ratio": layer.compression_ratio,
        "flops_per_row": entry.flops_per_row,
        "predicted_step_ms": entry.step_ms,
        "evidence": GRADES[entry.grade],
        "steps": entry.steps if piece else None,
        "study": piece.study if piece else None,
        "condition": piece.shown if piece else None,
        "metric": TASK_METRICS[piece.task][0] if piece else None,
        "mean": piece.value.mean if piece else None,
        "low": piece.value.low if piece else None,
        "high": piece.value.high if piece else None,
        "runs": piece.value.count if piece else 0,
        "seeds": piece.seeds if piece else 0,
        "conditions_level": entry.good,
        "conditions_compared": entry.told,
    }


def heading(found: Answer) -> list[str]:
    """Return the lines above the table: the question, and how many layers there were."""
    question, sizes = found.question, found.question.sizes
    cell = "a bare map"
    if question.cell is not None:
        cell = f"{sizes.gates} gates x {sizes.hidden} hidden units of one {question.cell}"
    limit = f", {question.max_step_ms:g} ms" if question.max_step_ms else ""
    return [
        f"{sizes.in_features} -> {sizes.out_features} ({cell}), at most {question.max_params:,}"
        f" parameters{limit}, task {question.task}",
        f"{found.candidates} layers looked at; of {found.measured} there is evidence,"
        f" {found.worse} of these are told to be worse and not listed",
    ]


def notes(found: Answer) -> list[str]:
    """Return the lines below the table, which explain how to read it."""
    grades = [entry.grade for entry in found.entries]
    lines = []
    if grades.count(LEVEL) > 1:
        lines.append(
            f"The first {grades.count(LEVEL)} are in the order of their cost: the mean of each"
            " lies in the 95% interval of the best that was measured."
        )
    if OPEN in grades:
        lines.append("Cannot tell: one run, nothing beside it, or an interval too wide.")
    if UNMEASURED in grades:
        lines.append("What is not measured may be better or worse: the study below would tell.")
    lines.append(
        f"ms: predicted forward and backward pass of the map over {found.question.rows} rows,"
        " one thread of a typical CPU; FLOPs by the same plan."
    )
    return lines


def _screen(found: Answer) -> TerminalTable:
    shown = TerminalTable(drop=("FLOPs/row",))
    shown.add_numbers("")
    shown.add_column("layer", min_width=22)
    shown.add_numbers("parameters", "ratio", "FLOPs/row", "ms")
    shown.add_column("evidence", no_wrap=True)
    shown.add_column("measured", min_width=30)
    for place, one in enumerate(found.entries, 1):
        layer = one.layer
        costs = [f"{layer.num_params:,}", ratio(layer.compression_ratio)]
        costs += [count(one.flops_per_row), f"{one.step_ms:.3g}"]
        title = Text(f"{label(one)}\n{_modes(layer.in_modes)} -> {_modes(layer.out_modes)}")
        verdict = Text(GRADES[one.grade], style=_STYLES[one.grade])
        shown.add_row(str(place), title, *costs, verdict, Text(told(one)))
    return shown


def told(entry: Entry) -> str:
    """Return the evidence of a layer in words: the study, its result and the layers beside it."""
    if not entry.evidence:
        return "-"
    piece = entry.evidence[0]
    words = [f"{piece.study} ({piece.shown}): {value(piece)}"]
    if entry.told:
        words.append(
            f"level with the best in {entry.good} of {entry.told} conditions"
            f" (of {entry.rivals} layers here)"
        )
    if entry.steps > 0:
        near = Entry(layer=piece.layer, grade=entry.grade)
        words.insert(0, f"near: {label(near)}, {piece.layer.num_params:,} parameters")
    return "; ".join(words)


def value(piece: MeasuredLayer) -> str:
    """Return the mean of a measurement as text; a single run has no interval.

    For example "top_accuracy 0.795 [0.782, 0.808], 3 runs".
    """
    name, one = TASK_METRICS[piece.task][0], piece.value
    if one.count == 1:
        return f"{name} {metric(one.mean)}, 1 run"
    return f"{name} {metric(one.mean)} [{one.low:.3g}, {one.high:.3g}], {one.count} runs"


def _modes(modes: tuple[int, ...]) -> str:
    return "x".join(map(str, modes))
