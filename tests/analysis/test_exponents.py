"""Exponents: power laws with noise are found again, bends are cut off, verdicts follow rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.analysis.stats.exponents import (
    CANNOT_TELL,
    HOLDS,
    LOOSER,
    VERDICTS,
    VIOLATED,
    Fit,
    asymptotic_start,
    fit,
    verdict,
)
from rankbench.analysis.summaries.complexity import claimed, exponents, swept
from rankbench.analysis.tables.catalog import sheets
from rankbench.analysis.tables.complexity import complexity_sheets
from tests.helpers.frames import Row, frame, run

X = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
powers = st.floats(-3, 6)
factors = st.floats(1e-6, 1e6)


def law(power: float, factor: float = 1.0, noise: float = 0.0, seed: int = 0) -> list[float]:
    spread = np.random.default_rng(seed).normal(0, noise, len(X))
    return [factor * x**power * math.exp(e) for x, e in zip(X, spread, strict=True)]


@given(power=powers, factor=factors)
def test_an_exact_power_law_is_found_whole(power: float, factor: float) -> None:
    y = law(power, factor)
    found = fit(X, y)
    assert found.exponent == pytest.approx(power, abs=1e-6)
    assert found.high - found.low < 1e-6
    assert math.exp(found.intercept) == pytest.approx(factor, rel=1e-6)
    assert asymptotic_start(X, y) == 0


@settings(max_examples=30)
@given(power=powers, noise=st.floats(0.01, 0.2), seed=st.integers(0, 10**6))
def test_the_interval_is_as_wide_as_the_noise_asks(power: float, noise: float, seed: int) -> None:
    found = fit(X, law(power, 3.0, noise, seed))
    assert found.low < found.exponent < found.high
    assert found.exponent == pytest.approx(power, abs=4 * noise)
    assert found.high - found.low < 5 * noise


def test_the_interval_covers_the_exponent_19_times_in_20() -> None:
    fits = [fit(X, law(2.0, 1.0, 0.1, seed)) for seed in range(400)]
    covered = sum(found.low <= 2.0 <= found.high for found in fits)
    assert 365 <= covered <= 394


@given(power=st.floats(1, 5), overhead=st.floats(50, 200))
def test_a_constant_before_a_power_law_is_cut_off(power: float, overhead: float) -> None:
    y = [value + overhead for value in law(power)]
    start = asymptotic_start(X, y)
    assert start > 0
    whole, tail = fit(X, y), fit(X[start:], y[start:])
    assert abs(tail.exponent - power) < abs(whole.exponent - power)


def test_a_bend_on_either_side_is_no_power_law() -> None:
    x = [4.0**k for k in range(12)]
    bent = [(value + 100) / (1 + value / 1e5) ** 0.5 for value in x]
    assert asymptotic_start(x, bent) == len(x) - 4
    sums = [value + 1e4 for value in x]
    assert asymptotic_start(x, sums) >= 7


def test_the_tail_has_four_points_at_least() -> None:
    assert asymptotic_start(X, [math.exp(x) for x in X]) == len(X) - 4
    assert asymptotic_start(X[:3], [1.0, 5.0, 2.0]) == 0


def test_few_points_have_no_exponent_and_negative_ones_are_refused() -> None:
    assert math.isnan(fit([1, 2], [1, 2]).exponent)
    with pytest.raises(ValueError, match="x and y of a power law must be positive"):
        fit([1, 2, 3], [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-0.05, 0.05, HOLDS),
        (0.0, 0.0, HOLDS),
        (-0.25, 0.25, HOLDS),
        (0.11, 0.2, VIOLATED),
        (0.3, 9.0, VIOLATED),
        (-0.3, -0.11, LOOSER),
        (-9.0, -2.0, LOOSER),
        (-0.3, 0.2, CANNOT_TELL),
        (0.05, 0.4, CANNOT_TELL),
        (math.nan, math.nan, CANNOT_TELL),
    ],
)
def test_verdicts(low: float, high: float, says: str) -> None:
    assert says in VERDICTS
    assert verdict(Fit(exponent=(low + high) / 2, low=low, high=high, intercept=0.0)) == says


BT = {"in_modes": (2, 8), "out_modes": (12, 3), "tucker_rank": 3, "cp_rank": 5}


@pytest.mark.parametrize(
    ("text", "row", "value"),
    [
        ("I J", BT, 16 * 36),
        ("N d^2 I R^d J_max", BT, 5 * 4 * 16 * 9 * 12),
        ("R^4 max(I, I_max J)", {**BT, "tucker_rank": None, "tr_rank": 2}, 16 * 8 * 36),
        (
            "n I R^3 + m J R^3",
            {"in_modes": (2, 3), "out_modes": (4, 5, 6), "tr_rank": 2},
            2 * 6 * 8 + 3 * 120 * 8,
        ),
        ("d I R^2 J_max", {"in_modes": (7,), "out_modes": (2,), "tt_rank": 1}, 14),
        ("N d I R^d J_max", {"in_modes": (2, 2), "out_modes": (3, 3), "cp_rank": 4}, 96),
    ],
)
def test_claims_are_evaluated_as_they_are_printed(text: str, row: Row, value: float) -> None:
    assert claimed(text, row) == value


def sweep_row(R: int, plan: str = "paper", power: float = 3.0, **facts: object) -> Row:
    """A point of a sweep of a block-term layer over R, whose FLOPs grow as R^power."""
    return run(
        "block_term",
        task="validate",
        sweep="R",
        swept=R,
        rows=4,
        plan=plan,
        core_order=3,
        in_modes=[8, 8, 8],
        out_modes=[32, 8, 8],
        tucker_rank=R,
        cp_rank=2,
        ranks=[R] * 3 + [2],
        forward_flops=round(1e6 * R**power),
        backward_flops=round(1e6 * R**power),
        largest_intermediate=100 * R**2,
        largest_gradient=100 * R**3,
        **facts,
    )


def timed(row: Row, *cpu_ms: float) -> list[Row]:
    return [
        {"study": "test", "run_id": row["run_id"], "phase": "forward", "sample": i, "cpu_ms": ms}
        for i, ms in enumerate(cpu_ms)
    ]


def test_exponents_judge_every_quantity_by_its_claim() -> None:
    rows = [sweep_row(R) for R in X] + [sweep_row(R, "auto", 4.0) for R in X]
    samples = [s for row in rows[:10] for s in timed(row, 9e9, row["swept"] ** 2, 1e-9)]
    found = exponents(frame("runs", rows), frame("samples", samples)).set_index(
        ["plan", "direction", "quantity"]
    )
    assert found.loc[("paper", "forward", "flops"), "verdict"] == HOLDS
    assert found.loc[("auto", "forward", "flops"), "verdict"] == VIOLATED
    assert found.loc[("paper", "forward", "tensor"), "verdict"] == LOOSER
    assert found.loc[("paper", "backward", "tensor"), "verdict"] == HOLDS
    time = found.loc[("paper", "forward", "time")]
    assert (time["verdict"], time["points"], time["start"]) == (LOOSER, 10, 1)
    assert time["exponent"] == pytest.approx(2.0)
    assert time["claimed"] == pytest.approx(3.0)
    assert ("auto", "forward", "time") not in found.index
    assert ("paper", "forward", "peak") not in found.index


def test_too_few_timed_points_cannot_tell() -> None:
    rows = [sweep_row(R) for R in X]
    samples = [s for row in rows[:3] for s in timed(row, row["swept"] ** 5)]
    found = exponents(frame("runs", rows), frame("samples", samples))
    assert list(found[found["quantity"] == "time"]["verdict"]) == [CANNOT_TELL]


def test_a_timed_point_wins_over_the_same_one_counted() -> None:
    counted, again = sweep_row(2), {**sweep_row(2), "run_id": "timed"}
    samples = frame("samples", timed(again, 1.0, 5.0, 2.0))
    for rows in ([counted, again], [again, counted]):
        (point,) = swept(frame("runs", rows), samples).to_dict("records")
        assert (point["run_id"], point["forward_cpu_ms"]) == ("timed", 2.0)


def test_sheets_show_claimed_and_found() -> None:
    rows = [sweep_row(R) for R in X]
    frames = {
        "runs": frame("runs", rows),
        "samples": frame("samples", []),
        "epochs": frame("epochs", []),
    }
    found = sheets(frames)
    assert list(found) == ["orders", "exponents_time", "exponents_memory"]
    line = found["orders"].shown.iloc[0]
    assert line[["method", "pass", "R", "N"]].tolist() == [
        "block term",
        "forward",
        "3.00 -> 3.00; holds",
        "-",
    ]
    cell = found["exponents_memory"].shown.iloc[0]["largest tensor, paper"]
    assert cell == "2.00 ± 0.00 from 1; looser than needed"
    assert complexity_sheets({**frames, "runs": frame("runs", [run()])}) == {}
