"""Tables of training cost: epochs to reach an accuracy, and seconds per epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rankbench.analysis.published import PUBLISHED_RESULTS
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.accuracy import by_model, classified
from rankbench.analysis.summaries.comparisons import published_data
from rankbench.analysis.summaries.convergence import PUBLISHED_LEVEL, convergence
from rankbench.analysis.summaries.costs import with_time
from rankbench.analysis.summaries.rows import records
from rankbench.analysis.tables.sheet import NOTHING, Sheet, or_nothing
from rankbench.common.text import ratio


def convergence_sheet(runs: pd.DataFrame, epochs: pd.DataFrame) -> Sheet:
    """Tabulate the epochs to reach 0.60, 0.70, 0.80 and 0.90 by model and condition.

    Args:
        runs: Rows of the `runs` table, all on the same data.
        epochs: Rows of the `epochs` table.

    Raises:
        ValueError: If no finished run classifies clips.
    """
    numbers = convergence(runs, epochs)
    groups = numbers.groupby(["model", "condition"], sort=False)
    shown = pd.DataFrame([_convergence_row(records(group)) for _, group in groups])
    notes = [
        "mean epoch of the runs that got there, 95% t interval; of how many, where not all",
        "LSTM / this: mean epochs of the fastest dense LSTM on the same condition over these",
    ]
    if published_data(records(classified(runs, "convergence"))[0]) == "ucf11":
        notes.append(f"published, to 0.60: {_published_epochs()}")
    return Sheet(title="Epochs to an accuracy", numbers=numbers, shown=shown, notes=tuple(notes))


def _convergence_row(group: list[dict[str, Any]]) -> dict[str, str]:
    first = group[0]
    row = {"model": first["model"], "condition": first["condition"]}
    row["epochs"] = or_nothing(first["epochs"], "{:.0f}")
    for cell in group:
        row[f"to {cell['level']:.2f}"] = _epochs(cell)
    times = first["times_lstm"]
    row["LSTM / this, to 0.60"] = or_nothing(times, "{:.1f}")
    return row


def _epochs(cell: dict[str, Any]) -> str:
    if not cell["reached"]:
        return NOTHING
    text = labels.value(cell["mean"]) if cell["runs"] > 1 else f"{cell['mean']:.0f}"
    if cell["reached"] > 1:
        text += f" ± {labels.value(cell['high'] - cell['mean'])}"
    of = f" ({cell['reached']} of {cell['runs']})"
    return text + (of if cell["reached"] < cell["runs"] else "")


def _published_epochs() -> str:
    metric = f"epochs_to_{PUBLISHED_LEVEL}"
    found = [r for r in PUBLISHED_RESULTS if r.metric == metric]
    words = [f"{r.model} {r.value:.0f}" for r in found]
    times = max(r.value for r in found) / min(r.value for r in found)
    return f"{', '.join(words)}, {times:.0f} times fewer ({found[0].source})"


def time_sheet(runs: pd.DataFrame, epochs: pd.DataFrame) -> Sheet:
    """Tabulate the seconds per epoch by model and condition, beside those of the dense model.

    Args:
        runs: Rows of the `runs` table, all on the same data.
        epochs: Rows of the `epochs` table.

    Raises:
        ValueError: If no finished run classifies clips.
    """
    kept = classified(runs, "time")
    numbers = with_time(by_model(kept), kept, epochs)
    shown = pd.DataFrame([_time_row(row) for row in records(numbers)])
    devices = ", ".join(sorted(set(kept["device"].dropna())))
    note = "median over runs, evaluation included; / dense: above 1 is slower than the dense map"
    return Sheet(
        title="Time of an epoch",
        numbers=numbers,
        shown=shown,
        notes=(note, *([f"measured on {devices}"] if devices else [])),
    )


def _time_row(row: dict[str, Any]) -> dict[str, str]:
    compressed = row["family"] != "dense"
    return {
        "model": row["model"],
        "condition": row["condition"],
        "parameters": or_nothing(row["num_params"], "{:.0f}"),
        "CR": ratio(row["compression_ratio"]) if compressed else NOTHING,
        "s an epoch": or_nothing(row["epoch_s"], labels.value),
        "/ dense": or_nothing(row["times_dense"], "{:.2f}"),
    }
