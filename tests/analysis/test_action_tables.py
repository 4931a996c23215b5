"""Accuracies beside the published ones, and epochs to an accuracy, as tables and files."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from rankbench.analysis.summaries.accuracy import by_model
from rankbench.analysis.summaries.comparisons import (
    differences,
    published_data,
    published_levels,
    published_model,
)
from rankbench.analysis.summaries.convergence import convergence, with_epochs_to
from rankbench.analysis.summaries.models import condition_order, modelled
from rankbench.analysis.tables.catalog import accuracy_sheet, convergence_sheet, sheets
from rankbench.analysis.tables.writers import markdown, show, tables_of, write
from rankbench.cli.main import main
from rankbench.common.intervals import wilson
from tests.helpers.frames import Row, bt_lstm, epochs, frame, lstm, ring, run, store_runs


def trained(rate: float, epochs: int = 400, **task: Any) -> str:
    training = {"learning_rate": rate, "epochs": epochs}
    return json.dumps({"task": {"name": "action", "classes": 11, **task}, "training": training})


def features(kind: str, top: float, seed: int = 0, **facts: Any) -> Row:
    """A finished run on features of 1280 numbers, a dense LSTM or a ring in its place."""
    own = {"num_params": 10_485_760} if kind == "dense" else {"num_params": 500_000}
    more = {"tr_rank": 60, "ranks": [40, 60, 48, 48]} if kind == "tensor_ring" else {}
    config = json.dumps({"task": {"name": "features", "classes": 11}})
    sizes = {"in_features": 1280, "out_features": 8192, "dense_params": 10_485_760}
    about = {"task": "features", "target": None, "noise": None, "samples": None, "cell": "lstm"}
    row = {"hidden_size": 2048, "split": "group", "config": config, **about, **sizes, **own, **more}
    return run(kind, seed, top_accuracy=top, **{**row, **facts})


# Models and conditions.


def test_a_model_has_one_name_on_every_split_and_fold() -> None:
    rows = [bt_lstm(4, 3392, 0.8, split=split, fold=1) for split in ("clip", "group")]
    rows += [bt_lstm(4, 3392, 0.8, fold=fold, config=trained(1e-3, fold=fold)) for fold in (0, 1)]
    rows[0]["config"] = rows[1]["config"] = trained(1e-3)
    named = modelled(frame("runs", rows).assign(family="block_term"))
    assert set(named["model"]) == {"BT R=4 N=2"}
    assert list(named["condition"]) == ["clip", "group", "clip", "clip"]


def test_training_tells_models_apart_and_epochs_only_where_they_must() -> None:
    rows = [lstm(0.5, config=trained(1e-3)), lstm(0.6, config=trained(1e-4))]
    rows.append(lstm(0.6, config=trained(1e-4, 20), split="group"))
    names = list(modelled(frame("runs", rows))["model"])
    assert names == ["LSTM learning_rate=0.001", *["LSTM learning_rate=0.0001"] * 2]
    rows.append(lstm(0.6, config=trained(1e-4, 20)))
    names = list(modelled(frame("runs", rows))["model"])
    assert names[1] == "LSTM epochs=400 learning_rate=0.0001"
    assert names[2] == names[3] == "LSTM epochs=20 learning_rate=0.0001"


def test_a_condition_names_what_varies() -> None:
    rows = [lstm(0.5, time_steps=steps, ordered=True) for steps in (5, 6)]
    assert list(modelled(frame("runs", rows))["condition"]) == ["clip, 5 frames", "clip, 6 frames"]
    rows = [lstm(0.5, ordered=ordered) for ordered in (True, False)]
    wanted = ["clip, in order of time", "clip, in no known order"]
    assert list(modelled(frame("runs", rows))["condition"]) == wanted


def test_conditions_come_from_easy_to_hard() -> None:
    names = ["official", "zebra", "supergroup", "clip, 6 frames", "group", "clip"]
    wanted = ["clip", "clip, 6 frames", "group", "supergroup", "official", "zebra"]
    assert condition_order(names) == wanted


# What is published.


def test_a_setting_that_a_row_does_not_know_has_its_default() -> None:
    config = {"task": {"name": "action", "classes": 11}, "training": {"epochs": 2}}
    rows = []
    for patience in ({}, {"patience": None}, {"patience": 3}):
        trained = {**config, "training": {"epochs": 2, **patience}}
        rows.append(lstm(0.7, point_id=str(patience), config=json.dumps(trained)))
    one, same, other = modelled(frame("runs", rows).assign(family="dense"))["model"]
    assert one == same
    assert one != other


WEIZMANN = {"dataset": "weizmann", "config": '{"task": {"name": "action", "classes": 10}}'}


@pytest.mark.parametrize(
    ("row", "data", "model", "levels"),
    [
        (lstm(0.5), "ucf11", "LSTM", (0.681, 0.697)),
        (bt_lstm(4, 3392, 0.8), "ucf11", "BT-LSTM R=4", (0.853, 0.856)),
        (bt_lstm(3, 2300, 0.8), "ucf11", "", ()),
        (lstm(0.5, dataset="frames5_unordered"), "ucf11", "LSTM", (0.681, 0.697)),
        (bt_lstm(4, 3392, 0.8, **WEIZMANN), "", "BT-LSTM R=4", ()),
        (features("dense", 0.9), "ucf11-features", "CNN+LSTM", (0.923,)),
        (features("tensor_ring", 0.9, dataset="jhmdb"), "hmdb51-features", "CNN+TR-LSTM", (0.638,)),
    ],
    ids=["lstm", "bt", "unpublished", "by its classes", "other data", "features", "jhmdb"],
)
def test_runs_stand_beside_the_published_model(
    row: Row, data: str, model: str, levels: tuple[float, ...]
) -> None:
    assert published_data(row) == data
    assert published_model(row) == model
    assert published_levels(row) == levels


def test_what_is_not_as_published_is_said() -> None:
    assert differences(lstm(0.5, time_steps=6, sampling="random", ordered=True)) == []
    assert differences(lstm(0.5, time_steps=5, sampling="even", ordered=False)) == [
        "5 frames a clip, not 6",
        "frames chosen even, not random",
        "the order of frames is not known",
    ]
    assert differences(features("dense", 0.5, dataset="jhmdb", time_steps=12)) == [
        "jhmdb, not HMDB51",
        "1280 inputs, not features of Inception-V3",
    ]
    assert differences(lstm(0.5, dataset="frames5", time_steps=6, sampling="random")) == []
    assert differences(lstm(0.5, **WEIZMANN)) == []


# Accuracies.


def test_by_model_has_seeds_clips_and_both_intervals() -> None:
    rows = [lstm(top, seed, test_size=320, epochs=20) for seed, top in enumerate((0.5, 0.7))]
    rows += [lstm(0.4, split="group", test_size=326, epochs=5), lstm(0.9, 3, status="error")]
    clip, group = by_model(frame("runs", rows)).to_dict("records")
    assert (clip["model"], clip["condition"], group["condition"]) == ("LSTM", "clip", "group")
    assert (clip["runs"], clip["seeds"], clip["test_size"], clip["epochs"]) == (2, 2, 320, 20)
    half = 12.7062 * 0.1
    assert (clip["low"], clip["high"]) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-4)
    assert (clip["clips_low"], clip["clips_high"]) == wilson(0.6, 320)
    assert math.isnan(group["low"])
    assert group["clips_low"] < 0.4 < group["clips_high"]
    assert clip["published"].startswith("0.681 TR Fig. 7, re-run; 0.697 BT Fig. 6")


def test_folds_count_their_clips_once() -> None:
    rows = [
        lstm(0.5, seed, fold=fold, test_size=320 + fold, config=trained(1e-3, fold=fold))
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    (row,) = by_model(frame("runs", rows)).to_dict("records")
    assert (row["runs"], row["seeds"], row["folds"], row["test_size"]) == (4, 2, 2, 641)


def test_rows_without_the_new_columns_still_serve() -> None:
    new = ["dataset", "time_steps", "sampling", "ordered", "folds", "fold", "selected_accuracy"]
    runs = frame("runs", [lstm(0.5, test_size=10)]).drop(columns=new)
    sheet = accuracy_sheet(runs)
    assert sheet.shown["clip; clips, runs, epochs"].iloc[0] == "0.500 [0.237–0.763]; 10, 1, -"


def test_the_accuracy_sheet_is_a_row_a_model_published_ones_included() -> None:
    rows = [bt_lstm(4, 3392, 0.8, test_size=320, epochs=20, time_steps=5), lstm(0.66, test_size=10)]
    rows.append(bt_lstm(4, 3392, 0.45, split="group", test_size=326, epochs=20, time_steps=5))
    rows[1]["time_steps"] = 5
    sheet = accuracy_sheet(frame("runs", rows))
    assert sheet.title == "UCF11, end to end: BT Table 2 and Fig. 6, TR Table 1 and Fig. 7"
    assert list(sheet.shown["model"]) == [
        *("LSTM", "BT R=4 N=2", "BT-LSTM R=1", "BT-LSTM R=2", "TT-LSTM", "TR-LSTM")
    ]
    bt, ring_ = sheet.shown.iloc[1], sheet.shown.iloc[5]
    assert dict(bt) == {
        "model": "BT R=4 N=2",
        "size, published": "3387; CR 17388x",
        "parameters; CR": "3392; 17388x",
        "BT, published": "0.853",
        "TR, published": "0.856",
        "clip; clips, runs, epochs": "0.800 [0.753–0.840]; 320, 1, 20",
        "group; clips, runs, epochs": "0.450 [0.398–0.505]; 326, 1, 20",
    }
    assert dict(ring_)["TR, published"] == "0.869"
    assert dict(ring_)["parameters; CR"] == dict(ring_)["clip; clips, runs, epochs"] == "-"
    assert "all: 5 frames, 57600 features" in sheet.notes
    assert "clip, not as published: 5 frames a clip, not 6" in sheet.notes


def test_accuracy_at_the_epoch_validation_chose_has_a_column() -> None:
    rows = [lstm(0.7, seed, test_size=100, selected_accuracy=0.6) for seed in (0, 1)]
    sheet = accuracy_sheet(frame("runs", rows))
    assert sheet.shown["clip, at the best validation epoch"].iloc[0] == "0.600 [0.600–0.600]"


def test_features_have_the_columns_of_the_tr_paper_alone() -> None:
    rows = [features("dense", 0.9, test_size=326), features("tensor_ring", 0.91, test_size=326)]
    sheet = accuracy_sheet(frame("runs", rows))
    assert sheet.title.endswith("TR Table 2")
    assert "BT, published" not in sheet.shown.columns
    assert list(sheet.shown["TR, published"]) == ["0.923", "0.938"]
    note = "group, not as published: 1280 inputs, not features of Inception-V3"
    assert note in sheet.notes


# Convergence.


def test_epochs_to_an_accuracy_come_from_the_curve_where_the_row_has_none() -> None:
    rows = [lstm(0.8, 0), lstm(0.8, 1, epochs_to_60=7)]
    curve = [e for row in rows for e in epochs(row, accuracy=[0.5, 0.6, 0.59, 0.71, 0.8])]
    found = with_epochs_to(frame("runs", rows), frame("epochs", curve))
    assert list(found["epochs_to_60"]) == [2, 7]
    assert list(found["epochs_to_70"]) == [4, 4]
    assert list(found["epochs_to_80"]) == [5, 5]
    assert found["epochs_to_90"].isna().all()
    assert found["epochs_to_90"].dtype == "Int64"
    old = frame("runs", rows).drop(columns="epochs_to_60")
    assert list(with_epochs_to(old, frame("epochs", curve))["epochs_to_60"]) == [2, 2]


def test_convergence_counts_who_got_there_and_compares_with_the_lstm() -> None:
    rows = [lstm(0.6, epochs=40, epochs_to_60=30), bt_lstm(4, 3392, 0.6, 1, epochs=20)]
    rows.append(bt_lstm(4, 3392, 0.75, epochs=20, epochs_to_60=5, epochs_to_70=9))
    table = convergence(frame("runs", rows), frame("epochs", []))
    bt = table[table["model"] == "BT R=4 N=2"].set_index("level")
    assert (bt.loc[0.6, "reached"], bt.loc[0.6, "runs"], bt.loc[0.6, "mean"]) == (1, 2, 5)
    assert bt.loc[0.6, "times_lstm"] == 6.0
    assert math.isnan(bt.loc[0.7, "times_lstm"])
    assert math.isnan(bt.loc[0.9, "mean"])
    sheet = convergence_sheet(frame("runs", rows), frame("epochs", []))
    assert list(sheet.shown["to 0.60"]) == ["30", "5.00 (1 of 2)"]
    assert list(sheet.shown["LSTM / this, to 0.60"]) == ["1.0", "6.0"]
    claim = "published, to 0.60: LSTM 230, BT-LSTM 16, 14 times fewer (BT Sec. 4.2)"
    assert sheet.notes[-1] == claim


# Files and the command.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = [lstm(0.66, test_size=320), bt_lstm(4, 3392, 0.8, test_size=320)]
    curve = [e for row in rows for e in epochs(row, accuracy=[0.5, 0.65])]
    store_runs(tmp_path, "ucf", rows, *curve)
    store_runs(tmp_path, "other", [ring(2, rmse=0.1)])
    return tmp_path


def test_markdown_and_csv_hold_the_table(root: Path, tmp_path: Path) -> None:
    found = tables_of("ucf", root=root)
    assert list(found) == ["accuracy", "convergence"]
    write(found, tmp_path / "new" / "all.md")
    text = (tmp_path / "new" / "all.md").read_text()
    assert text.count("\n|---|") == 2
    assert "| BT R=4 N=2 | 3387; CR 17388x | 3392; 17388x | 0.853 | 0.856 | 0.800 [" in text
    write(tables_of("ucf", "convergence", root), tmp_path / "c.csv")
    numbers = pd.read_csv(tmp_path / "c.csv")
    reached = numbers[numbers["level"] == 0.6].set_index("model")["mean"]
    assert dict(reached) == {"LSTM": 2.0, "BT R=4 N=2": 2.0}


def test_a_screen_shows_every_cell_however_narrow(root: Path) -> None:
    for width in (40, 200):
        out = io.StringIO()
        show(tables_of("ucf", root=root), Console(file=out, width=width))
        text = out.getvalue()
        for cell in ("3387", "CR 17388x", "0.853", "0.856", "0.800", "[0.753–0.840]"):
            assert cell in text


def test_a_bar_in_a_name_does_not_break_markdown(root: Path) -> None:
    sheet = tables_of("ucf", "accuracy", root)["accuracy"]
    sheet.shown.loc[0, "model"] = "a|b"
    assert "| a\\|b |" in markdown(sheet)


def test_the_command_prints_and_writes(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tables", "ucf", "--results", str(root)]) == 0
    assert "0.856" in capsys.readouterr().out
    out = tmp_path / "t.csv"
    asked = ["tables", "ucf", "--results", str(root), "--only", "accuracy", "--out", str(out)]
    assert main(asked) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert "published_model" in out.read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["other"], "tables: none of 1 runs is done and has a top accuracy"),
        (["ucf", "--only", "acuracy"], "--only must be one of: accuracy, convergence; got"),
        (["ucf", "--out", "t.csv"], "--out t.csv takes one table: add --only accuracy|converg"),
        (["ucf", "--out", "t.txt"], "--out must be one of: .md, .csv; got '.txt'"),
    ],
)
def test_wrong_usage_is_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main(["tables", *arguments, "--results", str(root)]) == 2
    assert text in capsys.readouterr().err


def test_two_kinds_of_data_get_tables_of_their_own() -> None:
    rows = [lstm(0.66), features("dense", 0.9)]
    found = sheets({"runs": frame("runs", rows), "epochs": frame("epochs", [])})
    kinds = ("accuracy", "convergence")
    assert set(found) == {
        f"{kind}_{data}" for kind in kinds for data in ("ucf11", "ucf11-features")
    }
