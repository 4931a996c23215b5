"""Figures show what the rows hold: lines, numbers in legends, what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from rankbench.analysis.figures import style
from rankbench.analysis.figures.catalog import parameters, rmse_vs_noise, trade_off
from rankbench.analysis.figures.style import caption_of
from rankbench.analysis.figures.timing import timing
from rankbench.analysis.figures.to_frame import data_of
from rankbench.analysis.names import LEAST_SQUARES, NAMES
from rankbench.layers import LAYERS
from tests.helpers.figure_checks import drawn, labels_of, line
from tests.helpers.frames import Row, block_term, bt_lstm, frame, lstm, ring, run, samples


def counts(orders: Sequence[int], R: int, counted: Sequence[int], **facts: Any) -> list[Row]:
    return [
        block_term(R, 1, d, num_params=p, **facts) for d, p in zip(orders, counted, strict=True)
    ]


def test_parameters_has_a_line_per_rank_and_the_dense_count() -> None:
    rows = counts([1, 2, 4], 1, [4097, 129, 33]) + counts([1, 2, 4], 4, [16388, 528, 384])
    figure = drawn(parameters(frame("runs", rows[::-1])))
    (ax,) = figure.axes
    assert labels_of(ax) == ["dense 4096", "R=4 N=1", "R=1 N=1"]
    assert line(ax, "R=1 N=1") == ([1, 2, 4], [4097, 129, 33])
    assert line(ax, "R=4 N=1") == ([1, 2, 4], [16388, 528, 384])
    assert line(ax, "dense 4096")[1] == [4096, 4096]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("core order d", "parameters")
    assert ax.get_yscale() == "log"
    assert ax.get_title() == "block term, I=64, J=64"
    assert caption_of(figure) == "rings: fewest parameters of each line"
    rings = [own for own in ax.get_lines() if own.get_label() == "_least"]
    assert sorted(own.get_xdata()[0] for own in rings) == [4, 4]


def test_parameters_counts_a_setting_once() -> None:
    rows = counts([1, 2], 1, [4097, 129]) + counts([2, 2], 1, [129, 257], seed=1, plan="paper")
    (ax,) = parameters(frame("runs", rows)).axes
    assert line(ax, "R=1 N=1") == ([1, 2], [4097, 129])


def test_parameters_gives_every_decomposition_a_panel() -> None:
    rings = [ring(3, core_order=d, num_params=p) for d, p in ((2, 288), (3, 216))]
    rows = counts([1, 2], 1, [4097, 129]) + rings + [run("low_rank", rank=2, num_params=256)]
    figure = drawn(parameters(frame("runs", rows)))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["block term, I=64, J=64", "tensor ring, I=64, J=64"]


def test_parameters_cuts_many_ranks_and_says_so() -> None:
    rows = [row for R in range(1, 21) for row in counts([1, 2], R, [4096 * R + R, 128 * R + R * R])]
    (ax,) = parameters(frame("runs", rows)).axes
    assert ax.get_legend().get_title().get_text() == "8 of 20 ranks"
    assert len(labels_of(ax)) == 9
    assert {"R=1 N=1", "R=20 N=1"} < set(labels_of(ax))


def test_parameters_says_how_many_runs_are_drawn() -> None:
    rows = counts([1, 2], 1, [4097, 129]) + counts([3, 4], 1, [49, 33], status="timeout")
    assert caption_of(parameters(frame("runs", rows))) == "2 of 4 runs (not drawn: 2 timeout)"


def test_parameters_refuses_a_single_core_order() -> None:
    with pytest.raises(ValueError, match=r"^parameters: no decomposition .* two core orders$"):
        parameters(frame("runs", counts([2], 1, [129])))


# trade_off


def texts(ax: Axes) -> str:
    return "\n".join(text.get_text() for text in ax.texts)


def test_trade_off_draws_and_lists_the_pareto_front() -> None:
    errors = {1: 0.5, 2: 0.6, 4: 0.2}
    rows = [block_term(R, num_params=129 * R, rmse=rmse) for R, rmse in errors.items()]
    rows.append(run("dense", learner="least_squares", rmse=0.1))
    figure = drawn(trade_off(frame("runs", rows)))
    ax, side = figure.axes
    front = ax.get_lines()[0]
    assert list(front.get_xdata()) == [129, 516, 4096]
    assert list(front.get_ydata()) == [0.5, 0.2, 0.1]
    marks = sorted(bars.lines[0].get_xdata()[0] for bars in ax.containers)
    assert marks == [129, 258, 516, 4096]
    assert [line.split() for line in texts(side).splitlines()] == [
        ["Pareto", "front", "P", "RMSE"],
        ["1", "BT", "R=1", "N=1", "129", "0.500"],
        ["2", "BT", "R=4", "N=1", "516", "0.200"],
        ["3", "linear", "regression", "4096", "0.100"],
    ]
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3"]
    assert labels_of(side) == ["linear regression", "block term", "Pareto front"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("parameters of the input map", "RMSE of W")
    assert ax.get_xscale() == "log"


def test_trade_off_of_accuracies_looks_for_more() -> None:
    rows = [bt_lstm(1, 722, 0.7), bt_lstm(2, 1472, 0.65), bt_lstm(4, 3392, 0.8), lstm(0.6)]
    figure = drawn(trade_off(frame("runs", rows)))
    assert list(figure.axes[0].get_lines()[0].get_ydata()) == [0.7, 0.8]
    assert figure.axes[0].get_ylabel() == "top test accuracy"
    assert figure.axes[0].get_title() == "Clip split"


def test_trade_off_draws_what_breaks_a_constraint_hollow() -> None:
    asked = '{"objectives": {"rmse": "minimize"}, "constraints": {"step_ms": {"high": 5.0}}}'
    facts = {1: (0.5, 1.0), 2: (0.1, 9.0), 4: (0.2, 2.0)}
    rows = [
        block_term(R, num_params=129 * R, rmse=rmse, step_ms=ms, search=asked)
        for R, (rmse, ms) in facts.items()
    ]
    figure = drawn(trade_off(frame("runs", rows)))
    ax, _ = figure.axes
    assert list(ax.get_lines()[0].get_ydata()) == [0.5, 0.2]
    faces = [bars.lines[0].get_markerfacecolor() for bars in ax.containers]
    assert [face == "none" for face in faces] == [False, True, False]
    assert "hollow: 1 points beyond step_ms at most 5" in style.caption_of(figure)


def test_trade_off_cuts_a_long_front() -> None:
    rows = [block_term(R, num_params=100 * R, rmse=1 / R) for R in range(1, 31)]
    figure = drawn(trade_off(frame("runs", rows)))
    assert len(figure.axes[0].get_lines()[0].get_xdata()) == 30
    assert "14 of 30 listed" in texts(figure.axes[1])


def test_trade_off_refuses_two_splits_and_no_metric() -> None:
    rows = [lstm(0.5), lstm(0.6, split="group")]
    text = "^trade_off: runs of one split can be compared, got: clip, group$"
    with pytest.raises(ValueError, match=text):
        trade_off(frame("runs", rows))
    with pytest.raises(
        ValueError, match=r"^trade_off: no finished run has rmse or top_accuracy or nelbo_nats$"
    ):
        trade_off(frame("runs", [run()]))


# timing


def test_timing_shows_every_sample_with_its_median() -> None:
    rows = [run("dense", device="cpu"), block_term(4, 1, num_params=528, device="cpu")]
    timed = samples(rows[0], forward=[9.0, 10.0, 20.0], step=[30.0, 31.0])
    timed += samples(rows[1], forward=[1.0, 1.0, 4.0], step=[3.0, 3.0])
    figure = drawn(timing(frame("runs", rows), frame("samples", timed)))
    forward, step = figure.axes
    assert [forward.get_xlabel(), step.get_xlabel()] == ["forward (ms)", "step (ms)"]
    names = [label.get_text() for label in forward.get_yticklabels()]
    assert names == ["BT R=4 N=1  P=528", "dense  P=4096"]
    dots = np.concatenate([points.get_offsets()[:, 0] for points in forward.collections])
    assert sorted(dots) == [1.0, 1.0, 4.0, 9.0, 10.0, 20.0]
    quartiles, median = forward.get_lines()[2:]
    assert list(median.get_xdata()) == [10.0, 10.0]
    assert list(quartiles.get_xdata()) == [9.5, 15.0]


def test_timing_spreads_its_dots_the_same_way_each_time() -> None:
    rows = [run("dense"), block_term(4, 1)]
    timed = [r for row in rows for r in samples(row, forward=[1.0, 2.0, 3.0], step=[4.0, 5.0])]
    first, again = (timing(frame("runs", rows), frame("samples", timed)) for _ in range(2))
    pd.testing.assert_frame_equal(data_of(again), data_of(first))
    heights = [y for dots in first.axes[0].collections for y in dots.get_offsets()[:, 1]]
    assert len(set(heights)) == 6
    assert all(abs(y - round(y)) <= 0.25 for y in heights)


def test_timing_tells_devices_apart() -> None:
    rows = [run(device="cpu"), run(seed=1, device="cuda")]
    timed = [r for row in rows for r in samples(row, forward=[1.0, 2.0])]
    figure = drawn(timing(frame("runs", rows), frame("samples", timed)))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert sorted(names) == ["dense  P=4096  cpu", "dense  P=4096  cuda"]


def test_timing_cuts_many_points() -> None:
    rows = [block_term(R, num_params=129 * R) for R in range(1, 31)]
    timed = [r for row in rows for r in samples(row, forward=[1.0, 2.0])]
    figure = timing(frame("runs", rows), frame("samples", timed))
    assert len(figure.axes[0].get_yticklabels()) == 24
    assert "24 of 30 points, evenly over parameters" in caption_of(figure)


def test_timing_refuses_no_samples() -> None:
    row = run()
    with pytest.raises(ValueError, match=r"^timing: there are no samples$"):
        timing(frame("runs", [row]), frame("samples", []))
    with pytest.raises(ValueError, match=r"^timing: no finished run has samples of forward,"):
        timing(frame("runs", [row]), frame("samples", samples(run(seed=1), forward=[1.0])))
    with pytest.raises(ValueError, match=r"^timing: no finished run has samples of forward,"):
        timing(frame("runs", [row]), frame("samples", samples(row, map=[1.0])))


# all figures


@pytest.mark.parametrize("draw", [parameters, rmse_vs_noise, trade_off])
def test_a_figure_of_nothing_says_what_is_missing(draw: Any) -> None:
    with pytest.raises(ValueError, match=f"^{draw.__name__}: there are no runs$"):
        draw(frame("runs", []))
    failed = frame("runs", [run(status="error"), run(seed=1, status="timeout")])
    with pytest.raises(ValueError, match=f"^{draw.__name__}: none of 2 runs has status done$"):
        draw(failed)


def test_a_figure_names_the_column_no_run_has() -> None:
    with pytest.raises(ValueError, match=r"^rmse_vs_noise: none of 1 finished runs has rmse$"):
        rmse_vs_noise(frame("runs", [run()]))
    with pytest.raises(ValueError, match=r"^trade_off: the runs have no column status$"):
        trade_off(frame("runs", [run(rmse=0.1)]).drop(columns="status"))


def test_every_decomposition_has_a_look() -> None:
    families = {*LAYERS, LEAST_SQUARES}
    assert set(style.COLOURS) == set(style.MARKERS) == set(NAMES) == families
    assert len(set(style.COLOURS.values())) == len(set(style.MARKERS.values())) == len(families)


def test_an_unknown_decomposition_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^decomposition must be one of: dense, .*; got 'wavelet'$"
    ):
        trade_off(frame("runs", [run("wavelet", rmse=0.1)]))


def test_figures_leave_matplotlib_as_it_was() -> None:
    with mpl.rc_context({"font.size": 31.0}):
        before = dict(mpl.rcParams)
        drawn(parameters(frame("runs", counts([1, 2], 1, [4097, 129]))))
        assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
