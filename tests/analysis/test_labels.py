"""What settings and numbers are called in legends."""

from __future__ import annotations

import json

import pytest

from rankbench.analysis.summaries import labels
from tests.helpers.frames import block_term, bt_lstm, frame, lstm, ring, run


@pytest.mark.parametrize(
    ("row", "label"),
    [
        (run("dense"), "dense"),
        (run("dense", cell="gru"), "GRU"),
        (run("dense", learner="least_squares"), "linear regression"),
        (run("low_rank", rank=3), "low rank R=3"),
        (run("cp", cp_rank=5), "CP N=5"),
        (run("tucker", tucker_rank=4, ranks=[4, 4]), "Tucker R=4"),
        (run("tucker", tucker_rank=4, ranks=[2, 4]), "Tucker R=2–4"),
        (block_term(4, 2), "BT R=4 N=2"),
        (block_term(2, 7), "BT R=2 N=7"),
        (run("tensor_train", tt_rank=4, ranks=[1, 4, 4, 4, 1]), "TT R=4"),
        (run("tensor_train", tt_rank=4, ranks=[1, 2, 4, 1]), "TT R=2–4"),
        (ring(5), "TR R=5"),
        (run("tensor_ring", tr_rank=10, ranks=[10, 5, 5, 5]), "TR R=5–10"),
        (run("tensor_ring", tr_rank=10), "TR R=10"),
    ],
)
def test_settings_are_named_as_papers_do(row: dict[str, object], label: str) -> None:
    assert list(labels.points(frame("runs", [row])).values()) == [label]


def test_points_that_look_alike_show_what_differs() -> None:
    rows = [block_term(2, 1, d, noise=noise) for d in (2, 4) for noise in (0.05, 0.1)]
    rows.append(ring(5))
    assert list(labels.points(frame("runs", rows)).values()) == [
        "BT R=2 N=1 d=2 noise 0.05",
        "BT R=2 N=1 d=2 noise 0.1",
        "BT R=2 N=1 d=4 noise 0.05",
        "BT R=2 N=1 d=4 noise 0.1",
        "TR R=5",
    ]


def test_points_that_differ_in_their_config_show_its_settings() -> None:
    configs = [json.dumps({"training": {"learning_rate": r, "epochs": 9}}) for r in (0.01, 0.02)]
    rows = [ring(5, config=config) for config in configs]
    shown = list(labels.points(frame("runs", rows)).values())
    assert shown == ["TR R=5 learning_rate=0.01", "TR R=5 learning_rate=0.02"]


def test_points_that_differ_in_nothing_known_show_their_ids() -> None:
    rows = [ring(5, point_id="aaaaaaaabb"), ring(5, point_id="bbbbbbbbaa")]
    assert list(labels.points(frame("runs", rows)).values()) == ["TR R=5 #aaaaaa", "TR R=5 #bbbbbb"]


def test_sizes_are_ratios_or_parameters() -> None:
    (compressed,) = frame("runs", [bt_lstm(4, 3392, 0.8)]).to_dict("records")
    assert labels.size(compressed) == "CR 17388x"
    (dense,) = frame("runs", [lstm(0.7)]).to_dict("records")
    assert labels.size(dense) == "59.0M parameters"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(81693.07, "81693x"), (17388.68, "17388x"), (100.0, "100x"), (24.71, "24.7x"), (0.5, "0.5x")],
)
def test_ratios_from_100_are_cut_as_the_papers_cut_them(number: float, shown: str) -> None:
    assert labels.ratio(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(722, "722"), (65536, "65536"), (678912, "678.9k"), (1867776, "1.9M"), (3.2e9, "3.2G")],
)
def test_counts(number: int, shown: str) -> None:
    assert labels.count(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0.8531, "0.853"),
        (12.345, "12.3"),
        (853.1, "853"),
        (58982.4, "58982"),
        (0.00571, "0.00571"),
        (4e-16, "4.00e-16"),
        (0.0, "0"),
    ],
)
def test_values_keep_three_digits(number: float, shown: str) -> None:
    assert labels.value(number) == shown


@pytest.mark.parametrize(
    ("mean", "half", "shown"),
    [
        (0.853, 0.0123, "0.853 ± 0.012"),
        (0.853, 0.0004, "0.853 ± <0.001"),
        (0.853, 0.0, "0.853 ± 0.000"),
        (0.0571, 0.0012, "0.0571 ± 0.0012"),
        (4e-16, 1.234e-16, "4.00e-16 ± 1.2e-16"),
    ],
)
def test_intervals_have_the_decimals_of_their_mean(mean: float, half: float, shown: str) -> None:
    assert labels.plus_minus(mean, half) == shown
