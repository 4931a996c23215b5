"""BT's advice on ranks and core orders: what tables and figures say of it."""

from __future__ import annotations

import pytest

from rankbench.analysis.figures.rank_bound import has_bound, rank_bound
from rankbench.analysis.summaries.rank_bound import (
    best_orders,
    beyond_bound,
    bound_of,
    by_rank,
    fewest_parameters,
)
from rankbench.analysis.tables.rank_bound import bound_sheets
from tests.helpers.figure_checks import drawn, line
from tests.helpers.frames import Row, block_term, frame, run

MODES = {2: ([8, 8], [8, 8]), 3: ([4, 4, 4], [4, 4, 4])}


def recovered(R: int, d: int, params: int, *errors: float) -> list[Row]:
    inputs, outputs = MODES[d]
    modes = {"in_modes": inputs, "out_modes": outputs, "num_params": params}
    return [block_term(R, 1, d, seed, rmse=e, **modes) for seed, e in enumerate(errors)]


ROWS = [
    *recovered(4, 2, 528, 0.40, 0.42),
    *recovered(8, 2, 1088, 0.30, 0.32),
    *recovered(10, 2, 1380, 0.25, 0.29),
    *recovered(16, 2, 2304, 0.20, 0.22),
    *recovered(4, 3, 256, 0.50, 0.52),
    *recovered(6, 3, 504, 0.60, 0.62),
]


def test_the_bound_is_the_largest_of_the_smaller_modes() -> None:
    assert bound_of((8, 8), (8, 8)) == 8
    assert bound_of((2, 2, 4), (4, 4, 2)) == 2
    assert bound_of((2, 8), (4, 6)) == 6


def test_the_gain_beyond_is_paired_by_seed() -> None:
    found = beyond_bound(by_rank(frame("runs", ROWS))).set_index("core_order")
    two, three = found.loc[2], found.loc[3]
    assert (two["within"], two["beyond"], two["bound"]) == (8, 10, 8)
    assert two["gain"] == pytest.approx(0.04)  # of 0.05 and 0.03
    assert two["gain_low"] < 0 < two["gain_high"]
    assert three["gain"] == pytest.approx(-0.1)


def test_the_best_order_is_that_of_the_lowest_error_within_a_budget() -> None:
    found = best_orders(by_rank(frame("runs", ROWS))).set_index("budget")
    assert list(found.index) == [1000, 1500]
    assert tuple(found.loc[1000, ["core_order", "tucker_rank", "second_order"]]) == (2, 4, 3)
    assert found.loc[1500, "tucker_rank"] == 10
    assert found["suggested"].all()


def test_the_fewest_parameters_are_found_for_each_rank() -> None:
    counts = {1: (900, 300, 200, 100), 4: (800, 90, 200, 500)}
    rows = [
        block_term(R, 1, d, num_params=count)
        for R, own in counts.items()
        for d, count in zip((1, 2, 4, 6), own, strict=True)
    ]
    found = fewest_parameters(frame("runs", rows)).set_index("tucker_rank")
    assert list(found["core_order"]) == [6, 2]
    assert list(found["suggested"]) == [False, True]
    assert list(found["within"]) == [200, 90]


def test_sheets_stand_where_a_study_has_the_points() -> None:
    sheets = bound_sheets({"runs": frame("runs", ROWS)})
    assert list(sheets) == ["rank_bound", "best_order"]
    first = sheets["rank_bound"].shown.iloc[0]
    assert (first["R within, parameters"], first["R beyond, parameters"]) == ("8; 1088", "10; 1380")
    assert bound_sheets({"runs": frame("runs", [run(rmse=0.1)])}) == {}


def test_the_figure_tells_ranks_within_from_those_beyond() -> None:
    runs = frame("runs", ROWS)
    assert has_bound(runs)
    assert not has_bound(frame("runs", ROWS[:4]))
    (ax,) = drawn(rank_bound(runs)).axes
    assert line(ax, "d=2")[0] == [4, 8, 10, 16]
    hollow = [own for own in ax.get_lines() if own.get_markerfacecolor() == "white"]
    assert [list(own.get_xdata()) for own in hollow] == [[10, 16], [6]]
    with pytest.raises(ValueError, match="rank_bound: no finished run recovered a W"):
        rank_bound(frame("runs", [run(rmse=0.1)]))
