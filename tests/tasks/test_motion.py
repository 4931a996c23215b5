"""Task motion: its clips are drawn alike each time, one frame tells nothing, an LSTM learns it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rankbench.cells.settings import Cell
from rankbench.engine.execute import execute
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Context, Point
from rankbench.tasks.clips.motion import Motion, Moving, draw
from rankbench.training.loop import Training


def point(task: Motion, epochs: int = 12) -> Point:
    layer = LayerSettings(decomposition="low_rank", rank=8)
    return Point(
        task=task,
        layer=layer.resolve(task.size**2, 16, gates=4),
        cell=Cell(name="lstm", hidden_size=16),
        training=Training(epochs=epochs, learning_rate=0.01, evaluate_every=epochs),
    )


def test_clips_are_the_same_each_time_and_of_every_class() -> None:
    task = Motion(size=8, clips_a_class=3, time_steps=4)
    clips = Moving(task)
    assert clips.rows.shape == (8 * 3 * 4, 64)
    assert np.array_equal(clips.rows, Moving(task).rows)
    assert np.bincount(clips.column("label")).tolist() == [3] * 8
    other = Moving(Motion(size=8, clips_a_class=3, time_steps=4, data_seed=1))
    assert other.data_hash != clips.data_hash
    assert not np.array_equal(other.rows, clips.rows)
    with pytest.raises(
        ValueError, match=r"column supergroup does not exist: .* label, clip_id and group"
    ):
        clips.column("supergroup")


def test_a_disk_moves_in_the_direction_of_its_label() -> None:
    task = Motion(size=16, noise=0.0, classes=4, time_steps=5)
    labels = torch.arange(4)
    frames = draw(task, labels, torch.Generator().manual_seed(0)).unflatten(2, (16, 16))
    axis = torch.linspace(-1, 1, 16)
    weight = frames.sum((2, 3))
    down = (frames.sum(3) * axis).sum(2) / weight
    right = (frames.sum(2) * axis).sum(2) / weight
    moved = torch.stack([down[:, -1] - down[:, 0], right[:, -1] - right[:, 0]], 1)
    wanted = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]])
    torch.testing.assert_close(moved / moved.norm(dim=1, keepdim=True), wanted, atol=0.1, rtol=0)


def test_a_run_has_accuracy_and_step_time_of_one_point() -> None:
    task = Motion(size=8, classes=4, clips_a_class=30, noise=0.1, budget_s=0.05)
    facts = {}
    for table, row in execute(point(task), Context(seed=0)):
        if table in ("runs", "end"):
            facts.update(row)
    assert facts["status"] == "done"
    assert facts["accuracy"] > 0.6  # by chance 0.25
    assert facts["step_ms"] > 0
    assert facts["rows"] == 16 * 6
    assert (facts["train_size"], facts["test_size"]) == (96, 24)
    assert facts["model_params"] > point(task).layer.num_params + 16 * 4


def test_a_run_without_timing_has_no_step_time() -> None:
    task = Motion(size=4, classes=2, clips_a_class=10, timing=False)
    rows = [row for table, row in execute(point(task, 1), Context(seed=0)) if table == "runs"]
    assert rows
    assert not any("step_ms" in row for row in rows)


def test_wrong_settings_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"task\.noise must be a number in \[0, inf\), got -1"):
        Motion(noise=-1)
    with pytest.raises(ValueError, match=r"task\.time_steps must be a positive integer, got None"):
        Motion(time_steps=None)


def test_clips_that_are_made_have_no_groups() -> None:
    message = (
        r"^task\.split=group needs data with groups, but in motion each clip is a group of its"
    )
    task = Motion(size=4, classes=2, clips_a_class=10, timing=False, split="group")
    with pytest.raises(ValueError, match=message):
        task.sides(task.clips())
