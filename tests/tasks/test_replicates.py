"""Replicates trained as one program: each equals its single run, whatever happens to the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rankbench.engine.execute import Outcome, execute_together
from rankbench.layers import LAYERS, Layer, linear, stacked
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.settings import LayerSettings
from rankbench.layers.stacked import StackedLinear
from rankbench.tasks.base import Context, Point
from rankbench.tasks.recovery.task import Recovery
from tests.helpers.layer_examples import examples, label
from tests.tasks.test_recovery import SMALL, make_point, run

SEEDS = (0, 1, 7)


def run_together(point: Point, seeds: tuple[int, ...] = SEEDS) -> list[Outcome]:
    outcomes = [Outcome() for _ in seeds]
    contexts = [Context(seed=seed) for seed in seeds]
    for rows in execute_together(point, contexts):
        for place, (table, row) in rows:
            if table == "end":
                outcomes[place].end(**row)
            else:
                outcomes[place].add(table, row)
    return outcomes


def assert_equal(got: Outcome, single: Outcome, rtol: float = 1e-8) -> None:
    assert (got.status, got.error) == (single.status, single.error)
    assert got.facts.keys() == single.facts.keys()
    for name, fact in single.facts.items():
        number = isinstance(fact, float)
        assert got.facts[name] == (pytest.approx(fact, rel=rtol) if number else fact)
    assert got.tables.keys() == single.tables.keys()
    for table, rows in single.tables.items():
        for mine, theirs in zip(got.tables[table], rows, strict=True):
            assert mine.keys() == theirs.keys()
            for key in theirs.keys() - {"seconds", "name", "shape"}:
                np.testing.assert_allclose(mine[key], theirs[key], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("layer", examples(), ids=label)
def test_a_stack_holds_the_weights_and_gradients_of_its_replicates(layer: Layer) -> None:
    model = StackedLinear(layer, SEEDS, dtype=torch.float64)
    target = torch.randn(layer.out_features, layer.in_features, dtype=torch.float64)
    (model.to_dense() * target).sum().backward()  # type: ignore[no-untyped-call]
    for place, seed in enumerate(SEEDS):
        alone = CompressedLinear(layer, seed, dtype=torch.float64)
        (alone.to_dense() * target).sum().backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(model.to_dense()[place], alone.to_dense())
        assert list(model.cores) == list(alone.cores)
        for name, core in alone.cores.items():
            torch.testing.assert_close(model.cores[name].grad[place], core.grad)


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_each_replicate_equals_its_single_run(name: str, statistics: bool) -> None:
    task = replace(SMALL, statistics=statistics)
    point = make_point(name, task, epochs=40, schedule="cosine", evaluate_every=7)
    for seed, got in zip(SEEDS, run_together(point), strict=True):
        assert len(got.tables["epochs"]) == 6
        assert_equal(got, run(point, seed))


def test_fewer_samples_than_features_give_the_same_runs() -> None:
    point = make_point("tensor_ring", replace(SMALL, samples=5, fresh_samples=3), epochs=40)
    for seed, got in zip(SEEDS, run_together(point), strict=True):
        assert_equal(got, run(point, seed))


def test_single_precision_agrees_to_its_rounding() -> None:
    point = replace(make_point("block_term", epochs=20), dtype="float32")
    for seed, got in zip(SEEDS, run_together(point), strict=True):
        assert_equal(got, run(point, seed), rtol=1e-4)


def test_least_squares_is_solved_for_each() -> None:
    task = replace(SMALL, learner="least_squares")
    layer = LayerSettings(decomposition="dense").resolve(12, 16)
    point = Point(task=task, layer=layer, dtype="float64")
    for seed, got in zip(SEEDS, run_together(point), strict=True):
        assert_equal(got, run(point, seed))


def test_each_replicate_stops_early_as_its_single_run_does() -> None:
    point = make_point("cp", epochs=60, learning_rate=0.3, patience=3)
    outcomes = run_together(point)
    assert all(3 < outcome.facts["epochs"] < 60 for outcome in outcomes)
    for seed, got in zip(SEEDS, outcomes, strict=True):
        assert_equal(got, run(point, seed))


def test_weights_are_left_out_where_they_are_not_kept() -> None:
    outcomes = run_together(make_point("cp", replace(SMALL, keep_weights=False)))
    assert [outcome.tables.keys() for outcome in outcomes] == [{"epochs"}] * 3


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_replicate_that_diverges_leaves_the_others_alone(
    name: str, statistics: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = linear.initial_cores

    def one_too_large(layer: Layer, seed: int) -> dict[str, Tensor]:
        scale = 1e200 if seed == SEEDS[1] else 1.0
        return {name: core * scale for name, core in drawn(layer, seed).items()}

    monkeypatch.setattr(linear, "initial_cores", one_too_large)
    monkeypatch.setattr(stacked, "initial_cores", one_too_large)
    point = make_point(name, replace(SMALL, statistics=statistics))
    good, bad, last = run_together(point)
    assert bad.status == "diverged"
    assert bad.error in [f"training loss is {value} in epoch 1" for value in ("inf", "nan")]
    assert bad.tables == {}
    assert_equal(good, run(point, SEEDS[0]))
    assert_equal(last, run(point, SEEDS[2]))


def test_training_ends_once_all_have_diverged() -> None:
    point = make_point("dense", learning_rate=1e200, epochs=50)
    for seed, got in zip(SEEDS, run_together(point), strict=True):
        assert got.status == "diverged"
        assert_equal(got, run(point, seed))


def test_what_the_program_raises_ends_every_replicate(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Recovery, *arguments: Any) -> None:
        raise MemoryError("too many samples")

    monkeypatch.setattr(Recovery, "draw_samples", fail)
    outcomes = run_together(make_point("cp"))
    assert [outcome.status for outcome in outcomes] == ["out_of_memory"] * 3
    assert [outcome.error for outcome in outcomes] == ["MemoryError: too many samples"] * 3
