"""All figures of a study: which ones there are, and what is written."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from rankbench.analysis.figures.catalog import FIGURES, draw, save
from rankbench.analysis.redraw import redraw, redraw_study
from rankbench.cli.main import main
from tests.helpers.figure_checks import drawn, labels_of
from tests.helpers.frames import (
    Row,
    block_term,
    bt_lstm,
    epochs,
    lstm,
    ring,
    run,
    samples,
    store_runs,
    weights,
)

TARGET = np.eye(4)


def recovered(row: Row) -> list[Row]:
    curve = epochs(row, train_loss=[1.0, 0.5], rmse=[0.9, 0.5])
    return [*curve, *weights(row, target=TARGET, recovered=TARGET * 0.9)]


def test_a_study_of_counts_gets_parameters_alone(tmp_path: Path) -> None:
    counted = {1: 1048577, 2: 2049, 3: 321}
    facts = {"task": "profile", "target": None, "noise": None, "learner": None}
    rows = [block_term(1, 1, d, num_params=p, **facts) for d, p in counted.items()]
    store_runs(tmp_path, "params", rows)
    assert list(draw("params", tmp_path)) == ["parameters"]


def test_a_recovery_gets_its_figures(tmp_path: Path) -> None:
    rows = [block_term(R, num_params=129 * R, rmse=0.5 / R) for R in (1, 2)]
    rows.append(run(learner="least_squares", rmse=0.1))
    store_runs(tmp_path, "r", rows, *(other for row in rows for other in recovered(row)))
    figures = draw("r", tmp_path)
    assert list(figures) == ["recovered", "noise_picture", "curves", "sensitivity", "trade_off"]
    for figure in figures.values():
        drawn(figure)


def test_a_noise_sweep_gets_error_against_noise(tmp_path: Path) -> None:
    rows = [ring(2, num_params=96, rmse=noise, noise=noise) for noise in (0.1, 0.2)]
    store_runs(tmp_path, "sweep", rows)
    assert list(draw("sweep", tmp_path)) == ["rmse_vs_noise"]


def test_a_classification_gets_curves_and_timing(tmp_path: Path) -> None:
    rows = [lstm(0.6), lstm(0.7, 1)]
    curve = [r for row in rows for r in epochs(row, train_loss=[1.0], accuracy=[0.5])]
    store_runs(tmp_path, "lstm", rows, *curve, *samples(rows[0], forward=[1.0, 2.0]))
    assert list(draw("lstm", tmp_path)) == ["curves", "timing"]


def test_a_study_of_splits_gets_its_figures_once(tmp_path: Path) -> None:
    rows = [
        make(split=split)
        for split in ("clip", "group")
        for make in (
            lambda **facts: lstm(0.7, **facts),
            lambda **facts: bt_lstm(1, 722, 0.75, **facts),
            lambda **facts: bt_lstm(4, 3392, 0.8, **facts),
        )
    ]
    curve = [r for row in rows for r in epochs(row, train_loss=[1.0, 0.5], accuracy=[0.5, 0.7])]
    store_runs(tmp_path, "ucf11", rows, *curve)
    figures = draw("ucf11", tmp_path)
    assert list(figures) == [
        *("curves_clip", "curves_group", "curves_by_split", "accuracy_vs_parameters", "splits"),
        *("epochs_to_accuracy", "sensitivity_clip", "sensitivity_group"),
        *("trade_off_clip", "trade_off_group"),
    ]
    for figure in figures.values():
        drawn(figure)


def test_targets_that_cannot_be_compared_get_figures_of_their_own(tmp_path: Path) -> None:
    targets = ("disk", "low_rank")
    rows = [
        block_term(R, num_params=129 * R, rmse=0.1 * R, target=target)
        for R in (1, 2)
        for target in targets
    ]
    store_runs(tmp_path, "two", rows, *(other for row in rows for other in recovered(row)))
    figures = draw("two", tmp_path)
    kinds = ("recovered", "curves", "sensitivity", "trade_off")
    assert list(figures) == [f"{kind}_{target}" for kind in kinds for target in targets]
    legend = figures["curves_disk"].axes[2]
    assert labels_of(legend) == [
        "BT R=1 N=1  CR 31.8x  RMSE 0.100",
        "BT R=2 N=1  CR 15.9x  RMSE 0.200",
    ]


def test_a_study_with_nothing_finished_says_what_there_is(tmp_path: Path) -> None:
    rows = [run(status="error"), run(seed=1, status="error"), run(seed=2, status="timeout")]
    store_runs(tmp_path, "broken", rows)
    text = r"^study 'broken' has nothing to draw: 3 runs \(2 error, 1 timeout\)$"
    with pytest.raises(ValueError, match=text):
        draw("broken", tmp_path)


def test_an_unknown_study_names_those_there_are(tmp_path: Path) -> None:
    store_runs(tmp_path, "params", [run()])
    with pytest.raises(ValueError, match=r"^study must be one of: params; got 'parms'"):
        draw("parms", tmp_path)


def test_every_figure_takes_tables_there_are() -> None:
    assert set(FIGURES) == {
        "parameters",
        "rank_bound",
        *(f"complexity_{name}" for name in ("flops", "time", "tensor", "peak")),
        "recovered",
        "noise_picture",
        "rmse_vs_noise",
        "curves",
        "curves_by_split",
        "accuracy_vs_parameters",
        "splits",
        "epochs_to_accuracy",
        "features",
        "sensitivity",
        "interactions",
        "importance",
        "budget",
        "permutation",
        "trade_off",
        "pareto",
        "timing",
        "time_vs_parameters",
        "captions",
        "sentences",
        "samples",
        "nats",
    }
    for name, drawing in FIGURES.items():
        function, suffix = drawing.function, ""
        if isinstance(function, functools.partial):
            function, suffix = function.func, f"_{function.keywords['quantity']}"
        assert f"{function.__name__}{suffix}" == name
        assert drawing.tables[0] == "runs"


def test_save_writes_png_pdf_and_csv_the_same_each_time(tmp_path: Path) -> None:
    store_runs(tmp_path, "s", [ring(2, core_order=d, num_params=96 + d) for d in (2, 3)])
    paths = save(draw("s", tmp_path), tmp_path / "new" / "figures")
    assert [path.name for path in paths] == ["parameters.png", "parameters.pdf", "parameters.csv"]
    first = [path.read_bytes() for path in paths]
    assert [data[:4] for data in first] == [b"\x89PNG", b"%PDF", b"pane"]
    again = save(draw("s", tmp_path), tmp_path / "again")
    assert [path.read_bytes() for path in again] == first


def test_save_of_no_figures_writes_nothing(tmp_path: Path) -> None:
    none: dict[str, Figure] = {}
    assert save(none, tmp_path / "figures") == []


def test_all_that_a_study_allows_is_redrawn_and_the_rest_has_a_reason(tmp_path: Path) -> None:
    counted = [ring(2, core_order=d, num_params=96 + d) for d in (2, 3)]
    store_runs(tmp_path, "s", counted)
    paths, reasons = redraw_study("s", tmp_path, tmp_path / "out")
    assert {path.name for path in paths} >= {"parameters.png", "parameters.pdf", "parameters.csv"}
    assert all(path.stat().st_size for path in paths)
    assert [reason.partition(":")[0] for reason in reasons] == ["tables"]


def test_figures_are_of_one_study_or_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in (["figures"], ["figures", "ucf11", "--all"]):
        assert main(asked) == 2
        assert "figures needs either a STUDY or --all" in capsys.readouterr().err


@pytest.mark.slow
def test_every_study_is_redrawn_by_several_processes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        counted = [ring(2, core_order=d, num_params=96 + d) for d in (2, 3)]
        store_runs(tmp_path / "results", name, counted)
    found = dict(redraw(tmp_path / "results", tmp_path / "out", workers=2))
    assert set(found) == {"a", "b", "claims"}
    assert (tmp_path / "out" / "claims" / "verdicts.csv").stat().st_size
    assert (tmp_path / "out" / "b" / "parameters.csv").stat().st_size
