"""Figures of classified clips: by split, against parameters, over epochs, on features."""

from __future__ import annotations

import json
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.figures.catalog import (
    accuracy_vs_parameters,
    curves_by_split,
    epochs_to_accuracy,
    features,
    splits,
)
from rankbench.analysis.figures.style import caption_of
from rankbench.analysis.tables.training import time_sheet
from tests.analysis.test_action_tables import features as feature_run
from tests.helpers.figure_checks import drawn, line
from tests.helpers.frames import Row, bt_lstm, epochs, frame, lstm, run


def legend(figure: Figure) -> list[str]:
    """The texts of the legend of a whole figure."""
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def marks(ax: Axes, *, hollow: bool = False, shape: str | None = None) -> list[tuple[float, float]]:
    """x and y of the single marks of `ax`, filled or hollow."""
    found = []
    for artist in ax.get_lines():
        x, y = artist.get_data()
        is_hollow = artist.get_markerfacecolor() == "white"
        wanted = artist.get_marker() != "None" if shape is None else artist.get_marker() == shape
        if len(x) == 1 and wanted and is_hollow == hollow:
            found.append((round(float(x[0]), 6), round(float(y[0]), 6)))
    return found


def two_splits(seeds: int = 1) -> list[Row]:
    return [
        row
        for split, drop in (("clip", 0.0), ("group", 0.3))
        for seed in range(seeds)
        for row in (
            lstm(0.7 - drop + 0.02 * seed, seed, split=split, test_size=320),
            bt_lstm(4, 3392, 0.8 - drop + 0.02 * seed, seed, split=split, test_size=320),
            bt_lstm(1, 722, 0.75 - drop + 0.02 * seed, seed, split=split, test_size=320),
        )
    ]


# Curves by split.


def test_curves_by_split_have_a_column_a_split_and_a_row_a_curve() -> None:
    rows = two_splits(2)
    curve = [
        r
        for row in rows
        for r in epochs(row, train_loss=[1.0, 0.5], accuracy=[0.2, row["top_accuracy"]])
    ]
    figure = drawn(curves_by_split(frame("runs", rows), frame("epochs", curve)))
    loss_clip, loss_group, clip, group = figure.axes
    assert [loss_clip.get_title(), loss_group.get_title()] == ["clip split", "group split"]
    assert [loss_clip.get_ylabel(), clip.get_ylabel()] == ["training loss", "test accuracy"]
    assert line(clip, "BT R=4 N=2")[1] == pytest.approx([0.2, 0.81])
    assert line(group, "BT R=4 N=2")[1] == pytest.approx([0.2, 0.51])
    levels = sorted(y for _, y in marks(group, shape="<"))
    assert levels == [0.681, 0.697, 0.784, 0.853, 0.856]
    assert legend(figure) == [
        "LSTM  59.0M parameters",
        "BT R=1 N=2  CR 81693x",
        "BT R=4 N=2  CR 17388x",
    ]
    assert caption_of(figure).startswith("mean of 2 runs in its 95% t interval; 57600 features")


def test_validation_accuracy_has_a_row_of_panels() -> None:
    row = lstm(0.7)
    curve = epochs(row, train_loss=[1.0], accuracy=[0.7], validation_accuracy=[0.65])
    figure = drawn(curves_by_split(frame("runs", [row]), frame("epochs", curve)))
    names = [ax.get_ylabel() for ax in figure.axes]
    assert names == ["training loss", "validation accuracy", "test accuracy"]
    assert line(figure.axes[1], "LSTM")[1] == [0.65]


def test_of_many_models_the_best_of_each_decomposition_are_drawn() -> None:
    rows = [bt_lstm(R, 700 * R, 0.5 + 0.01 * R) for R in range(1, 12)] + [lstm(0.4)]
    curve = [r for row in rows for r in epochs(row, train_loss=[1.0], accuracy=[0.5])]
    figure = curves_by_split(frame("runs", rows), frame("epochs", curve))
    assert [text.split("  ")[0] for text in legend(figure)] == ["LSTM", "BT R=11 N=2"]
    assert "best of each decomposition, of 12 models" in caption_of(figure)


