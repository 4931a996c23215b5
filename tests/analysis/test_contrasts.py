"""Paired comparisons: what is called better, at equal parameters and in another order."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rankbench.analysis.figures.budget import budget
from rankbench.analysis.figures.permutation import permutation
from rankbench.analysis.figures.style import caption_of
from rankbench.analysis.stats.contrasts import (
    BETTER,
    NOT_SHOWN,
    WORSE,
    compare,
    hedges,
    interval,
    paired,
)
from rankbench.analysis.summaries.budgets import BEST, at_budgets, has_budgets, ranking
from rankbench.analysis.summaries.permutations import against_blocks, costs, has_orders, means
from rankbench.analysis.tables.catalog import sheets
from rankbench.store.schema import TABLES
from tests.helpers.figure_checks import drawn
from tests.helpers.frames import Row, block_term, frame, ring, run

numbers = st.lists(st.floats(-5, 5), min_size=2, max_size=8)


def seeds(*values: float) -> pd.Series:
    return pd.Series(values, index=range(len(values)), dtype=float)


def frames_of(rows: list[Row]) -> dict[str, pd.DataFrame]:
    return {table: frame(table, rows if table == "runs" else []) for table in TABLES}


def test_a_comparison_is_paired_by_the_seeds_both_have() -> None:
    found = paired(seeds(1.0, 2.0, 4.0, 9.0), seeds(0.5, 1.0, 2.5))
    assert found["seeds"] == 3
    assert found["difference"] == pytest.approx(1.0)
    assert found["p"] == pytest.approx(stats.ttest_rel([1.0, 2.0, 4.0], [0.5, 1.0, 2.5]).pvalue)
    assert found["low"] <= 1.0 <= found["high"]
    with pytest.raises(ValueError, match="needs a seed that both sides have"):
        paired(seeds(1.0), pd.Series([1.0], index=[7]))


def test_one_seed_tells_nothing() -> None:
    found = compare([({}, seeds(1.0), seeds(2.0))], less_is_better=True).iloc[0]
    assert math.isnan(found["p_holm"])
    assert math.isnan(found["low"])
    assert found["verdict"] == NOT_SHOWN


def test_hedges_is_the_mean_over_the_deviation_less_its_bias() -> None:
    assert hedges(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0 * (1 - 3 / 7))
    assert hedges(np.array([2.0, 2.0])) == math.inf
    assert hedges(np.array([0.0, 0.0])) == 0.0


@settings(max_examples=15)
@given(numbers)
def test_a_bootstrap_interval_lies_among_the_values_and_is_the_same_again(
    values: list[float],
) -> None:
    low, high = interval(np.array(values))
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == interval(np.array(values))


def test_better_needs_a_corrected_p_and_an_interval_without_0() -> None:
    clear = ({"name": "clear"}, seeds(1.0, 1.1, 1.2, 1.1), seeds(2.0, 2.2, 2.1, 2.15))
    alone = ({"name": "alone"}, seeds(1.0, 1.3, 1.2), seeds(1.1, 1.5, 1.36))
    one = compare([alone], less_is_better=True).iloc[0]
    assert one["p"] < 0.05
    assert one["verdict"] == BETTER
    both = compare([clear, alone, alone], less_is_better=True)
    assert list(both["verdict"]) == [BETTER, NOT_SHOWN, NOT_SHOWN]
    assert list(compare([clear], less_is_better=False)["verdict"]) == [WORSE]


def at(kind: str, size: int, *errors: float) -> list[Row]:
    make = {"BT": lambda s, **k: block_term(4, 1, 2, s, **k), "TR": lambda s, **k: ring(4, s, **k)}
    facts = {"num_params": size}
    if kind in make:
        return [make[kind](s, rmse=e, **facts) for s, e in enumerate(errors)]
    return [run("cp", s, cp_rank=3, rmse=e, **facts) for s, e in enumerate(errors)]


BUDGET_ROWS = [
    *at("BT", 480, 0.30, 0.31, 0.32, 0.30),
    *at("TR", 520, 0.20, 0.22, 0.21, 0.20),
    *at("CP", 610, 0.21, 0.20, 0.22, 0.21),
    *at("BT", 1000, 0.20, 0.21, 0.22, 0.20),
    *at("BT", 1150, 0.01, 0.01, 0.01, 0.01),  # further from 1 000 than the one above
    *at("TR", 1010, 0.10, 0.12, 0.11, 0.10),
    *at("CP", 900, 0.30, 0.31, 0.30, 0.32),
    *at("CP", 1900, 0.01, 0.01, 0.01, 0.01),  # of no budget
]


def test_each_budget_has_the_nearest_point_of_each_decomposition() -> None:
    kept = at_budgets(frame("runs", BUDGET_ROWS))
    sizes = kept.groupby(["budget", "family"])["num_params"].unique()
    assert {key: list(own) for key, own in sizes.items()} == {
        (500, "block_term"): [480],
        (500, "tensor_ring"): [520],
        (500, "cp"): [610],
        (1000, "block_term"): [1000],
        (1000, "tensor_ring"): [1010],
        (1000, "cp"): [900],
    }


def test_a_ranking_says_who_is_best_and_who_is_not_shown_to_be_worse() -> None:
    found = ranking(frame("runs", BUDGET_ROWS)).set_index(["budget", "family"])
    assert found.loc[(500, "tensor_ring"), "verdict"] == BEST
    assert found.loc[(500, "cp"), "verdict"] == NOT_SHOWN
    assert found.loc[(500, "block_term"), "verdict"] == WORSE
    assert found.loc[(500, "block_term"), "difference"] == pytest.approx(0.1)
    assert found.loc[1000].index.tolist() == ["tensor_ring", "block_term", "cp"]


def test_a_single_budget_or_seed_is_no_comparison() -> None:
    assert not has_budgets(frame("runs", BUDGET_ROWS[:12]))
    assert not has_budgets(frame("runs", [row for row in BUDGET_ROWS if row["seed"] == 0]))
    assert not has_budgets(frame("runs", []))
    with pytest.raises(ValueError, match="fewer than three decompositions at two budgets"):
        budget(frame("runs", BUDGET_ROWS[:12]))


def test_the_figure_of_budgets_leaves_hollow_what_is_worse() -> None:
    rows = BUDGET_ROWS + [row | {"target": "ring"} for row in BUDGET_ROWS]
    figure = drawn(budget(frame("runs", rows)))
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("W: low rank", "W: ring")
    marks = [mark for mark in left.get_lines() if mark.get_marker() not in ("None", "")]
    hollow = [mark for mark in marks if mark.get_markerfacecolor() == "white"]
    assert (len(marks), len(hollow)) == (6, 3)
    assert "paired t test over 4 seeds" in caption_of(figure)


def in_order(make: object, own: list[float], **others: list[float]) -> list[Row]:
    rows = []
    for order, errors in {"own": own, **others}.items():
        permuted = {} if order == "own" else {"permute": order, "permute_seed": 2}
        config = json.dumps({"task": {"name": "recovery", **permuted}, "layer": str(make)})
        facts = {"permute": permuted.get("permute"), "config": config, "num_params": 500}
        rows += [make(seed=s, rmse=error, **facts) for s, error in enumerate(errors)]
    return rows


def blocks(seed: int, **facts: object) -> Row:
    return block_term(4, 2, 3, seed, **facts)


def rings(seed: int, **facts: object) -> Row:
    return ring(4, seed, **facts)


ORDER_ROWS = [
    *in_order(rings, [0.20, 0.22, 0.21], modes=[0.20, 0.23, 0.21], pixels=[0.50, 0.54, 0.52]),
    *in_order(blocks, [0.30, 0.32, 0.31], pixels=[0.40, 0.43, 0.42]),
    *in_order(lambda seed, **k: run("cp", seed, cp_rank=2, **k), [0.3, 0.3, 0.3]),
]


def test_another_order_costs_what_the_same_seeds_lose() -> None:
    found = costs(frame("runs", ORDER_ROWS)).set_index(["family", "order"])
    assert sorted(found.index) == [
        ("block_term", "pixels"),
        ("tensor_ring", "modes"),
        ("tensor_ring", "pixels"),
    ]
    assert found.loc[("tensor_ring", "pixels"), "difference"] == pytest.approx(0.93 / 3)
    assert found.loc[("tensor_ring", "pixels"), "verdict"] == WORSE
    assert found.loc[("tensor_ring", "modes"), "verdict"] == NOT_SHOWN
    assert set(means(frame("runs", ORDER_ROWS))["family"]) == {"block_term", "tensor_ring"}


def test_block_terms_are_held_against_each_other_decomposition() -> None:
    found = against_blocks(frame("runs", ORDER_ROWS))
    assert list(found["other"]) == ["tensor_ring"]
    assert found.iloc[0]["difference"] == pytest.approx(0.32 / 3 - 0.93 / 3)
    assert found.iloc[0]["verdict"] == BETTER


def test_the_figure_and_the_tables_of_orders() -> None:
    figure = drawn(permutation(frame("runs", ORDER_ROWS)))
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["block term", "tensor ring"]
    found = sheets(frames_of(ORDER_ROWS))
    assert sorted(found) == ["permutation", "permutation_bt"]
    assert list(found["permutation"].shown["verdict"]) == [WORSE, NOT_SHOWN, WORSE]
    assert sorted(sheets(frames_of(BUDGET_ROWS))) == ["budget"]
    shown = sheets(frames_of(BUDGET_ROWS))["budget"].shown
    assert list(shown["verdict"][:3]) == [BEST, NOT_SHOWN, WORSE]


def test_an_input_in_one_order_has_nothing_to_say() -> None:
    assert not has_orders(frame("runs", BUDGET_ROWS))
    assert not has_orders(frame("runs", []))
    with pytest.raises(ValueError, match="run on its input in two orders"):
        permutation(frame("runs", BUDGET_ROWS))
