"""`rankbench validate`: what torch counts is what the plan says; rows, exits, exponents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rankbench import load
from rankbench.analysis.summaries.complexity import exponents
from rankbench.cli.main import main
from rankbench.layers import Layer
from rankbench.layers.kernels.target import Target
from rankbench.layers.kernels.torch_kernel import TorchKernel
from rankbench.layers.modes import product
from rankbench.layers.planning.choice import contraction_of
from rankbench.validate import measurement, sweeps
from rankbench.validate.count import count
from rankbench.validate.measurement import count_sweep, is_small
from tests.helpers.layer_examples import examples, label

ROWS = 5
SMALL = [layer for plan in ("paper", "auto", "dense") for layer in examples(plan)]


@pytest.mark.parametrize("layer", SMALL, ids=label)
def test_torch_counts_what_the_plan_says(layer: Layer) -> None:
    found = contraction_of(layer, ROWS)
    assert count(found, ROWS) == (found.flops(ROWS), found.backward_flops(ROWS))


def test_chunks_are_made_again_in_the_backward_pass() -> None:
    layer = examples("paper")[-2]
    found = contraction_of(layer, ROWS)
    kernel = TorchKernel(found, ROWS, Target(), chunk=2)
    sizes = layer.sizes()
    cores = [
        torch.randn([sizes[label] for label in core.indices], requires_grad=True)
        for core in layer.cores()
    ]
    y = kernel(torch.randn(ROWS, product(layer.in_modes)), cores)
    with FlopCounterMode(display=False) as counter:
        y.backward(torch.ones_like(y))
    again = sum(found.stage_flops(ROWS)[:-1])
    assert counter.get_total_flops() == found.backward_flops(ROWS) + again


def test_the_largest_gradient_is_no_smaller_than_what_a_pass_leaves() -> None:
    for layer in SMALL:
        found = contraction_of(layer, ROWS)
        least = max(layer.num_params // len(layer.cores()), ROWS * layer.out_features)
        assert found.largest_gradient(ROWS) >= max(least, found.largest_intermediate(ROWS))


def test_every_sweep_varies_one_size_and_no_other() -> None:
    found = sweeps.sweeps()
    assert {s.method for s in found} >= {"dense", "tensor_train", "block_term", "tensor_ring"}
    assert len({s.name for s in found}) == len(found)
    for sweep in found:
        values = [point.value for point in sweep.points]
        assert values == sorted(set(values))
        assert len({point.layer for point in sweep.points}) == (
            1 if sweep.variable == "batch" else len(values)
        )
        for point in sweep.points:
            sizes = {"I": point.layer.in_features, "J": point.layer.out_features}
            assert sizes.get(sweep.variable, point.value) == point.value
            assert point.layer.plan == sweep.plan


def test_a_point_too_long_for_a_table_is_planned_for_torch() -> None:
    (sweep,) = (s for s in sweeps.sweeps("cp") if (s.variable, s.plan) == ("I", "auto"))
    long = [one for one in count_sweep(sweep, Target()) if not is_small(one.point)]
    assert long
    assert {one.choice.kernel for one in long} == {"torch"}
    assert not any(one.can_be_timed for one in long)


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sweeps, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sweeps.VALUES, "N", (1, 2, 4, 8))
    monkeypatch.setitem(sweeps.METHODS, "cp", (sweeps.METHODS["cp"][0], ("N",)))
    monkeypatch.setattr(sweeps, "SIDE", 3)
    monkeypatch.setattr(measurement, "MAX_ROUNDS", 3)


@pytest.mark.usefixtures("few")
def test_the_command_fits_stores_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--only", "cp", "--budget", "0.05"]) == 0
    told = capsys.readouterr().out
    assert "[2/2] cp over N, plan auto" in told
    assert "torch counts what the plan says at 8 of 8 points" in " ".join(told.split())
    runs, samples = load("validate"), load("validate", table="samples")
    assert (runs["counted_backward_flops"] == runs["backward_flops"]).all()
    assert (runs[["forward_ms", "backward_peak_mb"]] > 0).all(axis=None)
    found = exponents(runs, samples)
    exact = found[(found["quantity"] == "flops") & (found["plan"] == "paper")]
    assert list(exact["verdict"]) == ["holds", "holds"]
    assert len(found) == 2 * 2 * 4


@pytest.mark.usefixtures("few")
def test_counts_alone_time_nothing_and_replace_no_times() -> None:
    assert main(["validate", "--only", "cp", "--no-measure"]) == 0
    assert load("validate")["forward_ms"].isna().all()
    assert main(["validate", "--only", "cp", "--budget", "0.05"]) == 0
    assert main(["validate", "--only", "cp", "--no-measure"]) == 0
    runs, samples = load("validate"), load("validate", table="samples")
    assert runs["forward_ms"].notna().sum() == 8
    times = exponents(runs, samples).query("quantity == 'time'")
    assert (times["points"] == 4).all()


@pytest.mark.usefixtures("few")
def test_a_count_that_disagrees_is_told_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "count", lambda *_: (1, 2))
    assert main(["validate", "--only", "cp", "--no-measure"]) == 1
    told = capsys.readouterr().out
    assert "at 0 of 8 points" in " ".join(told.split())
    assert "torch counts 1 and 2" in told


def test_an_unknown_method_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--only", "tt"]) == 2
    assert "--only must be one of: dense, tensor_train" in capsys.readouterr().err
    assert main(["validate", "--budget", "0"]) == 2
    assert "--budget must be a number in (0, 3600], got 0.0" in capsys.readouterr().err


def test_stopping_keeps_what_is_measured(
    few: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([measurement.count_sweep])

    def stops(*arguments: object) -> object:
        for call in calls:
            return call(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(measurement, "count_sweep", stops)
    assert main(["validate", "--only", "cp", "--no-measure"]) == 1
    assert "stopped; what was measured is kept" in capsys.readouterr().out
    assert len(load("validate")) == 4