def test_curves_by_split_refuse_what_has_no_curve() -> None:
    with pytest.raises(ValueError, match=r"^curves_by_split: no finished run has epochs$"):
        curves_by_split(frame("runs", [lstm(0.5)]), frame("epochs", []))


# Against parameters.


def test_accuracy_against_parameters_shows_published_values_hollow() -> None:
    figure = drawn(accuracy_vs_parameters(frame("runs", two_splits())))
    clip, group = figure.axes
    assert sorted(marks(clip)) == [(722, 0.75), (3392, 0.8)]
    assert sorted(marks(group)) == [(722, 0.45), (3392, 0.5)]
    hollow = sorted(y for _, y in marks(clip, hollow=True))
    assert hollow == [0.784, 0.853, 0.856]
    across = sorted(float(artist.get_ydata()[0]) for artist in clip.get_lines()[:3])
    assert across == [0.681, 0.697, 0.7]
    assert "one run; thin bar: 95% Wilson interval over the test clips" in caption_of(figure)


def test_accuracy_against_parameters_names_the_dense_model_drawn() -> None:
    rates = {
        rate: json.dumps({"task": {"classes": 11}, "training": {"learning_rate": rate}})
        for rate in (1e-3, 1e-4)
    }
    rows = [lstm(0.5, config=rates[1e-3]), lstm(0.6, config=rates[1e-4])]
    rows += [bt_lstm(R, 700 * R, 0.7, config=rates[1e-3]) for R in (1, 2)]
    figure = accuracy_vs_parameters(frame("runs", rows))
    names = legend(figure)
    assert names[0] == "LSTM learning_rate=0.0001  59.0M: line"
    assert not any("learning_rate=0.001 " in name for name in names)


# Splits.


def test_splits_have_a_mark_a_split_and_say_what_is_lost() -> None:
    figure = drawn(splits(frame("runs", two_splits(3))))
    (ax,) = figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["LSTM", "BT R=1 N=2", "BT R=4 N=2"]
    assert sorted(x for x, _ in marks(ax, shape="o")) == pytest.approx([0.72, 0.77, 0.82])
    assert sorted(x for x, _ in marks(ax, shape="s")) == pytest.approx([0.42, 0.47, 0.52])
    assert [text.get_text() for text in ax.texts] == ["−0.30"] * 3
    assert legend(figure) == ["clip split", "group split", "as published"]
    caption = caption_of(figure).replace("\n", " ")
    assert "mean of 3 runs; thick bar: its 95% t interval over runs" in caption
    assert "right: group minus clip" in caption


def test_splits_draw_both_intervals() -> None:
    rows = [lstm(top, seed, test_size=100) for seed, top in enumerate((0.5, 0.7))]
    (ax,) = splits(frame("runs", rows)).axes
    bars = {
        artist.get_linewidth(): tuple(map(float, artist.get_xdata()))
        for artist in ax.get_lines()
        if len(artist.get_xdata()) == 2 and artist.get_linewidth() in (0.9, 2.6)
    }
    assert bars[0.9] == pytest.approx((0.50200, 0.69060), abs=1e-4)
    assert bars[2.6] == (0.0, 1.0)  # two runs: t is 12.7, cut to what an accuracy can be


# Epochs to an accuracy.


def test_epochs_to_accuracy_beside_the_published_ones() -> None:
    rows = [lstm(0.7), bt_lstm(4, 3392, 0.8, 0), bt_lstm(4, 3392, 0.65, 1)]
    curves = ([0.4, 0.5, 0.61], [0.62, 0.71, 0.8], [0.5, 0.65, 0.65])
    curve = [r for row, c in zip(rows, curves, strict=True) for r in epochs(row, accuracy=c)]
    figure = drawn(epochs_to_accuracy(frame("runs", rows), frame("epochs", curve)))
    (ax,) = figure.axes
    assert sorted(marks(ax)) == [(1.5, 1), (2, 1), (3, 0), (3, 1)]
    assert sorted(marks(ax, hollow=True)) == [(16, 1), (230, 0)]
    assert [text.get_text() for text in ax.texts] == ["1/2", "1/2"]
    assert ax.get_xscale() == "log"


