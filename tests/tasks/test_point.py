"""Identity of points: what changes it, what does not, and that it never drifts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rankbench.cells.settings import Cell
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Point
from rankbench.tasks.clips.action import Action
from rankbench.tasks.recovery.task import Recovery
from rankbench.training.settings import Training


def recovery_point(**changes: Any) -> Point:
    task = Recovery(in_features=16, out_features=16)
    layer = LayerSettings(decomposition="cp", core_order=2, cp_rank=3).resolve(16, 16)
    return replace(Point(task=task, layer=layer, training=Training(epochs=7)), **changes)


def action_point(frames: str) -> Point:
    layer = LayerSettings(decomposition="low_rank", rank=2).resolve(57600, 8, gates=4)
    cell = Cell(name="lstm", hidden_size=8)
    return Point(task=Action(frames=frames), layer=layer, cell=cell, training=Training())


def optimal(point: Point) -> Point:
    return replace(point, layer=replace(point.layer, plan="optimal"))


def test_equal_points_have_equal_ids_however_they_were_said() -> None:
    spelled = LayerSettings(decomposition="cp", in_modes=(4, 4), out_modes=(4, 4), cp_rank=3)
    other = recovery_point(layer=spelled.resolve(16, 16))
    assert other.point_id == recovery_point().point_id


@pytest.mark.parametrize(
    "change",
    [
        {"task": Recovery(in_features=16, out_features=16, noise=0.1)},
        {"training": Training(epochs=8)},
        {"dtype": "float64"},
        {"layer": LayerSettings(decomposition="cp", core_order=2, cp_rank=4).resolve(16, 16)},
    ],
)
def test_every_setting_is_part_of_the_id(change: dict[str, Any]) -> None:
    assert recovery_point(**change).point_id != recovery_point().point_id


def test_ids_never_change() -> None:
    """A new setting whose default is the old behaviour, or a reordered field, keeps old results.

    If this fails, every result that users have measured would be measured again.
    """
    first, second = recovery_point(), action_point("frames.parquet")
    # Until 0.1.0 every layer had the plan optimal, which an id leaves out.
    assert optimal(first).point_id == "623d87bad8e15ffe"
    assert optimal(second).run_id(0) == "16003a6408a5563d"
    assert first.point_id == "0288266bf469fa7b"
    assert second.run_id(0) == "8d3a4ac5585d4ed5"


def test_seeds_give_runs_of_one_point() -> None:
    point = recovery_point()
    assert len({point.run_id(seed) for seed in range(50)}) == 50


def test_data_is_named_by_its_file_not_by_where_it_lies() -> None:
    assert action_point("a/frames.parquet").point_id == action_point("b/frames.parquet").point_id
    assert action_point("a/frames.parquet").point_id != action_point("a/other.parquet").point_id
    assert action_point("a/frames.parquet").config()["task"]["frames"] == "frames.parquet"


def test_what_is_kept_of_a_run_is_no_part_of_its_point() -> None:
    task = Recovery(in_features=16, out_features=16, keep_weights=False)
    assert recovery_point(task=task).point_id == recovery_point().point_id
    assert recovery_point(task=task).config()["task"]["keep_weights"] is False


def test_patience_is_for_tasks_with_a_validation_curve() -> None:
    assert recovery_point(training=Training(epochs=7, patience=2))
    with pytest.raises(ValueError) as caught:
        replace(action_point("x"), training=Training(patience=2))
    assert str(caught.value) == (
        "training.patience needs a validation curve, which task action does not have here, and"
        " a run never stops by its test side; task action has one with task.validation=true, task"
        " recovery always"
    )
    task = replace(action_point("x").task, validation=True)
    assert replace(action_point("x"), task=task, training=Training(patience=2))


def test_the_configuration_states_every_setting() -> None:
    config = recovery_point().config()
    assert config["task"]["name"] == "recovery"
    assert config["task"]["samples"] == 3200
    assert config["layer"]["decomposition"] == "cp"
    assert config["training"]["epochs"] == 7
    assert "cell" not in config
    assert action_point("x").config()["cell"] == {"name": "lstm", "hidden_size": 8}
