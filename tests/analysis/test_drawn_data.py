"""A figure read back as a frame: what is drawn, where, whose it is."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures.to_frame import COLUMNS, data_of


@pytest.fixture
def figure() -> Figure:
    return Figure(figsize=(4, 3))


@pytest.fixture
def ax(figure: Figure) -> Axes:
    own = figure.subplots()
    own.set(title="T", xlabel="x axis", ylabel="y axis")
    return own


def test_a_line_has_its_points_its_label_and_its_panel(figure: Figure, ax: Axes) -> None:
    ax.plot([1, 2], [3.0, 4.0], label="one", color="#d55e00")
    frame = data_of(figure)
    assert list(frame.columns) == list(COLUMNS)
    assert frame.iloc[0].to_dict() == {
        "panel": 1,
        "title": "T",
        "x_label": "x axis",
        "y_label": "y axis",
        "kind": "line",
        "series": "one",
        "colour": "#d55e00",
        "x": 1,
        "y": 3.0,
    }
    assert list(frame["y"]) == [3.0, 4.0]


def test_error_bars_are_marks_and_the_ends_of_intervals(figure: Figure, ax: Axes) -> None:
    ax.errorbar([1.0], [5.0], yerr=[[1.0], [2.0]], label="mean", fmt="o", capsize=2)
    frame = data_of(figure)
    assert list(frame["kind"]) == ["marks", "interval", "interval"]
    assert list(frame["y"]) == [5.0, 4.0, 7.0]
    assert set(frame["series"]) == {"mean"}


def test_bars_bands_and_scattered_marks(figure: Figure, ax: Axes) -> None:
    ax.barh([1], [7.0], label="bar")
    ax.scatter([1.0, 2.0], [8.0, 9.0], label="dots")
    ax.fill_between([0.0, 1.0], [0.0, 0.0], [1.0, 1.0])
    frame = data_of(figure)
    assert list(frame.loc[frame["kind"] == "bar", "x"]) == [7.0]
    assert list(frame.loc[frame["kind"] == "marks", "y"]) == [8.0, 9.0]
    band = frame[frame["kind"] == "band"]
    assert (min(band["y"]), max(band["y"])) == (0.0, 1.0)


def test_a_picture_is_its_cells(figure: Figure, ax: Axes) -> None:
    ax.imshow(np.array([[1.0, 2.0], [3.0, 4.0]]))
    frame = data_of(figure)
    assert list(frame["kind"]) == ["cell"] * 4
    cell = frame[(frame["x"] == 1) & (frame["y"] == 0)]
    assert list(cell["value"]) == [2.0]


def test_a_colour_that_one_legend_entry_has_names_what_has_no_label(
    figure: Figure, ax: Axes
) -> None:
    (red,) = ax.plot([1], [1], color="red")
    (blue,) = ax.plot([2], [2], color="blue")
    figure.legend(handles=[red, blue], labels=["fire", "sea"])
    assert list(data_of(figure)["series"]) == ["fire", "sea"]


def test_a_line_across_a_panel_has_no_place_along_it(figure: Figure, ax: Axes) -> None:
    ax.axhline(0.5, label="level")
    ax.plot([0, 1], [0, 1], transform=ax.transAxes)  # no data: left out
    frame = data_of(figure)
    assert list(frame["y"]) == [0.5, 0.5]
    assert frame["x"].isna().all()
