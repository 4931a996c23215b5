"""Group runs by model and by condition, so that only comparable accuracies are compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from rankbench.analysis.names import NAMES
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import Row, entries, integer, records, text, varying
from rankbench.training.settings import Training

TASKS = ("action", "features")
# The columns that a test accuracy depends on. The first is always part of a condition's name.
CONDITION: dict[str, str] = {
    "split": "{}",
    "dataset": "{}",
    "time_steps": "{} frames",
    "sampling": "{}",
    "ordered": "{}",
    "in_features": "{} features",
}
SPLITS = ("clip", "group", "supergroup", "official")
WORDS = {
    "sampling": {"even": "evenly spread", "random": "drawn at random"},
    "ordered": {"True": "in order of time", "False": "in no known order"},
}
# Rows that were stored before a setting existed were trained with its default.
_TRAINING = dataclasses.asdict(Training())
# Columns of the data or the machine, which must not distinguish the labels of models.
_NOT_OF_A_MODEL = ("split", "target", "noise", "samples", "rows", "plan")


def modelled(runs: pd.DataFrame) -> pd.DataFrame:
    """Add the columns `model` and `condition` to the rows.

    A model is a layer in a cell with its training settings; its label is the same on all data. A
    condition is the split and whatever else of CONDITION varies. Models are not distinguished by
    seed or fold, and by number of epochs only if a condition has several.

    Args:
        runs: Rows of the `runs` table.
    """
    named = runs.assign(condition=conditions(runs))
    settings = [_settings(row) for row in records(runs)]
    epochs = [one["training"].pop("epochs", None) for one in settings]
    keys = _as_keys(settings, named)
    groups = pd.Series(epochs, index=runs.index).groupby([keys, named["condition"]])
    if groups.nunique().max() > 1:
        for one, number in zip(settings, epochs, strict=True):
            one["training"]["epochs"] = number
        keys = _as_keys(settings, named)
    configs = [json.dumps(one) for one in settings]
    bare = named.assign(point_id=keys, config=configs).drop(columns=list(_NOT_OF_A_MODEL))
    return named.assign(model=keys.map(labels.points(bare)))


def _as_keys(settings: Sequence[dict[str, Any]], runs: pd.DataFrame) -> pd.Series[str]:
    return pd.Series([json.dumps(one, sort_keys=True) for one in settings], index=runs.index)


def _settings(row: Row) -> dict[str, Any]:
    """Return what defines the model of a run: layer, cell, training and scale of the input."""
    modes = [entries(row, "in_modes"), entries(row, "out_modes")]
    ranks = [entries(row, "ranks"), labels.ranks(row)]
    layer = [text(row, "decomposition"), *modes, *ranks, integer(row, "core_order")]
    return {"map": layer, **beside_layer(row)}


def beside_layer(row: Row) -> dict[str, Any]:
    """Return what defines the model of a run apart from its layer: cell, training, input scale."""
    config = configuration(row)
    return {
        "hidden": [text(row, "cell"), integer(row, "hidden_size")],
        "training": {**_TRAINING, **(config.get("training") or {})},
        "normalise": config.get("task", {}).get("normalise"),
    }


def configuration(row: Row) -> dict[str, Any]:
    """Return the point of a run (task, layer, cell, training); empty if it was not recorded."""
    return dict(json.loads(text(row, "config") or "{}"))


def conditions(runs: pd.DataFrame) -> list[str]:
    """Return the condition of each run: its split and whatever else of CONDITION varies."""
    columns = ["split", *varying(runs, [c for c in CONDITION if c != "split"])]
    return [condition_of(row, columns) or "all" for row in records(runs)]


def in_common(runs: pd.DataFrame) -> str:
    """Describe for a caption what of CONDITION all runs share, apart from the split."""
    columns = [c for c in CONDITION if c != "split" and not varying(runs, [c])]
    return condition_of(records(runs)[0], columns)


def condition_of(row: Row, columns: Iterable[str]) -> str:
    """Describe the values of `columns`, for example 'clip, 6 frames, in order of time'."""
    values = {column: text(row, column) for column in columns}
    known = {column: value for column, value in values.items() if value}
    words = {c: WORDS.get(c, {}).get(value, value) for c, value in known.items()}
    return ", ".join(CONDITION[c].format(word) for c, word in words.items())


def condition_order(names: Iterable[str]) -> list[str]:
    """Sort conditions by split: clip, group, supergroup, official, then the others."""
    return sorted(set(names), key=lambda name: (_place(name.partition(",")[0]), name))


def _place(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def model_order(rows: pd.DataFrame) -> list[str]:
    """List the models of `rows` by family and parameters, dense ones first."""
    firsts = rows.drop_duplicates("model")
    place = firsts["family"].map(list(NAMES).index)
    ordered = firsts.assign(place=place).sort_values(["place", "num_params", "model"])
    return list(ordered["model"])
