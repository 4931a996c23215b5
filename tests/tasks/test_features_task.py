"""The task on CNN features: it learns from a stored set, and refuses what is none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rankbench.cells.settings import Cell
from rankbench.data.sets.catalog import SetSpec, SetWriter
from rankbench.layers.settings import LayerSettings
from rankbench.tasks import TASKS, Context
from rankbench.tasks.base import Point
from rankbench.tasks.clips.features import Features
from rankbench.training.settings import Training

SIZE, HIDDEN = 12, 8


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set "cnn": in each class another feature is high."""
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    spec = SetSpec(name="cnn", kind="features", features=SIZE, dtype="float16")
    with SetWriter(spec) as writer:
        for number in range(24):
            label = number % 3
            features = rng.random((4 + number % 2, SIZE)) * 0.2
            features[:, label] += 2
            row = {
                "clip_id": f"clip_{number:02d}",
                "cls": str(label),
                "label": label,
                "group": f"g{number // 3}",
                "ordered": True,
                "clip_len": 9,
                "source": "x",
                "source_hash": "0" * 16,
                "hmdb_split1": 1 + (number >= 18),
            }
            writer.append(row, features.astype(np.float16))
        writer.finish()


def features(**settings: Any) -> Features:
    return Features(**{"features": "cnn", "size": SIZE, "classes": 3, "time_steps": 3, **settings})


def point(task: Features, **training: Any) -> Point:
    cell = Cell(name="lstm", hidden_size=HIDDEN)
    layer = LayerSettings(
        decomposition="tensor_ring", in_modes=(3, 4), out_modes=(2, 4), tr_ranks=3
    ).resolve(task.sizes()[0], HIDDEN, gates=cell.gates)
    settings = {"epochs": 15, "batch_size": 4, "learning_rate": 0.02, **training}
    return Point(task=task, layer=layer, cell=cell, training=Training(**settings))


def facts(chosen: Point, seed: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table, row in chosen.task.run(chosen, Context(seed=seed)):
        if table == "runs":
            found |= row
    return found


@pytest.mark.parametrize("sampling", ["even", "random"])
def test_classes_are_learned_from_features(sampling: str) -> None:
    found = facts(point(features(sampling=sampling)))
    assert found["top_accuracy"] == 1.0
    assert (found["dataset"], found["time_steps"], found["ordered"]) == ("cnn", 3, True)
    assert 0.3 < found["top_accuracy_low"] < 1.0


def test_official_splits_are_followed() -> None:
    found = facts(point(features(split="official"), epochs=1))
    assert (found["train_size"], found["test_size"]) == (18, 6)


def test_it_is_a_task_of_the_table() -> None:
    assert TASKS["features"] is Features
    assert features().sizes() == (SIZE, None)
    assert features().describe() == {"split": "group"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"features": ""},
            "task.features is not set: give the name of a set of features (`rankbench",
        ),
        ({"features": "none"}, "no set 'none' is cached (cached: cnn); `rankbench data features"),
        ({"size": 9}, "task.size must be 12, as in the set cnn, got 9"),
        (
            {"time_steps": 5},
            "task.time_steps must be at most 4, the number of frames of clip clip_00; got 5",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(settings: dict[str, Any], message: str) -> None:
    task = features(**settings)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        task._shown(task.clips())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": 3}, "task.features must be the name of a set, got 3"),
        ({"size": 0}, "task.size must be a positive integer, got 0"),
        ({"split": "scene"}, "task.split must be one of: group, clip, supergroup,"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Features(**settings)
