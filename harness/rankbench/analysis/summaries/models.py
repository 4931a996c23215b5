"""Runs by model and by data: what an accuracy is of, and what it may be compared with."""

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
# What a test accuracy is of; the first is always in the name of a condition.
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
# A row from before a setting existed was trained with its default.
_TRAINING = dataclasses.asdict(Training())
# Columns that labels would tell points apart by, and that belong to the data or the machine.
_NOT_OF_A_MODEL = ("split", "target", "noise", "samples", "rows", "plan")


def modelled(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows with the columns `model`, a label that is the same on all data, and `condition`.

    A model is a layer in a cell with its training; a condition is the split, and what else of
    CONDITION varies. Seeds and folds tell no models apart; epochs do where one condition has
    several.
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
    """What makes the model of a run: its layer, its cell, how it is trained and on what scale."""
    modes = [entries(row, "in_modes"), entries(row, "out_modes")]
    ranks = [entries(row, "ranks"), labels.ranks(row)]
    layer = [text(row, "decomposition"), *modes, *ranks, integer(row, "core_order")]
    return {"map": layer, **beside_layer(row)}


def beside_layer(row: Row) -> dict[str, Any]:
    """What makes the model of a run beside its layer: cell, training, scale of the input."""
    config = configuration(row)
    return {
        "hidden": [text(row, "cell"), integer(row, "hidden_size")],
        "training": {**_TRAINING, **(config.get("training") or {})},
        "normalise": config.get("task", {}).get("normalise"),
    }


def configuration(row: Row) -> dict[str, Any]:
    """The point of a run: task, layer, cell, training; empty where it is not recorded."""
    return dict(json.loads(text(row, "config") or "{}"))


def conditions(runs: pd.DataFrame) -> list[str]:
    """The condition of every run: its split, and what else of CONDITION varies."""
    columns = ["split", *varying(runs, [c for c in CONDITION if c != "split"])]
    return [condition_of(row, columns) or "all" for row in records(runs)]


def in_common(runs: pd.DataFrame) -> str:
    """What of CONDITION all runs share beside their split, for a caption."""
    columns = [c for c in CONDITION if c != "split" and not varying(runs, [c])]
    return condition_of(records(runs)[0], columns)


def condition_of(row: Row, columns: Iterable[str]) -> str:
    """The values of `columns` in words: 'clip, 6 frames, in order of time'."""
    values = {column: text(row, column) for column in columns}
    known = {column: value for column, value in values.items() if value}
    words = {c: WORDS.get(c, {}).get(value, value) for c, value in known.items()}
    return ", ".join(CONDITION[c].format(word) for c, word in words.items())


def condition_order(names: Iterable[str]) -> list[str]:
    """Conditions as readers expect them: clip, group, supergroup, official, then the others."""
    return sorted(set(names), key=lambda name: (_place(name.partition(",")[0]), name))


def _place(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def model_order(rows: pd.DataFrame) -> list[str]:
    """The models of `rows` in the order of families and parameters, the dense ones first."""
    firsts = rows.drop_duplicates("model")
    place = firsts["family"].map(list(NAMES).index)
    ordered = firsts.assign(place=place).sort_values(["place", "num_params", "model"])
    return list(ordered["model"])