def test_a_split_nobody_learns_is_named_and_not_drawn() -> None:
    rows = [lstm(0.7, epochs_to_60=5), lstm(0.4, split="group")]
    figure = drawn(epochs_to_accuracy(frame("runs", rows), frame("epochs", [])))
    assert [ax.get_title() for ax in figure.axes] == ["clip split"]
    assert "never 0.60: group split" in caption_of(figure)
    with pytest.raises(ValueError, match=r"^epochs_to_accuracy: no run reaches an accuracy of"):
        epochs_to_accuracy(frame("runs", rows[1:]), frame("epochs", []))


# Features.


def on_features(dense_s: float, ring_s: float) -> tuple[list[Row], list[Row]]:
    rows = [feature_run("dense", 0.9 + 0.01 * seed, seed, test_size=326) for seed in (0, 1)]
    rows += [feature_run("tensor_ring", 0.91, seed, test_size=326) for seed in (0, 1)]
    paces = [dense_s, dense_s, ring_s, ring_s]
    curve = [
        r
        for row, pace in zip(rows, paces, strict=True)
        for r in epochs(row, accuracy=[0.5, 0.9], seconds=[pace, 2 * pace])
    ]
    return rows, curve


def test_features_show_accuracy_size_and_time() -> None:
    rows, curve = on_features(10.0, 15.0)
    figure = drawn(features(frame("runs", rows), frame("epochs", curve)))
    left, middle, right = figure.axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["CNN + LSTM", "CNN + TR R=40–60"]
    assert [x for x, _ in marks(left)] == pytest.approx([0.905, 0.91])
    assert [x for x, _ in marks(left, hollow=True)] == [0.923, 0.938]
    assert [text.get_text() for text in middle.texts] == ["10.5M", "500.0k, 21.0x fewer"]
    assert [text.get_text() for text in right.texts] == ["10.0 s", "15.0 s, 1.5x slower"]
    caption = caption_of(figure).replace("\n", " ")
    assert "not as published: 1280 inputs, not features of Inception-V3" in caption


def test_features_and_the_table_say_which_is_faster() -> None:
    rows, curve = on_features(10.0, 5.0)
    figure = features(frame("runs", rows), frame("epochs", curve))
    assert figure.axes[2].texts[1].get_text() == "5.00 s, 2.0x faster"
    sheet = time_sheet(frame("runs", rows), frame("epochs", curve))
    assert list(sheet.shown["s an epoch"]) == ["10.0", "5.00"]
    assert list(sheet.shown["/ dense"]) == ["1.00", "0.50"]


def test_features_are_drawn_without_times() -> None:
    rows, _ = on_features(1.0, 1.0)
    figure = drawn(features(frame("runs", rows), frame("epochs", [])))
    assert not list(figure.axes[2].texts)


# All of them.


@pytest.mark.parametrize("draw", [accuracy_vs_parameters, splits])
def test_what_does_not_classify_is_refused(draw: Any) -> None:
    rows = [run(top_accuracy=0.5)]
    text = f"^{draw.__name__}: none of 1 finished runs classifies clips$"
    with pytest.raises(ValueError, match=text):
        draw(frame("runs", rows))


def test_splits_differ_by_shape_and_by_colour() -> None:
    colours, shapes = zip(*style.SPLIT_LOOKS, strict=True)
    assert len(set(colours)) == len(set(shapes)) == len(style.SPLIT_LOOKS)
    assert set(colours) <= set(style.COLOURS.values())


def test_a_legend_has_no_more_columns_than_the_figure_has_room_for() -> None:
    for length, columns in ((5, 4), (40, 2), (200, 1)):
        figure = style.new(8.0, 3.0)
        figure.subplots()
        handles = [Line2D([], [], label=f"{number} {'x' * length}") for number in range(4)]
        style.legend_above(figure, handles, 4)
        (made,) = figure.legends
        assert made._ncols == columns
        assert columns == 1 or made.get_window_extent().width <= figure.bbox.width
