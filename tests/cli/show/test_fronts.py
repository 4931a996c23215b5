"""Pareto fronts, infeasible points in tables, and failures by reason."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import create_trial
from rich.console import Console

from rankbench.analysis.stats.pareto import costs_of, dominated_share, front
from rankbench.cli.show.fronts import front_of, front_table
from rankbench.cli.show.summary import best_table, earlier_note, failure_table, reason
from rankbench.common.table import TerminalTable
from rankbench.study.bounds import Bound
from rankbench.study.config import Study
from rankbench.study.search import Search
from rankbench.study.space import Space
from tests.helpers.frames import Row, block_term

# Few values, so that ties and equal points are common.
POINTS = st.integers(1, 3).flatmap(
    lambda k: st.lists(st.tuples(*[st.integers(0, 4).map(float)] * k), min_size=1, max_size=12)
)
OBJECTIVES = (("accuracy", "maximize"), ("num_params", "minimize"))


def make(**search: Any) -> Study:
    return Study(
        name="fronts",
        task={"name": "recovery"},
        layer={"decomposition": "dense"},
        training={},
        space=Space.parse({}, {}),
        search=Search(**{"objectives": OBJECTIVES, **search}),
    )


def shown(table: TerminalTable | None) -> str:
    assert table is not None
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def point(accuracy: float | None, R: int, **facts: Any) -> Row:
    row = block_term(R, num_params=100 * R, accuracy=accuracy, **facts)
    return {"duration_s": 1.0, "params": "{}", "error": None, **row}


@given(points=POINTS)
def test_the_front_is_that_of_optuna(points: list[tuple[float, ...]]) -> None:
    study = optuna.create_study(directions=["minimize"] * len(points[0]))
    for values in points:
        study.add_trial(create_trial(values=list(values)))
    best = (
        [t for t in study.trials if t.values == study.best_trial.values]
        if len(points[0]) == 1
        else study.best_trials
    )
    kept = front(np.array(points))
    assert sorted(points[index] for index in kept) == sorted(tuple(t.values) for t in best)


@given(points=POINTS)
def test_the_dominated_share_is_that_of_the_cells_of_a_grid(
    points: list[tuple[float, ...]],
) -> None:
    costs = np.array(points)
    ends = zip(costs.min(0), costs.max(0), strict=True)
    spans = [span for low, high in ends if (span := range(int(low), int(high)))]
    varied = costs[:, np.ptp(costs, axis=0) > 0]
    cells = list(itertools.product(*spans))
    dominated = sum(bool((varied <= np.array(cell)).all(1).any()) for cell in cells if spans)
    wanted = dominated / len(cells) if spans else 1.0
    assert dominated_share(costs) == pytest.approx(wanted)


def test_objectives_to_maximize_are_costs_with_the_other_sign() -> None:
    costs = costs_of([(0.5, 10), (0.9, 20), (0.4, 30)], ["maximize", "minimize"])
    assert front(costs) == [0, 1]
    # The box is 0.5 by 20: the corners left are (0.1, 20) and (0.5, 10) from the worst.
    assert dominated_share(costs) == pytest.approx((0.1 * 20 + 0.4 * 10) / (0.5 * 20))


def test_a_front_is_of_means_over_seeds_of_points_whose_runs_are_done() -> None:
    rows = [
        *(point(accuracy, 1, seed=seed) for seed, accuracy in enumerate((0.4, 0.6))),
        point(0.8, 2),
        point(0.7, 3),  # dominated
        point(0.9, 4, status="error"),
        point(None, 5),
    ]
    found = front_of(make(), rows)
    assert found.values == [[0.8, 200], [0.5, 100]]
    assert [len(runs) for runs in found.points] == [1, 2]
    assert (found.dominated, found.infeasible) == (1, 0)


def test_what_breaks_a_constraint_is_on_no_front_and_last_in_the_table() -> None:
    study = make(constraints=Bound.parse("search.constraints", {"step_ms": 5}))
    slow, fast, unknown = point(0.9, 4, step_ms=7.25), point(0.6, 2, step_ms=5.0), point(0.8, 3)
    rows = [slow, fast, unknown]
    found = front_of(study, rows)
    assert found.points == [[fast]]
    assert found.infeasible == 2
    told = shown(front_table(study, rows))
    assert "Pareto front of 1 points (0 dominated, 2 break a constraint)" in told
    lines = [line for line in shown(best_table(study, rows)).splitlines() if "block_term" in line]
    assert [line.split()[4] for line in lines] == ["200", "400", "300"]
    assert "step_ms 7.25, at most 5" in lines[1]
    assert "step_ms -, at most 5" in lines[2]
    assert "breaks" not in shown(best_table(make(), rows))


def test_a_front_table_lists_the_best_first_and_counts_the_rest() -> None:
    rows = [point(0.5 + 0.01 * R, R) for R in range(1, 31)]
    told = shown(front_table(make(), [*rows, point(0.1, 40)]))
    assert "Pareto front of 30 points (1 dominated)" in told
    assert "accuracy ↑" in told
    assert "num_params ↓" in told
    assert told.index("R=30") < told.index("R=29") < told.index("... and 10 more")
    assert "3,000" in told


def test_an_empty_front_says_so() -> None:
    assert "Pareto front of 0 points (0 dominated)" in shown(front_table(make(), []))


def test_failures_are_grouped_by_reason_the_most_frequent_first() -> None:
    rows = [
        *(point(None, R, status="error", error=f"KeyError: <x at 0x7f{R}a>") for R in (1, 2, 3)),
        *(point(None, R, status="timeout", error=f"not within {R}.5 s") for R in (4, 5)),
        point(None, 6, status="pruned", error="worse than other trials'"),
        point(0.5, 7),
    ]
    told = shown(failure_table(rows)).splitlines()
    lines = [line.split("  ") for line in told if " at #" in line or "within #" in line]
    found = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    ids = [min(row["run_id"] for row in part) for part in (rows[:3], rows[3:5])]
    words = [" ".join(cells).split() for cells in found]
    assert words[0] == ["3", "error", "KeyError:", "<x", "at", "#>", ids[0]]
    assert words[1] == ["2", "timeout", "not", "within", "#", "s", ids[1]]
    assert failure_table(rows[5:]) is None


def test_a_reason_is_told_without_what_differs_from_run_to_run() -> None:
    assert reason("size 12 of [3, 4] is -1.5e-07\nmore") == "size # of [#, #] is #"
    assert reason("run 0123456789abcdef of layer_2 failed") == "run # of layer_2 failed"
    assert reason(None) == "no reason given"


def test_runs_of_earlier_settings_are_told_in_a_line() -> None:
    assert earlier_note(3, 3) is None
    assert str(earlier_note(5, 3)).startswith("2 more stored runs are of earlier settings")
