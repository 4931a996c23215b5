"""Shares of variance and importances: they find the hyperparameter that decides."""

from __future__ import annotations

import itertools
import math

import pytest

from rankbench.analysis.figures.catalog import draw_named
from rankbench.analysis.figures.effects import importance, interactions
from rankbench.analysis.figures.style import caption_of
from rankbench.analysis.summaries.effects import effects, grids, has_effects
from rankbench.analysis.summaries.importances import importances
from rankbench.analysis.tables.catalog import sheets
from rankbench.store.schema import TABLES
from tests.helpers.figure_checks import drawn
from tests.helpers.frames import Row, block_term, frame, ring
from tests.helpers.large import REFERENCE

WIGGLE = {0: 1.0, 1: 1.02, 2: 0.97}


def blocks(d: int, R: int, N: int, rmse: float) -> list[Row]:
    return [
        block_term(R, N, d, s, num_params=100 * R * N * d, rmse=rmse * wiggle**N)
        for s, wiggle in WIGGLE.items()
    ]


# R decides the error; d and N add a little; nothing depends on two at once.
ADDED = [
    row
    for d, R, N in itertools.product((2, 3), (1, 2, 4), (1, 2))
    for row in blocks(d, R, N, rmse=0.5 / R**2 * (1.1 if d == 3 else 1.0))
]
# d matters with R=4 alone.
CROSSED = [
    row
    for d, R, N in itertools.product((2, 3), (1, 4), (1, 2))
    for row in blocks(d, R, N, rmse=0.1 if (d, R) == (3, 4) else 0.5)
]


def test_the_share_of_variance_is_that_of_what_decides() -> None:
    table = effects(frame("runs", ADDED))
    errors = table[table["outcome"] == "rmse"].set_index("term")
    assert errors["share"].sum() == pytest.approx(1)
    assert errors.loc["R", "share"] > 0.95
    assert errors.loc["R", "p_holm"] < 1e-6
    assert errors.loc["d x R", "share"] < 1e-3
    assert errors.loc["d x R", "p_holm"] > 0.05
    counts = table[table["outcome"] == "num_params"]
    assert counts["p_holm"].isna().all()  # the same for all seeds: nothing to test


def test_an_interaction_is_told_from_main_effects() -> None:
    table = effects(frame("runs", CROSSED))
    errors = table[table["outcome"] == "rmse"].set_index("term")
    assert errors.loc["d x R", "share"] == pytest.approx(1 / 3, abs=0.02)
    assert errors.loc["d x R", "p_holm"] < 0.001
    assert errors.loc["d x N", "p_holm"] > 0.05


def test_a_value_that_is_not_everywhere_is_left_out() -> None:
    extra = blocks(2, 8, 1, rmse=0.01) + blocks(2, 8, 2, rmse=0.01)  # R=8 at d=2 alone
    (grid,) = grids(frame("runs", ADDED + extra))
    assert sorted(grid["R"].unique()) == [1, 2, 4]
    assert len(grid) == len(ADDED)
    lone = [*blocks(2, 1, 1, 0.5), *blocks(3, 2, 1, 0.4)]
    assert not has_effects(frame("runs", lone))


def test_importances_sum_to_one_in_each_branch_and_find_what_decides() -> None:
    rows = ADDED + [ring(R, s, num_params=R, rmse=1 / R) for R in (2, 3) for s in (0, 1)]
    table = importances(frame("runs", rows))
    assert set(table["family"]) == {"block_term"}  # a ring has one hyperparameter that varies
    errors = table[table["outcome"] == "rmse"].set_index("term")
    assert errors["share"].sum() == pytest.approx(1)
    assert errors["share"].idxmax() == "R"
    assert (errors["low"] <= errors["high"]).all()
    counts = table[table["outcome"] == "num_params"]
    assert math.isnan(counts["low"].iloc[0])
    assert table.equals(importances(frame("runs", rows)))


def test_the_figures_say_what_they_draw() -> None:
    figure = drawn(interactions(frame("runs", CROSSED)))
    titles = [ax.get_title() for ax in figure.axes]
    assert [title.partition(":")[0] for title in titles] == ["d × R", "d × N", "R × N"]
    assert "not shown" not in titles[0]
    assert "not shown" in titles[1]
    bars = drawn(importance(frame("runs", ADDED)))
    assert [ax.get_title() for ax in bars.axes] == ["RMSE of W", "parameters"]
    assert [text.get_text() for text in bars.axes[0].get_yticklabels()] == ["BT d", "BT R", "BT N"]
    assert "best 25% of 12 points" in caption_of(bars)


def test_the_tables_say_shown_only_where_a_test_shows_it() -> None:
    rows = {table: frame(table, CROSSED if table == "runs" else []) for table in TABLES}
    shown = sheets(rows)["effects"].shown.set_index(["outcome", "term"])
    assert shown.loc[("RMSE of W", "d x R"), "verdict"] == "shown"
    assert shown.loc[("RMSE of W", "d x N"), "verdict"] == "not shown"
    assert shown.loc[("parameters", "d"), "verdict"] == "-"


def test_one_hyperparameter_has_no_interaction() -> None:
    rows = [ring(R, num_params=R, rmse=1 / R) for R in (2, 4)]
    with pytest.raises(ValueError, match="no full grid of two hyperparameters"):
        interactions(frame("runs", rows))
    with pytest.raises(ValueError, match="no decomposition has eight points"):
        importance(frame("runs", rows))


def test_a_grid_without_replicates_leaves_nothing_to_test_by() -> None:
    rows = [row for d in (2, 3) for R in (1, 2) for row in blocks(d, R, 1, 0.1 * d + 0.01 * R)]
    assert has_effects(frame("runs", rows))
    single = [row for row in rows if row["seed"] == 0]
    assert len(single) == 4
    assert not has_effects(frame("runs", single))
    assert effects(frame("runs", single)).empty


def test_the_committed_study_of_drawing_has_its_importances() -> None:
    (figure,) = draw_named("importance", "draw-sensitivity", REFERENCE)
    assert figure.axes[0].get_title() == "negative ELBO (nats)"
