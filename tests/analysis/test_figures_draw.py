"""Figures and the table of DRAW: sheets of digits, curves of the bound, nats by model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rankbench.analysis.figures.catalog import FIGURES
from rankbench.analysis.figures.draw import ANCHORS, nats, samples
from rankbench.analysis.tables.draw import draw_sheets, nats_of, nats_sheet
from rankbench.tasks.draw.pictures import grid
from tests.helpers.figure_checks import drawn, labels_of, line, pictures

SHEETS = {"d0": 0.0, "b0": 0.5, "b1": 1.0}
NATS = {"d0": 100.0, "b0": 104.0, "b1": 106.0}


def make_runs(**changed: Any) -> pd.DataFrame:
    """A dense encoder with one seed, a block-term one with two."""
    shared = {"status": "done", "task": "draw", "dataset": "mnist", "binarise": "sample"}
    shared |= {"glimpses": 6, "attention": False, "epochs": 2, "cell": "lstm"}
    shared |= {"nelbo_low_nats": 99.0, "nelbo_high_nats": 101.0, **changed}
    dense = {"decomposition": "dense", "num_params": 1_867_776, "compression_ratio": 1.0}
    block = {"decomposition": "block_term", "num_params": 1184, "compression_ratio": 1577.5}
    block |= {"tucker_rank": 4, "cp_rank": 1, "ranks": [4, 4, 1]}
    rows = [
        {**shared, **(dense if run_id == "d0" else block), "run_id": run_id, "point_id": run_id[0]}
        for run_id in SHEETS
    ]
    for row in rows:
        row |= {"seed": int(row["run_id"][1]), "nelbo_nats": NATS[row["run_id"]]}
    return pd.DataFrame(rows)


def make_files() -> pd.DataFrame:
    rows = [
        {"run_id": run_id, "name": name, "content": grid(torch.full((4, 784), level), 2)}
        for run_id, level in SHEETS.items()
        for name in ("samples.png", "canvas.png")
    ]
    return pd.DataFrame(rows)


def make_epochs() -> pd.DataFrame:
    rows = [
        {"run_id": run_id, "epoch": epoch, "nelbo_nats": last + 10 * (2 - epoch)}
        for run_id, last in NATS.items()
        for epoch in (1, 2)
    ]
    return pd.DataFrame(rows)


def test_every_model_has_its_sheet_with_parameters_and_nats() -> None:
    figure = drawn(samples(make_runs(), make_files()))
    sheets = pictures(figure)
    assert [ax.get_title() for ax in sheets] == ["LSTM", "BT R=4 N=1"]
    corners = [int(np.asarray(ax.images[0].get_array())[0, 0]) for ax in sheets]
    assert corners == [0, 128]  # of the lowest seed
    assert [ax.texts[0].get_text() for ax in sheets] == [
        "1.9M parameters\n100.0 nats",
        "1184 parameters, 1577x fewer\n105.0 ± 12.7 nats",
    ]


def test_curves_go_towards_what_draw_reports() -> None:
    figure = drawn(nats(make_runs(), make_epochs()))
    [ax] = figure.axes
    assert labels_of(ax) == ["LSTM", "BT R=4 N=1"]
    assert line(ax, "LSTM") == ([1, 2], [110, 100])
    assert line(ax, "BT R=4 N=1") == ([1, 2], [115, 105])
    levels = [found.get_ydata()[0] for found in ax.get_lines() if len(found.get_xdata()) == 2]
    assert set(ANCHORS.values()) <= set(levels)
    assert [text.get_text() for text in ax.texts] == list(ANCHORS)


def test_runs_of_other_pixels_are_not_compared() -> None:
    runs = make_runs()
    runs.loc[0, "binarise"] = "threshold"
    for figure in (lambda: samples(runs, make_files()), lambda: nats(runs, make_epochs())):
        with pytest.raises(ValueError, match="runs of one binarise can be compared"):
            figure()


def test_what_is_not_there_is_told() -> None:
    none = make_files().iloc[:0]
    with pytest.raises(ValueError, match=r"samples: no finished run has left samples\.png"):
        samples(make_runs(), none)
    with pytest.raises(ValueError, match="nats: no finished run has a curve"):
        nats(make_runs(), make_epochs().iloc[:0])
    cut = make_files().assign(content=lambda files: files["content"].str[:60])
    with pytest.raises(ValueError, match=r"samples: samples\.png of run d0 is not a whole PNG"):
        samples(make_runs(), cut)
    frames = {"runs": make_runs(), "epochs": make_epochs(), "artifacts": make_files()}
    assert FIGURES["samples"].applies(frames)
    assert FIGURES["nats"].applies(frames)
    assert not FIGURES["samples"].applies({**frames, "artifacts": none})
    first = make_epochs().query("epoch == 1")
    assert not FIGURES["nats"].applies({**frames, "epochs": first})
    others = make_runs(nelbo_nats=None).assign(nelbo_nats=np.nan)
    assert not FIGURES["samples"].applies({**frames, "runs": others})


def four_seeds() -> pd.DataFrame:
    """A dense encoder of 100 to 103 nats, a block-term one that is 2, 3, 2 and 3 above."""
    dense, block, _ = (row.to_dict() for _, row in make_runs().iterrows())
    rows = [
        {**row, "run_id": f"{row['point_id']}{seed}", "seed": seed, "nelbo_nats": 100 + seed + more}
        for seed in range(4)
        for row, more in ((dense, 0.0), (block, 2.0 + seed % 2))
    ]
    return pd.DataFrame(rows)


def test_nats_are_compared_with_the_dense_encoder_seed_by_seed() -> None:
    dense, block = nats_of(four_seeds()).to_dict("records")
    assert (dense["label"], dense["mean"], dense["seeds"]) == ("LSTM", 101.5, 4)
    assert np.isnan([dense["difference"], dense["p_holm"]]).all()
    assert (block["label"], block["mean"], block["seeds"]) == ("BT R=4 N=1", 104.0, 4)
    assert (block["difference"], block["verdict"]) == (2.5, "worse")
    # t of 2, 3, 2, 3 is 2.5 / (0.57735 / 2) = 8.660 with 3 degrees of freedom: p = 0.00324.
    assert block["p_holm"] == pytest.approx(0.00324, abs=2e-5)
    assert 2.0 <= block["low_difference"] < 2.5 < block["high_difference"] <= 3.0


def test_the_table_of_nats_has_a_row_a_model() -> None:
    shown = nats_sheet(four_seeds()).shown
    assert list(shown["fewer"]) == ["-", "1577x"]
    assert list(shown["less the dense encoder's"]) == ["-", "2.5 [2.0, 3.0]"]
    assert list(shown["p (Holm)"]) == ["-", "0.003"]
    alone = nats_sheet(make_runs().iloc[:2]).shown
    assert list(alone["p (Holm)"]) == ["-", "-"]  # one seed tests nothing
    assert list(alone["verdict"]) == ["-", "no difference shown"]
    assert "verdict" not in nats_sheet(make_runs().iloc[1:]).shown  # no dense encoder


def test_runs_that_cannot_be_compared_have_no_table_of_nats() -> None:
    mixed = make_runs()
    mixed.loc[0, "dataset"] = "digits"
    assert draw_sheets({"runs": mixed}) == {}
    assert draw_sheets({"runs": make_runs(nelbo_nats=np.nan).iloc[:0]}) == {}
