"""Pictures of recovered weights and their error against noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rankbench.analysis.figures.catalog import noise_picture, recovered, rmse_vs_noise
from rankbench.analysis.figures.style import caption_of
from tests.helpers.figure_checks import drawn, labels_of, line, pictures
from tests.helpers.frames import Row, block_term, frame, ring, run, weights

TARGET = np.arange(12.0).reshape(3, 4)


def recovery(rows: list[Row]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and weights; the recovered W of a run is the target plus its RMSE everywhere."""
    kept = [r for row in rows for r in weights(row, target=TARGET, recovered=TARGET + row["rmse"])]
    return frame("runs", rows), frame("weights", kept)


def test_recovered_draws_target_and_points_by_parameters() -> None:
    rows = [
        block_term(4, 1, num_params=528, rmse=0.25),
        block_term(1, 1, num_params=129, rmse=0.5),
        run("tensor_train", tt_rank=4, ranks=[1, 4, 4, 1], core_order=3, num_params=200, rmse=0.4),
        run("low_rank", rank=2, num_params=256, core_order=1, rmse=0.3),
        run("cp", cp_rank=3, num_params=384, rmse=0.0123),
        run("dense", learner="least_squares", rmse=0.00571),
    ]
    figure = drawn(recovered(*recovery(rows)))
    panels = pictures(figure)
    assert [ax.get_xlabel() for ax in panels] == [
        "target W\nP=12",
        "block term\nd=2 R=1 N=1\nP=129  RMSE 0.500",
        "tensor train\nd=3 R=4\nP=200  RMSE 0.400",
        "low rank\nR=2\nP=256  RMSE 0.300",
        "CP\nd=2 N=3\nP=384  RMSE 0.0123",
        "block term\nd=2 R=4 N=1\nP=528  RMSE 0.250",
        "linear regression\nP=4096  RMSE 0.00571",
    ]
    np.testing.assert_array_equal(panels[0].images[0].get_array(), TARGET)
    np.testing.assert_array_equal(panels[1].images[0].get_array(), TARGET + 0.5)
    assert {ax.images[0].get_clim() for ax in panels} == {(0.0, 11.0)}
    title = "Recovered W: target low rank, noise variance 0.05, 1000 samples"
    assert figure.get_suptitle() == title


def test_recovered_shows_the_median_seed() -> None:
    errors = [0.9, 0.1, 0.4, 0.2]
    rows = [block_term(seed=seed, num_params=129, rmse=rmse) for seed, rmse in enumerate(errors)]
    figure = recovered(*recovery(rows))
    assert pictures(figure)[1].get_xlabel().endswith("RMSE 0.200")
    assert caption_of(figure) == "of each point the seed of median RMSE"


def test_recovered_cuts_many_points_but_keeps_the_best() -> None:
    rows = [block_term(R, num_params=129 * R, rmse=0.1 + abs(R - 3)) for R in range(1, 31)]
    figure = drawn(recovered(*recovery(rows)))
    shown = [ax.get_xlabel() for ax in pictures(figure)]
    assert len(shown) == 25
    assert any("RMSE 0.100" in text for text in shown)
    assert caption_of(figure).startswith("24 of 30 points: best of each decomposition")


def test_recovered_of_a_constant_target_has_a_scale() -> None:
    row = block_term(num_params=129, rmse=0.5)
    kept = weights(row, target=np.ones((2, 2)), recovered=np.zeros((2, 2)))
    figure = drawn(recovered(frame("runs", [row]), frame("weights", kept)))
    assert pictures(figure)[0].images[0].get_clim() == (0.5, 1.5)


def test_recovered_counts_what_it_leaves_out() -> None:
    rows = [block_term(R, num_params=129 * R, rmse=0.1) for R in (1, 2, 3)]
    rows[1]["status"] = "diverged"
    runs, kept = recovery(rows)
    figure = recovered(runs, kept[kept["run_id"] != rows[2]["run_id"]])
    caption = "1 of 3 runs (not drawn: 1 diverged, 1 without these data)"
    assert caption_of(figure) == caption


def test_pictures_refuse_runs_of_two_targets() -> None:
    rows = [block_term(num_params=129, rmse=0.1, target=target) for target in ("disk", "ring")]
    for draw in (recovered, noise_picture):
        text = f"^{draw.__name__}: runs of one target can be compared, got: disk, ring$"
        with pytest.raises(ValueError, match=text):
            draw(*recovery(rows))


def test_pictures_refuse_runs_without_weights() -> None:
    runs, kept = recovery([block_term(num_params=129, rmse=0.1)])
    with pytest.raises(ValueError, match=r"^recovered: there are no weights$"):
        recovered(runs, kept.iloc[:0])
    lost = kept.assign(run_id="another")
    with pytest.raises(ValueError, match=r"^recovered: none of 1 runs kept its recovered weights$"):
        recovered(runs, lost)
    without_target = kept[kept["name"] == "recovered"]
    with pytest.raises(ValueError, match=r"^weights: run \w+ kept no matrix named target$"):
        recovered(runs, without_target)


