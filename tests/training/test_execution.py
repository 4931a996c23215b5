"""Precision, compilation and capture as settings: their errors, their fallbacks, their rows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rankbench.cells.modules import build_cell
from rankbench.cells.settings import CELLS, Cell
from rankbench.engine.execute import Outcome
from rankbench.layers import LAYERS, Layer
from rankbench.layers.kernels import target as speed
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.settings import LayerSettings
from rankbench.study.config import load_study
from rankbench.tasks.base import Point
from rankbench.tasks.clips.action import Action
from rankbench.tasks.profile import Profile
from rankbench.tasks.recovery.task import Recovery
from rankbench.training.execution import Execution
from rankbench.training.settings import Compute, Training
from tests.helpers.clips import HEIGHT, WIDTH, write_clips
from tests.helpers.layer_examples import RANKS, every_way
from tests.study.test_config import error, write
from tests.tasks.test_recovery import run as outcome_of

BFLOAT16 = Compute(precision="bfloat16")
# Relative RMS errors that Compute's docstring states.
BOUNDS = {"bfloat16": 1e-2, "tf32": 2e-3}
SMALL = Recovery(in_features=12, out_features=16, samples=200, noise=0.01, statistics=False)
PROFILE = Profile(in_features=12, out_features=16, batch=2, time_steps=3, budget_s=0.05)
every_layer = pytest.mark.parametrize("name", LAYERS)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))


def layer_of(name: str, in_features: int, out_features: int, **settings: Any) -> Layer:
    chosen = LayerSettings(decomposition=name, **RANKS[name], **settings)
    return chosen.resolve(in_features, out_features)


def point(task: Any = SMALL, name: str = "cp", **changes: Any) -> Point:
    training = Training(epochs=3, learning_rate=0.02) if task.trains else None
    parts = {"task": task, "layer": layer_of(name, 12, 16), "training": training}
    return Point(**{**parts, **changes})


def run(point: Point) -> Outcome:
    outcome = outcome_of(point)
    assert (outcome.status, outcome.error) == ("done", None)
    return outcome


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


# Errors, against the same weights in float64.


def errors(model: nn.Module, exact: nn.Module, x: Tensor, execution: Execution) -> dict[str, float]:
    """Relative RMS error of y and of every gradient, for one random direction of y."""
    exact.load_state_dict(model.state_dict())
    source = torch.Generator().manual_seed(1)
    found: list[dict[str, Tensor]] = []
    for one, dtype in ((model, torch.float32), (exact, torch.float64)):
        own = x.detach().clone().to(dtype).requires_grad_()
        with execution.scope():
            y = one(own)
            y = y if isinstance(y, Tensor) else y[0]
            towards = torch.randn(y.shape, generator=source.manual_seed(1)).to(y)
            (y * towards).sum().backward()
        gradients = {name: parameter.grad for name, parameter in one.named_parameters()}
        found.append({"y": y.detach(), "x": own.grad, **gradients})
    assert all(value.dtype == torch.float32 for value in found[0].values())
    return {
        name: ((found[0][name] - right).norm() / right.norm()).item()
        for name, right in found[1].items()
    }


def map_errors(layer: Layer, compute: Compute, device: str = "cpu") -> dict[str, float]:
    precision = compute.products(torch.float32)
    model = CompressedLinear(layer, 0, torch.float32, device, precision)
    exact = CompressedLinear(layer, 0, torch.float64, device)
    x = torch.randn(96, layer.in_features, generator=torch.Generator().manual_seed(0))
    return errors(model, exact, x.to(device), Execution(compute, device))


@every_layer
@every_way
def test_bfloat16_keeps_to_its_error(name: str, plan: str, kernel: str) -> None:
    found = map_errors(layer_of(name, 512, 192, plan=plan, kernel=kernel), BFLOAT16)
    assert max(found.values()) < BOUNDS["bfloat16"], found
    assert min(found.values()) > 1e-4, found  # it was not float32


@every_layer
def test_gradients_of_many_chunks_keep_to_it_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "_CPU", replace(speed._CPU, chunk=1))  # a row at a time
    found = map_errors(layer_of(name, 512, 192), BFLOAT16)
    assert max(found.values()) < BOUNDS["bfloat16"], found


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("steps", [6, 50])
def test_cells_keep_to_it_over_many_steps(name: str, steps: int) -> None:
    cell = Cell(name=name, hidden_size=32)
    layer = layer_of("block_term", 512, 32 * cell.gates)
    model = build_cell(cell, layer, 0, precision=torch.bfloat16)
    x = torch.randn(8, steps, 512, generator=torch.Generator().manual_seed(0))
    found = errors(model, build_cell(cell, layer, 0, torch.float64), x, Execution())
    assert max(found.values()) < BOUNDS["bfloat16"], found


def test_weights_are_merged_in_their_own_type() -> None:
    layer = layer_of("tensor_ring", 12, 16)
    plain, low = (CompressedLinear(layer, 0, precision=p) for p in (None, torch.bfloat16))
    assert torch.equal(plain.to_dense(), low.to_dense())


@needs_gpu
@every_layer
@pytest.mark.parametrize("precision", BOUNDS)
def test_a_gpu_keeps_to_the_errors(name: str, precision: str) -> None:
    found = map_errors(layer_of(name, 512, 192), Compute(precision=precision), "cuda")
    assert 1e-5 < max(found.values()) < BOUNDS[precision], found
    assert torch.get_float32_matmul_precision() == "highest"


# Training reaches about the same loss.


@every_layer
def test_recovery_in_bfloat16_reaches_about_the_loss_of_float32(name: str) -> None:
    task = replace(SMALL, target=name, target_settings=RANKS[name], keep_weights=False)
    training = Training(epochs=300, learning_rate=0.02, evaluate_every=300)
    plain, low = (
        run(point(task, name, training=training, compute=compute)).facts
        for compute in (Compute(), BFLOAT16)
    )
    assert (plain["precision"], low["precision"]) == ("float32", "bfloat16")
    assert low["train_loss"] != plain["train_loss"]
    assert low["train_loss"] == pytest.approx(plain["train_loss"], rel=0.05, abs=2e-4)


def test_action_in_bfloat16_learns_as_in_float32(tmp_path: Path) -> None:
    frames = str(write_clips(tmp_path / "frames.parquet", groups=8))
    task = Action(frames=frames, height=HEIGHT, width=WIDTH, classes=3, folds=4)
    cell = Cell(name="lstm", hidden_size=8)
    layer = LayerSettings(decomposition="block_term", core_order=3, tucker_rank=2, cp_rank=2)
    plain, low = (
        run(
            Point(
                task=task,
                layer=layer.resolve(task.sizes()[0], 8, gates=4),
                cell=cell,
                training=Training(epochs=30, batch_size=5, learning_rate=1e-2),
                compute=compute,
            )
        ).facts
        for compute in (Compute(), BFLOAT16)
    )
    assert low["precision"] == "bfloat16"
    assert low["top_accuracy"] >= 10 / 12
    assert abs(low["train_loss"] - plain["train_loss"]) < 0.1


# Fallbacks and rows.


@pytest.mark.parametrize("task", [SMALL, PROFILE], ids=["recovery", "profile"])
def test_rows_say_what_was_not_followed(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: Any, **__: Any) -> None:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", no_compiler)
    compute = Compute(precision="tf32", compile=True, cuda_graph=True)
    facts = run(point(task, compute=compute)).facts
    assert {key: facts[key] for key in ("precision", "compiled", "cuda_graph", "fallback")} == {
        "precision": "float32",
        "compiled": False,
        "cuda_graph": False,
        "fallback": "precision: TF32 needs a GPU; compile: RuntimeError: no C++ compiler; "
        "cuda_graph: CUDA graphs need a GPU",
    }


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("task", [SMALL, PROFILE], ids=["recovery", "profile"])
def test_rows_say_that_all_was_followed(task: Any, dtype: str) -> None:
    facts = run(point(task, dtype=dtype)).facts
    assert (facts["precision"], facts["fallback"]) == (dtype, None)
    assert (facts["compiled"], facts["cuda_graph"]) == (False, False)


def test_nothing_is_said_where_nothing_ran() -> None:
    facts = run(point(replace(PROFILE, timing=False), compute=BFLOAT16)).facts
    assert not {"precision", "compiled", "cuda_graph", "fallback"} & set(facts)


def test_settings_that_a_task_cannot_follow_are_refused() -> None:
    with refused(
        "compute.precision=bfloat16 needs task.statistics=false: with statistics, the layer is"
        " trained on moments, not on products with the samples"
    ):
        point(replace(SMALL, statistics=True), compute=BFLOAT16)
    with refused(
        "compute must be left out with task.learner=least_squares, which takes no training steps"
    ):
        least = replace(SMALL, learner="least_squares")
        point(least, "dense", compute=Compute(compile=True))
    with refused("compute.precision tf32 needs dtype float32, got float64"):
        point(compute=Compute(precision="tf32"), dtype="float64")


# Settings and identity.


def test_defaults_leave_an_id_as_it_was() -> None:
    plain = point()
    assert point(compute=Compute()).point_id == plain.point_id
    others = [BFLOAT16, Compute(compile=True), Compute(cuda_graph=True)]
    assert len({plain.point_id, *(point(compute=c).point_id for c in others)}) == 4
    assert plain.config()["compute"] == {
        "precision": "float32",
        "compile": False,
        "cuda_graph": False,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"precision": "fp16"},
            "compute.precision must be one of: float32, tf32, bfloat16; got 'fp16'",
        ),
        ({"compile": "yes"}, "compute.compile must be true or false, got 'yes'"),
        ({"cuda_graph": 1}, "compute.cuda_graph must be true or false, got 1"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with refused(message):
        Compute(**settings)
    ((key, value),) = settings.items()
    assert error(write(tmp_path), f"compute.{key}={value}") == message


def test_a_study_says_it_and_an_override_and_a_space_change_it(tmp_path: Path) -> None:
    text = "task: {name: recovery, statistics: false}\nlayer: {decomposition: dense}\n"
    path = write(tmp_path, text + "compute: {precision: bfloat16}")
    assert load_study(path).point({}).compute == BFLOAT16
    overrides = ["compute.compile=true", "space.shared.compute.precision=[float32,bfloat16]"]
    study = load_study(path, overrides)
    assert [study.point(settings).compute for settings in study.space.grid()] == [
        Compute(compile=True),
        Compute(precision="bfloat16", compile=True),
    ]
    assert study.point({"compute.cuda_graph": True}).compute.cuda_graph


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("compute.precison=tf32", "(did you mean 'precision'?)"),
        ("compute=bfloat16", "compute must be a mapping of precision, compile, cuda_graph"),
        ("space.shared.compute.precision=[fp16]", "tf32, bfloat16; got 'fp16'"),
        ("space.shared.compute.compile=[maybe]", "one of: True, False; got 'maybe'"),
    ],
)
def test_wrong_studies_are_told_in_one_line(tmp_path: Path, override: str, message: str) -> None:
    assert message in error(write(tmp_path), override)
