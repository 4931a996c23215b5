"""Golden numbers: every published parameter count, and what the published shapes cost."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rankbench.analysis.published import (
    PUBLISHED,
    PUBLISHED_COMPLEXITY,
    PUBLISHED_RESULTS,
    Published,
)
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.planning.choice import cost as layer_cost

BY_MODEL = {row.model: row for row in PUBLISHED}
COUNTS = {
    "LSTM": 58982400,
    "BT-LSTM R=1": 722,
    "BT-LSTM R=2": 1472,
    "BT-LSTM R=4": 3392,
    "TT-LSTM": 3360,
    "TR-LSTM": 1725,
    "CNN+TR-LSTM": 678912,
    "DRAW encoder LSTM": 1867776,
    "DRAW encoder BT-LSTM": 1184,
    "recovery d=2 R=1 N=1": 129,
    "recovery d=2 R=4 N=1": 528,
    "recovery d=2 R=1 N=2": 258,
    "recovery d=4 R=4 N=1": 384,
}
COMPRESSED = [row for row in PUBLISHED if row.layer.name != "dense"]
every_row = pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.model)


def test_the_table_is_the_papers() -> None:
    assert {row.model: row.count for row in PUBLISHED} == COUNTS
    assert len(PUBLISHED) == len(COUNTS)


@every_row
def test_parameter_counts_are_reproduced_exactly(row: Published) -> None:
    assert row.layer.num_params == row.count


@pytest.mark.parametrize("row", COMPRESSED, ids=lambda row: row.model)
def test_counts_are_those_of_real_tensors(row: Published) -> None:
    linear = CompressedLinear(row.layer, seed=0)
    assert sum(core.numel() for core in linear.parameters()) == row.count


@pytest.mark.parametrize("model", ["BT-LSTM R=1", "BT-LSTM R=2", "BT-LSTM R=4", "TT-LSTM"])
def test_printed_compression_ratios_follow(model: str) -> None:
    published = {r.model: r.value for r in PUBLISHED_RESULTS if r.metric == "compression_ratio"}
    assert int(BY_MODEL[model].layer.compression_ratio) == pytest.approx(published[model], abs=1)


def test_the_other_printed_compression_ratios_follow() -> None:
    assert int(BY_MODEL["TR-LSTM"].layer.compression_ratio) == 34192
    assert round(BY_MODEL["CNN+TR-LSTM"].layer.compression_ratio) == 25
    assert int(BY_MODEL["DRAW encoder BT-LSTM"].layer.compression_ratio) == 1577


def test_printed_block_term_counts_are_quotients_of_rounded_numbers() -> None:
    """721, 1470 and 3387 are 58.9M over the compression ratio; the models have 722, 1472, 3392."""
    for model, printed in (("BT-LSTM R=1", 721), ("BT-LSTM R=2", 1470), ("BT-LSTM R=4", 3387)):
        assert round(58.9e6 / int(BY_MODEL[model].layer.compression_ratio)) == printed
        assert BY_MODEL[model].printed.startswith(f"{printed};")


def optimal(layer: Layer) -> Layer:
    return dataclasses.replace(layer, plan="optimal")


@pytest.mark.parametrize(
    ("model", "rows", "gflop"),
    [
        ("LSTM", 96, "11.3"),
        ("BT-LSTM R=4", 96, "0.88"),
        ("TT-LSTM", 96, "0.37"),
        ("TR-LSTM", 96, "0.28"),
        ("CNN+TR-LSTM", 384, "17.1"),
    ],
)
def test_flops_by_the_best_order(model: str, rows: int, gflop: str) -> None:
    cost = layer_cost(optimal(BY_MODEL[model].layer), rows)
    assert f"{cost.flops / 1e9:.{len(gflop.split('.')[1])}f}" == gflop


def test_cnn_ring_costs_more_than_the_matrix_it_replaces() -> None:
    ring = BY_MODEL["CNN+TR-LSTM"].layer
    dense = 2 * 384 * ring.dense_params
    assert f"{dense / 1e9:.1f}" == "12.9"
    assert layer_cost(optimal(ring), 384).flops > dense


@every_row
def test_best_order_is_no_worse_than_the_papers(row: Published) -> None:
    paper = dataclasses.replace(row.layer, plan="paper")
    assert layer_cost(optimal(row.layer), 96).flops <= layer_cost(paper, 96).flops


@pytest.mark.parametrize("model", ["BT-LSTM R=4", "TT-LSTM", "TR-LSTM"])
def test_published_shapes_run_alike_in_both_orders(model: str) -> None:
    layer = BY_MODEL[model].layer
    x = torch.randn(2, 57600, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    optimal, paper = (
        CompressedLinear(dataclasses.replace(layer, plan=plan), 0, dtype=torch.float64)(x)
        for plan in ("optimal", "paper")
    )
    torch.testing.assert_close(optimal, paper, rtol=0, atol=1e-10)


def test_published_results_hold_the_headlines() -> None:
    found = {(r.task, r.model, r.metric, r.source): r.value for r in PUBLISHED_RESULTS}
    assert len(found) == len(PUBLISHED_RESULTS), "a result is listed twice"
    assert found["ucf11", "TR-LSTM", "top_accuracy", "TR Table 1, Fig. 7"] == 0.869
    assert found["ucf11", "BT-LSTM R=4", "top_accuracy", "BT Fig. 6, Table 2, TR Table 1"] == 0.853
    assert found["hmdb51-features", "CNN+TR-LSTM", "top_accuracy", "TR Table 3"] == 0.638
    rmse = {r.model: r.value for r in PUBLISHED_RESULTS if r.metric == "rmse"}
    assert rmse == {"linear regression": 0.16, "TT": 0.18, "TR": 0.09}
    accuracies = [r.value for r in PUBLISHED_RESULTS if r.metric == "top_accuracy"]
    assert all(0 < value < 1 for value in accuracies)


def test_complexities_cover_both_passes_of_every_method() -> None:
    passes = {(row.method, row.direction) for row in PUBLISHED_COMPLEXITY}
    methods = ("RNN", "TT-RNN", "BT-RNN", "TR-RNN")
    assert passes == {(m, d) for m in methods for d in ("forward", "backward")}
    assert len(PUBLISHED_COMPLEXITY) == 8
