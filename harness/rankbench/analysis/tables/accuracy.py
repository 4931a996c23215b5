"""Compare accuracies by model and split with the published ones (BT Table 2, TR Tables 1 to 3)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rankbench.analysis.published import PROTOCOLS, PUBLISHED_RESULTS
from rankbench.analysis.summaries.accuracy import TOP, by_model
from rankbench.analysis.summaries.comparisons import published_data, published_layer
from rankbench.analysis.summaries.models import condition_order, in_common
from rankbench.analysis.summaries.rows import records
from rankbench.analysis.tables.sheet import NOTHING, Sheet, or_nothing
from rankbench.common.text import ratio

SELECTED, SELECTED_NAME = "selected_accuracy", "at the best validation epoch"
COUNTS = "clips, runs, epochs"


def accuracy_sheet(runs: pd.DataFrame) -> Sheet:
    """Tabulate top accuracies by model and condition, beside the published ones.

    Published models that no run repeats get a row as well.

    Args:
        runs: Rows of the `runs` table, all on the same data.

    Returns:
        A sheet whose `numbers` are the rows of `summaries.accuracy.by_model`.

    Raises:
        ValueError: If no finished run classifies clips.
    """
    numbers = by_model(runs)
    if SELECTED in runs.columns and runs[SELECTED].notna().any():
        numbers = _with_selected(numbers, runs)
    task = published_data(records(runs)[0])
    protocol = PROTOCOLS.get(task)
    numbers = pd.concat([numbers, _unmeasured(task, set(numbers["published_model"]))])
    places = condition_order(numbers["condition"].dropna())
    groups = numbers.groupby("model", sort=False)
    shown = pd.DataFrame([_accuracy_row(records(group), places) for _, group in groups])
    title = f"{protocol.title}: {protocol.source}" if protocol else "Accuracy"
    return Sheet(
        title=title,
        numbers=numbers.reset_index(drop=True),
        shown=shown,
        notes=(*_accuracy_notes(numbers), *_data_notes(numbers, places, in_common(runs), task)),
    )


def _with_selected(numbers: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of `by_model` for the test accuracy at the best validation epoch."""
    columns = ["mean", "low", "high", "clips_low", "clips_high"]
    found = by_model(runs, SELECTED)[["model", "condition", *columns]]
    names = {column: f"selected_{column}" for column in columns}
    return numbers.merge(found.rename(columns=names), how="left", on=["model", "condition"])


def _unmeasured(task: str, measured: set[str]) -> pd.DataFrame:
    """Return a row for each published model of `task` that no run repeats."""
    rows: dict[str, dict[str, str]] = {}
    for result in PUBLISHED_RESULTS:
        if (result.task, result.metric) != (task, TOP) or result.model in measured:
            continue
        cell = rows.setdefault(result.model, {"model": result.model, "published": ""})
        cell["published_model"] = result.model
        text = f"{result.value:.3f} {result.source}"
        cell["published"] = "; ".join(filter(None, (cell["published"], text)))
    return pd.DataFrame(list(rows.values()))


def _accuracy_row(group: list[dict[str, Any]], places: list[str]) -> dict[str, str]:
    first = group[0]
    layer = published_layer(str(first["published_model"]))
    parameters = or_nothing(first["num_params"], "{:.0f}")
    size = or_nothing(first["compression_ratio"], ratio)
    compressed = first["decomposition"] != "dense" and size != NOTHING
    row = {
        "model": first["model"],
        "size, published": layer.printed if layer else NOTHING,
        "parameters; CR": f"{parameters}; {size}" if compressed else parameters,
        **_by_paper(str(first["published_model"]), str(first["published"])),
    }
    by_place = {cell["condition"]: cell for cell in group}
    for place in places:
        cell = by_place.get(place)
        row[f"{place}; {COUNTS}"] = f"{between(cell)}; {_counts(cell)}" if cell else NOTHING
        if "selected_mean" in first:
            row[f"{place}, {SELECTED_NAME}"] = between(cell, "selected_") if cell else NOTHING
    return row


def _by_paper(model: str, published: str) -> dict[str, str]:
    """Group a model's published accuracies by the paper that measured or first quoted them."""
    found: dict[str, list[str]] = {"BT": [], "TR": []}
    for part in filter(None, published.split("; ")):
        value, _, source = part.partition(" ")
        found["TR" if source.startswith("TR") else "BT"].append(value)
    papers = ("TR",) if model.startswith("CNN") else ("BT", "TR")
    return {f"{paper}, published": ", ".join(found[paper]) or NOTHING for paper in papers}


def between(cell: dict[str, Any], prefix: str = "") -> str:
    """Format a mean with its interval: '0.794 [0.746–0.834]'.

    The interval is the t interval over runs. A single run has none, so it gets the Wilson interval
    over its test clips.

    Args:
        cell: A row of `by_model`.
        prefix: Prefix of the columns to read, such as "selected_".
    """
    mean, low, high = (cell[f"{prefix}{end}"] for end in ("mean", "low", "high"))
    if pd.isna(mean):
        return NOTHING
    if pd.isna(low):
        low, high = cell[f"{prefix}clips_low"], cell[f"{prefix}clips_high"]
    if pd.isna(low):
        return f"{mean:.3f}"
    return f"{mean:.3f} [{max(0, low):.3f}–{min(1, high):.3f}]"


def _counts(cell: dict[str, Any]) -> str:
    clips = f"{cell['test_size']:.0f}" if cell["test_size"] else "?"
    return f"{clips}, {cell['runs']:.0f}, {or_nothing(cell['epochs'], '{:.0f}')}"


def _accuracy_notes(numbers: pd.DataFrame) -> list[str]:
    note = "highest test accuracy of any epoch, as the papers report it"
    if numbers["runs"].max() == 1:
        note += "; one run, 95% Wilson interval over the test clips"
    else:
        note += "; mean over runs, 95% t interval (of a single run: Wilson, over its test clips)"
    if numbers["folds"].max() > 1:
        note += "; runs are seeds times folds, clips those of all folds"
    return [note]


def _data_notes(numbers: pd.DataFrame, places: list[str], common: str, task: str) -> list[str]:
    """Describe the data that all runs share, and where they differ from the published protocol."""
    found = [f"all: {common}"] if common else []
    for place in places:
        notes = numbers.loc[numbers["condition"] == place, "note"].unique()
        found += [f"{place}, not as published: {note}" for note in notes if note]
    protocol = PROTOCOLS.get(task)
    if protocol:
        epochs = f" after {protocol.epochs} epochs" if protocol.epochs else ""
        found.append(f"published{epochs}; the papers do not say how clips were split")
    return found
