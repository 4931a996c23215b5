"""The training loop: records, schedule, divergence, and settings out of range."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from rankbench.training.early_stopping import Patience
from rankbench.training.loop import train
from rankbench.training.settings import Diverged, Training


def records(
    training: Training, loss_of: Any = None, metrics: Iterator[float] | None = None
) -> Iterator[dict[str, Any]]:
    model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(model.weight, 4.0)

    def loss(batch: Tensor) -> Tensor:
        return loss_of(model.weight) if loss_of else (model.weight * batch).square().sum()

    return train(
        model,
        training,
        batches=lambda: [torch.tensor(1.0), torch.tensor(2.0)],
        loss=loss,
        evaluate=lambda: {"weight": next(metrics) if metrics else model.weight.item()},
        monitor=("weight", "minimize"),
    )


def test_records_come_as_often_as_asked_and_after_the_last_epoch() -> None:
    found = list(records(Training(epochs=7, evaluate_every=3)))
    assert [record["epoch"] for record in found] == [3, 6, 7]
    assert found[0].keys() == {"epoch", "train_loss", "seconds", "weight"}
    losses = [record["train_loss"] for record in found]
    assert losses == sorted(losses, reverse=True)


def test_the_loss_of_an_epoch_is_the_mean_over_its_batches() -> None:
    (record,) = records(Training(epochs=1, learning_rate=1e-12))
    assert record["train_loss"] == pytest.approx((16 * 1 + 16 * 4) / 2)


def test_steps_are_adams() -> None:
    (record,) = records(Training(epochs=1, learning_rate=0.1))
    # Adam's first steps have the size of the learning rate.
    assert record["weight"] == pytest.approx(4 - 2 * 0.1, rel=0.01)


def test_a_cosine_schedule_ends_near_zero() -> None:
    constant = [r["weight"] for r in records(Training(epochs=20, learning_rate=0.1))]
    cosine = [
        r["weight"] for r in records(Training(epochs=20, learning_rate=0.1, schedule="cosine"))
    ]
    assert cosine[0] == constant[0]
    assert abs(cosine[-1] - cosine[-2]) < 0.1 * abs(cosine[1] - cosine[0])


def test_a_loss_that_is_not_finite_ends_training() -> None:
    found = records(Training(epochs=3), loss_of=lambda w: (w * float("nan")).sum())
    with pytest.raises(Diverged, match="training loss is nan in epoch 1"):
        next(found)


@given(
    values=st.lists(st.sampled_from([1.0, 2.0, 3.0, math.nan, math.inf]), min_size=1, max_size=12),
    patience=st.integers(1, 4),
)
def test_training_stops_after_so_many_records_without_improvement(
    values: list[float], patience: int
) -> None:
    found = list(records(Training(epochs=len(values), patience=patience), metrics=iter(values)))
    lowest = [min([v for v in values[:k] if v < math.inf], default=math.inf) for k in range(99)]
    better = {k for k, value in enumerate(values) if value < lowest[k]}
    ends = range(patience, len(values))
    expected = next((k for k in ends if not better & {*range(k - patience, k)}), len(values))
    assert len(found) == expected


def test_a_metric_may_be_maximised() -> None:
    patience = Patience(2, ("accuracy", "maximize"))
    told = [patience.ends_with({"accuracy": value}) for value in (0.1, 0.3, 0.3, 0.4, 0.2, 0.4)]
    assert told == [False, False, False, False, False, True]


def test_patience_needs_a_metric() -> None:
    with pytest.raises(ValueError, match="patience 3 needs a metric to watch, got none"):
        Patience(3, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1.5),
        ("learning_rate", 0),
        ("schedule", "linear"),
        ("evaluate_every", True),
        ("input_dropout", 1.0),
        ("recurrent_dropout", -0.1),
        ("head_l2", "much"),
        ("patience", 0),
    ],
)
def test_settings_out_of_range_are_told(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* got {value!r}"):
        Training(**{name: value})  # type: ignore[arg-type]
