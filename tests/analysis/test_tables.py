"""Points over their seeds: means, intervals, the best, the Pareto front."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankbench.analysis.metrics import METRICS
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.tables.points import best, best_of_each, metric_of, pareto, summary
from rankbench.common.intervals import wilson
from tests.helpers.frames import block_term, frame, lstm, ring, run

# Two-sided 95% points of Student's t, as printed in every table.
T_TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 30: 2.042}


@pytest.mark.parametrize(("freedom", "printed"), T_TABLE.items())
def test_intervals_use_the_t_of_the_tables(freedom: int, printed: float) -> None:
    values = np.random.default_rng(freedom).normal(size=freedom + 1)
    found = mean_interval(values)
    half = printed * np.std(values, ddof=1) / math.sqrt(freedom + 1)
    assert found.high - found.mean == pytest.approx(half, rel=3e-4)


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    # z = 1.95996: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), by hand.
    [(0.5, 100, 0.40383, 0.59617), (0.0, 10, 0.0, 0.27753), (0.79375, 320, 0.74606, 0.83447)],
)
def test_wilson_intervals_are_those_of_the_formula(
    share: float, count: int, low: float, high: float
) -> None:
    assert wilson(share, count) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_hold_the_share_and_stay_in_0_to_1(counted: tuple[int, int]) -> None:
    hits, count = counted
    low, high = wilson(hits / count, count)
    assert 0 <= low <= hits / count <= high <= 1


def test_wilson_refuses_what_is_no_share() -> None:
    text = r"^a share must be 0 to 1 of at least one trial, got 1.2 of 10$"
    with pytest.raises(ValueError, match=text):
        wilson(1.2, 10)
    with pytest.raises(ValueError, match=r"got 0.5 of 0$"):
        wilson(0.5, 0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8), st.floats(0.1, 10))
def test_intervals_are_symmetric_and_scale(values: list[float], factor: float) -> None:
    found = mean_interval(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.mean - found.low == pytest.approx(found.high - found.mean, abs=1e-9)
    scaled = mean_interval([factor * value for value in values])
    assert scaled.high - scaled.mean == pytest.approx(factor * (found.high - found.mean), abs=1e-6)


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(4000, 4))
    found = [mean_interval(row) for row in draws]
    share = np.mean([one.low <= 3.0 <= one.high for one in found])
    assert share == pytest.approx(0.95, abs=0.012)


def test_one_value_has_no_interval_and_none_is_refused() -> None:
    one = mean_interval([2.0])
    assert (one.mean, one.count) == (2.0, 1)
    assert all(math.isnan(value) for value in (one.sd, one.low, one.high))
    with pytest.raises(ValueError, match=r"^an interval needs at least one value, got none$"):
        mean_interval([])


def test_summary_has_a_row_per_point() -> None:
    rows = [block_term(4, seed=seed, num_params=528, rmse=0.1 * seed) for seed in (1, 2, 3)]
    rows += [block_term(4, seed=4, num_params=528, status="error")]
    rows += [block_term(1, num_params=129, rmse=0.5)]
    table = summary(frame("runs", rows))
    assert list(table["label"]) == ["BT R=1 N=1", "BT R=4 N=1"]
    assert list(table["num_params"]) == [129, 528]
    assert list(table["seeds"]) == [1, 3]
    assert list(table["mean"]) == pytest.approx([0.5, 0.2])
    half = 4.302653 * 0.1 / math.sqrt(3)
    row = table.iloc[1]
    assert (row["sd"], row["low"], row["high"]) == pytest.approx((0.1, 0.2 - half, 0.2 + half))
    assert row["compression_ratio"] == pytest.approx(4096 / 528)
    assert math.isnan(table.iloc[0]["sd"])


def test_best_knows_which_way_is_better() -> None:
    errors = frame("runs", [ring(R, num_params=R, rmse=1 / R) for R in (2, 3, 4)])
    assert list(best(errors, count=2)["label"]) == ["TR R=4", "TR R=3"]
    tops = frame("runs", [lstm(0.5), lstm(0.7, hidden_size=128), lstm(0.6, hidden_size=64)])
    assert list(best(tops)["mean"]) == [0.7, 0.6, 0.5]


def test_best_prefers_fewer_parameters_at_a_tie() -> None:
    rows = [ring(R, num_params=100 * R, rmse=0.5) for R in (3, 2, 4)]
    assert list(best(frame("runs", rows))["num_params"]) == [200, 300, 400]


def test_best_of_each_has_a_row_per_family_in_the_order_of_the_legend() -> None:
    rows = [ring(R, num_params=R, rmse=R) for R in (2, 3)]
    rows += [run(rmse=1.0), run(rmse=2.0, learner="least_squares")]
    table = best_of_each(frame("runs", rows))
    assert list(table["family"]) == ["dense", "least_squares", "tensor_ring"]
    assert list(table["label"]) == ["dense", "linear regression", "TR R=2"]


def test_the_metric_is_the_first_that_was_measured() -> None:
    measured = {"num_params": 10, "forward_ms": 1.0, "step_ms": 2.0, "top_accuracy": 0.5}
    rows = {}
    for name, value in measured.items():
        rows[name] = value
        assert metric_of(frame("runs", [run(**rows)])).column == name
    assert metric_of(frame("runs", [run(**rows, rmse=0.1)])).column == "rmse"


def test_an_unknown_metric_is_refused() -> None:
    valid = ", ".join(METRICS)
    with pytest.raises(ValueError, match=f"^metric must be one of: {valid}; got 'loss'$"):
        summary(frame("runs", [run(rmse=0.1)]), "loss")
    with pytest.raises(ValueError, match=r"^summary: none of 1 finished runs has top_accuracy$"):
        summary(frame("runs", [run(rmse=0.1)]), "top_accuracy")


BOUNDED = json.dumps({"objectives": {"rmse": "minimize"}, "constraints": {"step_ms": {"high": 5}}})


def test_points_that_break_a_constraint_are_not_the_best_and_lead_nothing() -> None:
    slow = block_term(4, num_params=516, rmse=0.1, step_ms=9.0, search=BOUNDED)
    fast = block_term(2, num_params=258, rmse=0.4, step_ms=2.0, search=BOUNDED)
    unknown = block_term(1, num_params=129, rmse=0.2, search=BOUNDED)
    points = summary(frame("runs", [slow, fast, unknown]))
    assert list(points["feasible"]) == [False, True, False]
    assert list(best(frame("runs", [slow, fast, unknown]))["num_params"]) == [258, 516, 129]
    assert list(pareto(points, less_is_better=True)["num_params"]) == [258]
    free = frame("runs", [row | {"search": None} for row in (slow, fast, unknown)])
    assert summary(free)["feasible"].all()
    assert list(best(free)["num_params"]) == [516, 129, 258]


def test_constraints_are_those_of_the_newest_run() -> None:
    old = block_term(1, num_params=129, rmse=0.1, step_ms=9.0, search=BOUNDED)
    looser = BOUNDED.replace("5", "50")
    runs = [old, block_term(2, num_params=258, rmse=0.4, step_ms=2.0, search=looser)]
    for days, keeps in (((1, 2), True), ((2, 1), False)):
        times = [pd.Timestamp(2026, 1, day) for day in days]
        at = [row | {"started_at": time} for row, time in zip(runs, times, strict=True)]
        assert bool(summary(frame("runs", at))["feasible"].all()) is keeps


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=12))
def test_nothing_beats_the_pareto_front(points: list[tuple[int, int]]) -> None:
    table = pd.DataFrame(points, columns=["num_params", "mean"]).assign(feasible=True)
    for less_is_better, sign in ((True, 1), (False, -1)):
        front = pareto(table, less_is_better=less_is_better)
        kept = set(zip(front["num_params"], front["mean"], strict=True))
        for size, mean in set(points):
            beaten = any(
                p <= size and sign * e <= sign * mean and (p, e) != (size, mean) for p, e in points
            )
            assert beaten != ((size, mean) in kept)
