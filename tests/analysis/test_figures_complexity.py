"""Figures of sweeps: a panel per variable, points, fits and claims; none of other studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rankbench.analysis.figures.catalog import FIGURES, draw
from rankbench.analysis.figures.complexity import complexity
from rankbench.analysis.figures.style import caption_of
from tests.analysis.test_exponents import X, sweep_row, timed
from tests.helpers.figure_checks import drawn
from tests.helpers.frames import frame, run, store_runs


def test_a_panel_shows_points_fit_and_claim() -> None:
    rows = [sweep_row(R) for R in X]
    figure = drawn(complexity(frame("runs", rows), frame("samples", []), "flops"))
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("R", "block term\nFLOPs")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_title() == "F 3.00 → 3.00 holds\nB 3.00 → 3.00 holds"
    points, fitted, claim = ax.get_lines()[:3]
    assert list(points.get_xdata()) == list(X)
    np.testing.assert_allclose(points.get_ydata(), [1e6 * R**3 for R in X])
    np.testing.assert_allclose(fitted.get_ydata(), [1e6, 1e6 * 32**3])
    np.testing.assert_allclose(claim.get_ydata(), points.get_ydata())
    assert "the same by torch's counter" in caption_of(figure)


def test_what_a_decomposition_lacks_is_an_empty_panel() -> None:
    other = [
        {**run("dense", task="validate", sweep="batch", swept=b, rows=b, plan="paper"),
         "in_modes": [4], "out_modes": [4], "forward_flops": b, "backward_flops": b}
        for b in (1, 2, 4, 8)
    ]  # fmt: skip
    rows = [sweep_row(R) for R in X] + other
    figure = drawn(complexity(frame("runs", rows), frame("samples", []), "flops"))
    on = [ax.get_xlabel() for ax in figure.axes if ax.axison]
    assert len(figure.axes) == 4
    assert on == ["batch", "R"]


def test_sweeps_get_these_figures_alone_and_only_what_was_measured(tmp_path: Path) -> None:
    rows = [sweep_row(R, forward_peak_mb=2.0, num_params=99) for R in X]
    store_runs(tmp_path, "validate", rows)
    names = [f"complexity_{name}" for name in ("flops", "tensor", "peak")]
    assert list(draw("validate", tmp_path)) == names
    samples = [s | {"sample": 0} for row in rows for s in timed(row, 1.0)]
    store_runs(tmp_path, "validate", rows, *samples)
    assert set(draw("validate", tmp_path)) == {*names, "complexity_time"}


def test_other_studies_have_no_such_figure() -> None:
    frames = {"runs": frame("runs", [run()]), "samples": frame("samples", [])}
    assert not any(
        drawing.applies(frames) for name, drawing in FIGURES.items() if name.startswith("complex")
    )


def test_a_study_without_sweeps_is_refused() -> None:
    with pytest.raises(ValueError, match="exponents: none of 1 finished runs has sweep"):
        complexity(frame("runs", [run()]), frame("samples", []), "flops")
