"""The recovery task: targets, samples, sufficient statistics, learners, and what goes wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.engine.execute import Outcome, execute
from rankbench.layers import LAYERS
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Context, Point
from rankbench.tasks.recovery.pictures import PICTURES
from rankbench.tasks.recovery.sample import Moments
from rankbench.tasks.recovery.task import Recovery
from rankbench.training.settings import Training
from tests.helpers.layer_examples import RANKS

SMALL = Recovery(in_features=12, out_features=16, samples=200, noise=0.01)


def make_point(name: str, task: Recovery = SMALL, **training: float) -> Point:
    layer = LayerSettings(decomposition=name, **RANKS[name]).resolve(*task.sizes())
    defaults = {"epochs": 5, "learning_rate": 0.02}
    return Point(
        task=task, layer=layer, training=Training(**{**defaults, **training}), dtype="float64"
    )


def run(point: Point, seed: int = 0) -> Outcome:
    outcome = Outcome()
    for table, row in execute(point, Context(seed=seed)):
        if table == "end":
            outcome.status, outcome.error = row["status"], row["error"]
        else:
            outcome.add(table, row)
    return outcome


@pytest.mark.parametrize("target", [*PICTURES, *LAYERS])
def test_targets_are_seeded_and_have_a_mean_square_of_one(target: str) -> None:
    task = replace(SMALL, target=target, target_settings=RANKS.get(target, {}))
    W = task.true_weight()
    assert W.shape == (16, 12)
    assert W.square().mean().item() == pytest.approx(1)
    assert torch.equal(W, task.true_weight())
    assert not torch.equal(W, replace(task, target_seed=1).true_weight())


def test_a_low_rank_target_has_its_rank() -> None:
    task = replace(SMALL, target="low_rank", target_settings={"rank": 3})
    assert torch.linalg.matrix_rank(task.true_weight()).item() == 3


def test_samples_have_the_stated_variances() -> None:
    task = replace(SMALL, input_variance=0.5, noise=0.2, samples=20000)
    W = task.true_weight()
    x, y = task.draw_samples(W, seed=0)
    assert x.shape == (20000, 12)
    assert x.var().item() == pytest.approx(0.5, rel=0.02)
    assert (y - x @ W.T).var().item() == pytest.approx(0.2, rel=0.02)
    assert not torch.equal(x, task.draw_samples(W, seed=1)[0])


@settings(max_examples=25)
@given(
    n=st.integers(1, 30),
    features=st.integers(1, 6),
    outputs=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_moments_give_the_loss_and_gradient_of_the_samples(
    n: int, features: int, outputs: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, features, generator=generator, dtype=torch.float64)
    y = torch.randn(n, outputs, generator=generator, dtype=torch.float64)
    V = torch.randn(outputs, features, generator=generator, dtype=torch.float64)
    V.requires_grad_()
    direct = (x @ V.T - y).square().mean()
    compact = Moments.of(x, y).loss(V)
    torch.testing.assert_close(compact, direct, rtol=1e-10, atol=1e-10)
    (expected,) = torch.autograd.grad(direct, V)
    (got,) = torch.autograd.grad(compact, V)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_training_on_statistics_equals_training_on_the_samples(name: str) -> None:
    with_moments = run(make_point(name, epochs=20))
    with_samples = run(make_point(name, replace(SMALL, statistics=False), epochs=20))
    assert with_moments.status == with_samples.status == "done"
    for key in ("train_loss", "rmse", "rmse_prediction"):
        assert with_moments.facts[key] == pytest.approx(with_samples.facts[key], rel=1e-8)


@pytest.mark.parametrize("name", LAYERS)
def test_adam_recovers_a_target_of_its_own_kind(name: str) -> None:
    task = replace(SMALL, target=name, target_settings=RANKS[name], noise=0.0)
    outcome = run(make_point(name, task, epochs=600, schedule="cosine", evaluate_every=100))
    curve = [row["rmse"] for row in outcome.tables["epochs"]]
    assert [row["epoch"] for row in outcome.tables["epochs"]] == [100, 200, 300, 400, 500, 600]
    assert (
        outcome.facts["rmse"]
        == curve[-1]
        < 0.5 * run(make_point(name, task, epochs=1)).facts["rmse"]
    )


def test_least_squares_is_numpys_and_meets_its_expected_error() -> None:
    # E RMSE = sqrt(noise / input variance / (n - i - 1)); FACTS: 0.0057 at 81x81, n = 3200.
    task = Recovery(
        in_features=81, out_features=81, noise=0.05, target="disk", learner="least_squares"
    )
    layer = LayerSettings(decomposition="dense").resolve(81, 81)
    outcome = run(Point(task=task, layer=layer, dtype="float64"))
    W = task.true_weight()
    x, y = task.draw_samples(W, 0)
    expected = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0].T
    recovered = {row["name"]: np.array(row["values"]) for row in outcome.tables["weights"]}
    np.testing.assert_allclose(recovered["recovered"].reshape(81, 81), expected, atol=1e-10)
    np.testing.assert_allclose(recovered["target"].reshape(81, 81), W.numpy())
    assert outcome.facts["rmse"] == pytest.approx(math.sqrt(0.05 / 0.5 / 3118), rel=0.05)


def test_the_metric_is_the_rmse_of_the_recovered_weight() -> None:
    outcome = run(make_point("cp"))
    recovered = {row["name"]: np.array(row["values"]) for row in outcome.tables["weights"]}
    difference = recovered["recovered"] - recovered["target"]
    assert outcome.facts["rmse"] == pytest.approx(math.sqrt((difference**2).mean()))
    # Of W x on fresh x ~ N(0, v): sqrt(v * squared error of a row), summed over its inputs.
    expected = math.sqrt(0.5 * (difference**2).mean() * 12)
    assert outcome.facts["rmse_prediction"] == pytest.approx(expected, rel=0.2)


def test_divergence_keeps_what_was_measured() -> None:
    outcome = run(make_point("dense", learning_rate=1e200, epochs=50))
    assert outcome.status == "diverged"
    assert outcome.error is not None
    assert outcome.error.startswith("training loss is")
    assert "model_params" in outcome.facts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_features": 0}, r"task\.in_features must be a positive integer, got 0"),
        ({"noise": -1}, r"task\.noise must be a number in \[0, inf\), got -1"),
        ({"input_variance": 0}, r"task\.input_variance must be a number in \(0, inf\)"),
        ({"target": "rings"}, r"did you mean 'ring'"),
        ({"learner": "sgd"}, r"task\.learner must be one of: adam, least_squares; got 'sgd'"),
    ],
)
def test_wrong_settings_are_told(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_least_squares_wants_a_dense_layer() -> None:
    with pytest.raises(ValueError, match=r"solves for a dense W; got cp"):
        make_point("cp", replace(SMALL, learner="least_squares"))


def test_the_same_seed_gives_the_same_run() -> None:
    first, again, other = (
        run(make_point("tucker")),
        run(make_point("tucker")),
        run(make_point("tucker"), 1),
    )
    assert first.facts == again.facts
    assert first.facts["rmse"] != other.facts["rmse"]


def test_the_layer_starts_from_the_runs_seed() -> None:
    point = make_point("cp", replace(SMALL, keep_weights=False), epochs=1, learning_rate=1e-12)
    V = CompressedLinear(point.layer, 3, dtype=torch.float64).to_dense()
    W = point.task.true_weight()  # type: ignore[attr-defined]
    expected = (V - W).square().mean().sqrt().item()
    assert run(point, seed=3).facts["rmse"] == pytest.approx(expected, rel=1e-6)
