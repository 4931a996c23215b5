"""Measurements as evidence: what is one layer, what is told apart, what is near."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rankbench.analysis.recommend.evidence import (
    COLUMNS,
    MeasuredLayer,
    best_means,
    distances,
    doublings,
    kind_of,
    leaders,
    level_with,
    measured,
    told_worse,
)
from rankbench.layers import LAYERS, Layer

MODES = {"in_modes": (8, 8), "out_modes": (8, 8)}


def layer(name: str, **ranks: Any) -> Layer:
    return LAYERS[name](**MODES, **ranks)


def rows(
    one: dict[str, Any], values: list[float], *, noise: float = 0.05, status: str = "done"
) -> list[dict[str, Any]]:
    settings = {**{k: list(v) for k, v in MODES.items()}, **one}
    config = {"task": {"name": "recovery"}, "layer": settings, "training": {"epochs": 9}}
    row = dict.fromkeys(COLUMNS) | {
        "study": "made",
        "task": "recovery",
        "target": "ring",
        "noise": noise,
        "in_features": 64,
        "out_features": 64,
        "status": status,
        "learner": "adam",
        "config": json.dumps(config),
    }
    return [row | {"seed": seed, "rmse": value} for seed, value in enumerate(values)]


CP = {"decomposition": "cp", "cp_rank": 3}
TUCKER = {"decomposition": "tucker", "tucker_rank": [2, 2]}
DENSE = {"decomposition": "dense"}


def pieces_of(*parts: list[dict[str, Any]]) -> list[MeasuredLayer]:
    return measured(pd.DataFrame([row for part in parts for row in part]), "recovery")


def test_runs_of_one_layer_and_condition_are_one_piece() -> None:
    found = pieces_of(rows(CP, [0.2, 0.4]), rows(CP, [0.9], noise=1.0), rows(TUCKER, [0.5]))
    assert len(found) == 3
    piece = next(p for p in found if p.value.count == 2)
    assert piece.layer == layer("cp", cp_rank=3)
    assert piece.value.mean == pytest.approx(0.3)
    assert (piece.cell, piece.seeds, piece.sizes) == (None, 2, (64, 64))
    assert piece.shown == "ring, noise 0.05, 9 epochs"


def test_least_squares_failures_and_other_tasks_are_no_evidence() -> None:
    lines = [
        *rows(CP, [0.2]),
        *[row | {"learner": "least_squares"} for row in rows(DENSE, [0.1])],
        *rows(TUCKER, [math.nan], status="error"),
        *[row | {"task": "profile"} for row in rows(TUCKER, [0.1])],
    ]
    assert [piece.layer.name for piece in pieces_of(lines)] == ["cp"]


def test_the_best_is_within_the_budget_and_has_an_interval() -> None:
    found = pieces_of(
        rows(CP, [0.30, 0.31, 0.32]), rows(TUCKER, [0.2]), rows(DENSE, [0.10, 0.11, 0.12])
    )
    best = leaders(found, max_params=1000)
    assert [piece.layer.name for piece in best.values()] == ["cp"]
    assert list(best_means(found, max_params=1000).values()) == [0.2]
    assert list(best_means(found, max_params=1).values()) == [0.1 + 0.01]


def test_intervals_that_do_not_overlap_tell_apart_and_others_do_not() -> None:
    best, near, wide, far = (
        pieces_of(rows(CP, values))[0]
        for values in ([0.2, 0.21, 0.22], [0.21, 0.22, 0.23], [0.1, 0.5, 0.9], [0.5, 0.51, 0.52])
    )
    assert (told_worse(near, best), level_with(near, best)) == (False, True)
    assert (told_worse(wide, best), level_with(wide, best)) == (False, False)
    assert (told_worse(far, best), level_with(far, best)) == (True, False)


def test_a_run_that_diverged_makes_a_layer_worse() -> None:
    lines = [*rows(CP, [0.2, 0.21]), *rows(CP, [math.nan], status="diverged")]
    (piece,) = pieces_of(lines)
    assert piece.diverged == 1
    assert told_worse(piece, piece)
    assert not level_with(piece, piece)


def test_degenerate_block_terms_are_what_they_are() -> None:
    assert kind_of(layer("block_term", tucker_rank=1, cp_rank=5)) == ("cp", (5,))
    assert kind_of(layer("block_term", tucker_rank=4, cp_rank=1)) == ("tucker", (4,))
    assert kind_of(layer("block_term", tucker_rank=4, cp_rank=2)) == ("block_term", (4, 2))
    assert kind_of(layer("dense")) == ("dense", ())


def test_steps_are_doublings_and_orders() -> None:
    (piece,) = pieces_of(rows(CP, [0.2]))
    same, twice, other = (
        layer("cp", cp_rank=3),
        layer("cp", cp_rank=6),
        layer("tucker", tucker_rank=3),
    )
    deeper = LAYERS["cp"](in_modes=(4, 4, 4), out_modes=(4, 4, 4), cp_rank=3)
    found = distances([same, twice, other, deeper], None, [piece])[:, 0]
    assert found[0] == 0
    assert found[1] == pytest.approx(2)  # the rank and the parameters
    assert np.isinf(found[2])
    assert found[3] == pytest.approx(1 + math.log2(128 / 48))
    assert distances([same], "lstm", [piece])[0, 0] == 1
    assert doublings((64, 64), (32, 256)) == 3
