"""Accuracies of a run: Wilson's interval, and which epoch counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankbench.common.intervals import wilson
from rankbench.tasks.clips.scores import Scores


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_solves_wilsons_equation(drawn: tuple[int, int]) -> None:
    right, count = drawn
    share, z = right / count, 1.959963984540054
    for end in wilson(share, count):
        assert math.isclose(
            (share - end) ** 2, z**2 * end * (1 - end) / count, rel_tol=1e-6, abs_tol=1e-9
        )
        assert 0 <= end <= 1


def test_levels_are_reached_once_and_the_first_of_equal_epochs_is_selected() -> None:
    scores = Scores(20)
    curve = [(0.5, 0.55), (0.7, 0.75), (0.7, 0.9), (0.6, 0.65)]
    for epoch, (validated, accuracy) in enumerate(curve, 1):
        record = {"epoch": epoch, "train_loss": 1.0, "accuracy": accuracy}
        row = scores.add({**record, "validation_accuracy": validated})
    assert {key: row[key] for key in row if key.startswith("epochs")} == {
        "epochs": 4,
        "epochs_to_60": 2,
        "epochs_to_70": 2,
        "epochs_to_80": 3,
        "epochs_to_90": 3,
    }
    assert (row["top_accuracy"], row["accuracy"], row["selected_accuracy"]) == (0.9, 0.65, 0.75)
    assert row["top_accuracy_low"] == pytest.approx(0.6990, abs=1e-4)  # 18 of 20
    assert "validation_accuracy" not in Scores(20).add(record)