def test_noise_picture_takes_the_nearest_noise_and_the_best_of_each() -> None:
    rows = [ring(R, num_params=48 * R, rmse=0.1 * R, noise=0.04) for R in (2, 3)]
    rows += [ring(2, num_params=96, rmse=0.01, noise=0.2)]
    rows += [run("dense", rmse=0.3, noise=0.04, learner="least_squares")]
    figure = drawn(noise_picture(*recovery(rows)))
    assert [ax.get_xlabel() for ax in pictures(figure)] == [
        "target W\nP=12",
        "linear regression\nP=4096  RMSE 0.300",
        "tensor ring\nd=2 R=2\nP=96  RMSE 0.200",
    ]
    assert "noise variance 0.04" in figure.get_suptitle()


# rmse_vs_noise: TR Fig. 6


def sweep(make: Any, errors: dict[float, Sequence[float]], **facts: Any) -> list[Row]:
    """Runs of a layer: noise variance -> an RMSE per seed."""
    config = json.dumps({"task": {"noise": 0}})
    return [
        make(seed=seed, noise=noise, rmse=rmse, config=config.replace("0", str(noise)), **facts)
        for noise, values in errors.items()
        for seed, rmse in enumerate(values)
    ]


def test_rmse_vs_noise_has_means_and_t_intervals() -> None:
    rows = sweep(run, {0.1: [0.2, 0.4], 0.01: [0.1, 0.1]}, learner="least_squares")
    rows += sweep(lambda **f: ring(5, **f), {0.01: [0.3], 0.1: [0.3]}, num_params=600)
    figure = drawn(rmse_vs_noise(frame("runs", rows)))
    (ax,) = figure.axes
    names = ["linear regression (P=4096)", "tensor ring R=5 (P=600)"]
    assert labels_of(ax) == names
    assert line(ax, names[0]) == ([0.01, 0.1], pytest.approx([0.1, 0.3]))
    assert line(ax, names[1]) == ([0.01, 0.1], [0.3, 0.3])
    low, high = ax.containers[0].lines[2][0].get_segments()[1][:, 1]
    half = 12.7062047 * 0.1  # t(0.975, 1) s / sqrt(2), s = 0.1 sqrt(2)
    assert (low, high) == pytest.approx((0.3 - half, 0.3 + half))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("noise variance", "RMSE of W")
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.01", "0.1"]
    assert ax.get_title() == "Target low rank, 1000 samples"
    assert caption_of(figure) == "mean of 1 to 2 seeds, 95% t interval"


def test_rmse_vs_noise_of_many_settings_draws_the_best_of_each_decomposition() -> None:
    rows = sweep(run, {0.0: [1.0], 0.1: [1.0], 1.0: [1.0]})
    for R in range(2, 12):
        # R=9 is best under noise; R=3 alone is exact without any.
        errors = {0.0: [1e-15 if R == 3 else 0.1], 0.1: [0.2 + abs(R - 9)], 1.0: [0.4]}
        rows += sweep(lambda R=R, **f: ring(R, **f), errors, num_params=24 * R * R)
    # R=20 is not to be compared: it was measured at one noise variance only.
    rows += sweep(lambda **f: ring(20, **f), {0.1: [0.01]}, num_params=9600)
    figure = drawn(rmse_vs_noise(frame("runs", rows)))
    (ax,) = figure.axes
    assert labels_of(ax) == ["dense (P=4096)", "tensor ring R=9 (P=1944)"]
    assert "best of each decomposition, of 12 settings" in caption_of(figure)
    assert ax.get_xscale() == "symlog"


def test_rmse_vs_noise_says_what_lies_below_its_axis() -> None:
    errors = {0.0: [4e-16], 0.05: [0.005], 0.2: [0.01]}
    rows = sweep(run, errors, learner="least_squares")
    rows += sweep(lambda **f: ring(5, **f), {0.0: [0.001], 0.05: [0.3], 0.2: [0.3]}, num_params=600)
    figure = drawn(rmse_vs_noise(frame("runs", rows)))
    (ax,) = figure.axes
    assert ax.get_yscale() == "log"
    assert ax.get_ylim()[0] == pytest.approx(0.001 / 1.6)
    assert "below the axis at noise 0: linear regression 4.00e-16" in caption_of(figure)


def test_rmse_vs_noise_needs_two_noise_variances() -> None:
    with pytest.raises(ValueError, match=r"^rmse_vs_noise: .* the same noise variance$"):
        rmse_vs_noise(frame("runs", [run(rmse=0.1)]))
