"""Curves over epochs, and what their legends say."""

from __future__ import annotations

import json

import pytest

from rankbench.analysis.figures.catalog import curves
from rankbench.analysis.figures.style import caption_of
from tests.helpers.figure_checks import drawn, labels_of, line
from tests.helpers.frames import block_term, bt_lstm, epochs, frame, lstm, run


def test_curves_name_compression_and_top_accuracy() -> None:
    rows = [bt_lstm(4, 3392, 0.8531), bt_lstm(1, 722, 0.784), lstm(0.697)]
    curve = [
        row
        for run_, end in zip(rows, (0.8, 0.7, 0.6), strict=True)
        for row in epochs(run_, train_loss=[2.0, 1.0, end], accuracy=[0.1, end, end / 2])
    ]
    figure = drawn(curves(frame("runs", rows), frame("epochs", curve)))
    left, right, legend = figure.axes
    assert labels_of(legend) == [
        "LSTM  59.0M parameters  top 0.697  paper: 0.681, 0.697",
        "BT R=1 N=2  CR 81693x  top 0.784  paper: 0.784",
        "BT R=4 N=2  CR 17388x  top 0.853  paper: 0.853, 0.856",
    ]
    assert (left.get_xlabel(), left.get_ylabel()) == ("epoch", "training loss")
    assert (right.get_xlabel(), right.get_ylabel()) == ("epoch", "test accuracy")
    point = rows[0]["point_id"]
    assert line(left, point) == ([1, 2, 3], [2.0, 1.0, 0.8])
    assert line(right, point) == ([1, 2, 3], [0.1, 0.8, 0.4])
    marks = [artist for artist in right.get_lines() if artist.get_marker() == "<"]
    assert sorted(mark.get_ydata()[0] for mark in marks) == [0.681, 0.697, 0.784, 0.853, 0.856]
    assert figure.get_suptitle() == "Clip split"
    assert caption_of(figure) == "one seed; ◂: as published"


def test_curves_do_not_quote_papers_for_other_data() -> None:
    other = json.dumps({"task": {"name": "action", "classes": 51}})
    rows = [bt_lstm(4, 3392, 0.8, config=other)]
    curve = epochs(rows[0], train_loss=[1.0], accuracy=[0.8])
    figure = curves(frame("runs", rows), frame("epochs", curve))
    assert labels_of(figure.axes[2]) == ["BT R=4 N=2  CR 17388x  top 0.800"]
    assert caption_of(figure) == "one seed"


def test_curves_average_over_seeds() -> None:
    rows = [lstm(top, seed) for seed, top in enumerate((0.5, 0.7))]
    rows.append(lstm(0.9, 2, status="killed"))
    curve = [
        r
        for row in rows
        for r in epochs(row, train_loss=[2.0, row["top_accuracy"]], accuracy=[0.1, 0.4])
    ]
    figure = drawn(curves(frame("runs", rows), frame("epochs", curve)))
    left, _, legend = figure.axes
    assert line(left, rows[0]["point_id"]) == ([1, 2], pytest.approx([2.0, 0.6]))
    (band,) = left.collections
    ends = band.get_paths()[0].get_extents()
    assert (ends.ymin, ends.ymax) == pytest.approx((0.6 - 1.2706, 2.0), abs=1e-3)
    (text,) = labels_of(legend)
    assert text.startswith("LSTM  59.0M parameters  top 0.600 ± 1.271")
    assert "mean of 2 seeds, band and ±: 95% t interval" in caption_of(figure)
    assert "2 of 3 runs (not drawn: 1 killed)" in caption_of(figure)


def test_curves_on_a_log_axis_have_the_range_of_the_seeds_for_a_band() -> None:
    rows = [block_term(4, 1, seed=seed, num_params=528, rmse=0.01) for seed in (0, 1)]
    ends = (0.001, 0.02)
    curve = [
        r
        for row, end in zip(rows, ends, strict=True)
        for r in epochs(row, train_loss=[1.0, 0.9], rmse=[0.9, end])
    ]
    figure = drawn(curves(frame("runs", rows), frame("epochs", curve)))
    (band,) = figure.axes[1].collections
    assert band.get_paths()[0].get_extents().ymin == pytest.approx(0.001)
    assert "band: their range, ±: 95% t interval" in caption_of(figure)


def test_curves_take_the_folds_of_a_model_together() -> None:
    rows = []
    for fold, top in enumerate((0.5, 0.7)):
        task = {"name": "action", "classes": 11, "fold": fold}
        rows.append(lstm(top, fold=fold, config=json.dumps({"task": task})))
    assert rows[0]["point_id"] != rows[1]["point_id"]
    curve = [r for row in rows for r in epochs(row, accuracy=[0.1, row["top_accuracy"]])]
    figure = drawn(curves(frame("runs", rows), frame("epochs", curve)))
    assert line(figure.axes[1], "LSTM")[1] == pytest.approx([0.1, 0.6])


def test_curves_of_a_recovery_show_rmse() -> None:
    row = block_term(4, 1, num_params=528, rmse=0.0123)
    curve = epochs(row, train_loss=[9.0, 1.0, 0.1], rmse=[0.9, 0.1, 0.0123])
    figure = drawn(curves(frame("runs", [row]), frame("epochs", curve)))
    left, right, legend = figure.axes
    assert right.get_ylabel() == "RMSE of W"
    assert line(right, row["point_id"])[1] == [0.9, 0.1, 0.0123]
    assert left.get_yscale() == right.get_yscale() == "log"
    assert labels_of(legend) == ["BT R=4 N=1  CR 7.8x  RMSE 0.0123"]


def test_curves_of_many_points_keep_the_best_of_each_decomposition() -> None:
    rows = [block_term(R, num_params=129 * R, rmse=1 / R) for R in range(1, 11)] + [run(rmse=0.01)]
    curve = [r for row in rows for r in epochs(row, train_loss=[1.0], rmse=[0.5])]
    figure = curves(frame("runs", rows), frame("epochs", curve))
    assert labels_of(figure.axes[2]) == [
        "dense  4096 parameters  RMSE 0.0100",
        "BT R=10 N=1  CR 3.2x  RMSE 0.100",
    ]
    assert "best of each decomposition, of 11 points" in caption_of(figure)


def test_curves_of_many_points_of_one_decomposition_are_evenly_spaced() -> None:
    rows = [block_term(R, num_params=129 * R, rmse=1 / R) for R in range(1, 20)]
    curve = [r for row in rows for r in epochs(row, train_loss=[1.0], rmse=[0.5])]
    figure = curves(frame("runs", rows), frame("epochs", curve))
    ranks = [int(text.split("R=")[1].split()[0]) for text in labels_of(figure.axes[2])]
    assert ranks == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    assert "10 of 19 points, evenly spaced by parameters" in caption_of(figure)


def test_curves_refuse_what_has_no_curve() -> None:
    row = lstm(0.5)
    runs, none = frame("runs", [row]), frame("epochs", [])
    with pytest.raises(ValueError, match=r"^curves: there are no epochs$"):
        curves(runs, none)
    with pytest.raises(ValueError, match=r"^curves: the epochs have neither accuracy nor rmse$"):
        curves(runs, frame("epochs", epochs(row, train_loss=[1.0])))
    other = frame("epochs", epochs(lstm(0.5, 7), accuracy=[0.5]))
    with pytest.raises(ValueError, match=r"^curves: no finished run has epochs$"):
        curves(runs, other)
