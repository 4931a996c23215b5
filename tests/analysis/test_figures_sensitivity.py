"""One hyperparameter at a time: which points a line joins, and what it shows."""

from __future__ import annotations

import json

import pytest

from rankbench.analysis.figures.catalog import sensitivity
from rankbench.analysis.figures.style import caption_of
from rankbench.analysis.summaries.sweeps import lines_of, means_of
from tests.helpers.figure_checks import drawn, labels_of
from tests.helpers.frames import Row, block_term, bt_lstm, frame, ring, run


def grid(seeds: int = 1, orders: tuple[int, ...] = (2, 3)) -> list[Row]:
    """Block terms over d, R and N whose RMSE falls with R and N."""
    return [
        block_term(R, N, d, seed, num_params=100 * R * N * d, rmse=0.1 * d / (R * N) + 0.01 * seed)
        for d in orders
        for R in (1, 2, 4)
        for N in (1, 2)
        for seed in range(seeds)
    ]


def done(rows: list[Row]) -> object:
    return frame("runs", rows).assign(family=[row["decomposition"] for row in rows])


def test_a_line_joins_points_that_differ_in_one_hyperparameter() -> None:
    lines = lines_of(done(grid(2)), "tucker_rank", "rmse")
    assert sorted(set(lines["line"])) == ["d=2 N=1", "d=2 N=2", "d=3 N=1", "d=3 N=2"]
    one = lines[lines["line"] == "d=2 N=2"]
    assert list(one["x"]) == [1, 2, 4]
    assert list(one["mean"]) == pytest.approx([0.105, 0.055, 0.03])
    assert list(one["num_params"]) == [400, 800, 1600]
    half = 12.7062 * 0.005
    assert list(one["high"] - one["mean"]) == pytest.approx([half] * 3, abs=1e-5)


def test_ranks_of_decompositions_have_lines_of_their_own() -> None:
    rows = [ring(R, num_params=R, rmse=1 / R) for R in (2, 4)]
    rows += [run("tensor_train", tt_rank=R, ranks=[1, R, 1], num_params=R, rmse=1) for R in (2, 3)]
    runs = done(rows)
    assert list(lines_of(runs, "tr_rank", "rmse")["line"]) == ["TR", "TR"]
    assert list(lines_of(runs, "tt_rank", "rmse")["x"]) == [2, 3]
    assert lines_of(runs, "core_order", "rmse").empty
    assert lines_of(runs, "tucker_rank", "rmse").empty


def test_other_modes_training_and_rank_patterns_break_a_line() -> None:
    modes = [ring(R, in_modes=[R * 2, 4], num_params=R, rmse=0.1) for R in (2, 4)]
    assert lines_of(done(modes), "tr_rank", "rmse").empty
    configs = [json.dumps({"training": {"epochs": R}}) for R in (2, 4)]
    trained = [
        ring(R, num_params=R, rmse=0.1, config=config)
        for R, config in zip((2, 4), configs, strict=True)
    ]
    assert lines_of(done(trained), "tr_rank", "rmse").empty
    mixed = [ring(4, num_params=4, rmse=0.1), ring(8, num_params=8, rmse=0.1)]
    mixed[1]["ranks"] = [8, 2, 2, 2]
    assert lines_of(done(mixed), "tr_rank", "rmse").empty


def test_the_mean_over_lines_leaves_incomplete_ones_out() -> None:
    rows = grid(2, orders=(2,))
    rows += [block_term(R, 4, 2, num_params=9, rmse=9.0) for R in (1, 2)]  # R=4 is not there
    points = means_of(lines_of(done(rows), "tucker_rank", "rmse"))
    assert list(points["x"]) == [1, 2, 4]
    assert list(points["mean"]) == pytest.approx([0.155, 0.08, 0.0425])
    # Seeds differ by 0.01 in every line, so that their means over lines do as well.
    half = 12.7062 * 0.005
    assert list(points["high"] - points["mean"]) == pytest.approx([half] * 3, abs=1e-5)


def test_lines_with_one_name_are_numbered() -> None:
    rows = [
        ring(R, num_params=R, rmse=0.1, config=json.dumps({"training": {"learning_rate": rate}}))
        for R in (2, 4)
        for rate in (0.1, 0.2)
    ]
    assert set(lines_of(done(rows), "tr_rank", "rmse")["line"]) == {"TR", "TR (2)"}


def test_sensitivity_has_a_panel_per_hyperparameter_metric_over_parameters() -> None:
    figure = drawn(sensitivity(frame("runs", grid(2, orders=(2,)))))
    assert len(figure.axes) == 4
    r_top, n_top, r_bottom, n_bottom = figure.axes
    assert [ax.get_xlabel() for ax in (r_bottom, n_bottom)] == ["Tucker-rank R", "CP-rank N"]
    assert [ax.get_ylabel() for ax in (r_top, r_bottom)] == ["RMSE of W", "parameters"]
    assert labels_of(r_top) == ["N=1", "N=2"]
    assert labels_of(n_top) == ["R=1", "R=2", "R=4"]
    assert r_bottom.get_xscale() == "log"
    assert n_bottom.get_xscale() == "linear"
    assert [text.get_text() for text in r_bottom.get_xticklabels()] == ["1", "2", "4"]
    assert caption_of(figure) == "2 runs a point, bar: 95% t interval"


def test_many_lines_are_pale_behind_their_mean() -> None:
    figure = drawn(sensitivity(frame("runs", grid(2, orders=(2, 3, 4, 6)))))
    top = figure.axes[1]
    assert labels_of(top) == ["block term"]
    bold = [artist for artist in top.get_lines() if artist.get_linewidth() == 2.2]
    assert len(bold) == 1
    assert "bold: mean over those with every value" in caption_of(figure)


def test_sensitivity_serves_accuracies() -> None:
    rows = [bt_lstm(R, 700 * R, 0.7 + 0.01 * R) for R in (1, 2, 4)]
    figure = drawn(sensitivity(frame("runs", rows)))
    assert figure.axes[0].get_ylabel() == "top test accuracy"
    assert list(figure.axes[0].get_lines()[0].get_ydata()) == pytest.approx([0.71, 0.72, 0.74])
    assert caption_of(figure) == "one run a point"


def test_one_run_has_the_interval_of_its_test_clips() -> None:
    rows = [bt_lstm(R, 700 * R, 0.5, test_size=100) for R in (1, 2)]
    lines = lines_of(done(rows), "tucker_rank", "top_accuracy")
    assert list(lines["low"]) == pytest.approx([0.40383] * 2, abs=1e-5)
    figure = drawn(sensitivity(frame("runs", rows)))
    wanted = "one run a point, bar: 95% Wilson interval over the test clips"
    assert caption_of(figure) == wanted


def test_sensitivity_refuses_what_does_not_vary() -> None:
    text = r"^sensitivity: no hyperparameter of a decomposition has two values$"
    with pytest.raises(ValueError, match=text):
        sensitivity(frame("runs", [ring(2, num_params=4, rmse=0.1)]))


def test_wide_intervals_of_an_accuracy_do_not_stretch_the_panel() -> None:
    rows = [
        bt_lstm(R, 100 * R, 0.6 + 0.02 * R + 0.1 * seed, seed) for R in (1, 2, 4) for seed in (0, 1)
    ]
    figure = drawn(sensitivity(frame("runs", rows)))
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == pytest.approx((0.57, 0.83))
    assert "bars end where the panel does" in caption_of(figure)
