"""A training step, eager, compiled and captured: all take the same steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rankbench.cells.modules import build_cell
from rankbench.cells.settings import Cell
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Context, Point
from rankbench.tasks.profile import Profile
from rankbench.training import step as module
from rankbench.training.execution import Execution
from rankbench.training.loop import train
from rankbench.training.settings import Compute, Training
from rankbench.training.step import WARMUP, TrainingStep

GRAPH = Compute(cuda_graph=True)
COMPILE = Compute(compile=True)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
Pair = tuple[Tensor, Tensor]


@dataclass
class Trial:
    """A tiny model, its step, and the losses of some batches."""

    compute: Compute
    device: str = "cpu"
    written: list[int] = field(default_factory=list)  # sizes of batches the loss was called with

    def __post_init__(self) -> None:
        source = torch.Generator().manual_seed(0)
        self.model = nn.Linear(3, 2, dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=source))
        self.model.to(place(self.device))
        self.execution = Execution(self.compute, self.device)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.step: TrainingStep[Pair] = TrainingStep(self.loss, optimizer, self.execution)

    def loss(self, batch: Pair) -> Tensor:
        x, y = batch
        self.written.append(len(x))
        return (self.model(x) - y).square().mean()

    def losses(self, sizes: list[int]) -> list[float]:
        source = torch.Generator().manual_seed(1)
        return [
            self.step(
                (
                    torch.randn(size, 3, generator=source, dtype=torch.float64),
                    torch.randn(size, 2, generator=source, dtype=torch.float64),
                )
            ).item()
            for size in sizes
        ]


def place(device: str) -> str:
    """Where tensors lie: fakes of a GPU keep them on the CPU."""
    return device if torch.cuda.is_available() else "cpu"


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A capture that, replayed, calls the step and writes its loss where it was first written."""
    said: list[str] = []

    def capture(step: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        said.append("capture")
        loss = torch.zeros((), dtype=torch.float64)

        def replay() -> None:
            said.append("replay")
            loss.copy_(step())

        return replay, loss

    monkeypatch.setattr(module, "_capture", capture)
    monkeypatch.setattr(module, "_side_stream", lambda: said.append("beside") or nullcontext())
    return said


SIZES = [4, 4, 4, 2, 4, 4, 2, 4]


def test_a_captured_step_follows_warm_up_and_takes_the_same_steps(fake_gpu: list[str]) -> None:
    trial = Trial(GRAPH, "cuda")
    assert trial.losses(SIZES) == Trial(Compute()).losses(SIZES)
    # The smaller batches run as written, in between.
    assert fake_gpu == [*["beside"] * WARMUP, "capture", *["replay"] * 3]
    assert trial.written == SIZES
    assert trial.execution.facts()["cuda_graph"] is True
    assert trial.execution.facts()["fallback"] is None


def test_a_replay_reads_the_batch_at_hand_and_its_loss_is_kept(fake_gpu: list[str]) -> None:
    trial = Trial(GRAPH, "cuda")
    batch = (torch.ones(4, 3, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64))
    kept = [trial.step(batch) for _ in range(WARMUP + 2)]
    before = [loss.item() for loss in kept]
    batch[0].fill_(9.0)
    trial.step(batch)
    assert [loss.item() for loss in kept] == before
    assert fake_gpu.count("replay") == 3


def test_a_failed_capture_is_told_and_the_step_runs(
    fake_gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def capture(_: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors")

    monkeypatch.setattr(module, "_capture", capture)
    trial = Trial(GRAPH, "cuda")
    assert trial.losses(SIZES) == Trial(Compute()).losses(SIZES)
    assert trial.execution.facts()["cuda_graph"] is False
    assert trial.execution.facts()["fallback"] == (
        "cuda_graph: RuntimeError: operation not permitted when stream is capturing"
    )


@pytest.mark.parametrize("compute", [GRAPH, COMPILE])
def test_too_few_steps_are_told(compute: Compute, fake_gpu: list[str]) -> None:
    trial = Trial(compute, "cuda")
    trial.losses([4])
    assert str(trial.execution.facts()["fallback"]).endswith(": too few steps of one shape")
    assert "capture" not in fake_gpu


def test_no_gpu_is_told() -> None:
    trial = Trial(GRAPH)
    trial.losses([4] * 6)
    assert trial.execution.facts()["fallback"] == "cuda_graph: CUDA graphs need a GPU"


def test_the_first_batch_and_other_shapes_run_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []

    def compile_(loss: Callable[[Pair], Tensor], **_: Any) -> Callable[[Pair], Tensor]:
        def call(batch: Pair) -> Tensor:
            compiled.append(len(batch[0]))
            return loss(batch)

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    trial = Trial(COMPILE)
    assert trial.losses([4, 4, 2, 4]) == Trial(Compute()).losses([4, 4, 2, 4])
    assert compiled == [4, 4]
    assert trial.execution.facts()["compiled"] is True


@pytest.mark.parametrize("where", ["at once", "when called", "in its backward pass"])
def test_what_cannot_be_compiled_runs_as_written(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_(loss: Callable[[Pair], Tensor], **_: Any) -> Callable[[Pair], Tensor]:
        if where == "at once":
            raise RuntimeError("not supported")

        def call(batch: Pair) -> Tensor:
            if where == "when called":
                raise RuntimeError("not supported")
            made = loss(batch)
            made.register_hook(lambda _: made.reshape(7))
            return made

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    trial = Trial(COMPILE)
    assert trial.losses([4, 4, 4]) == Trial(Compute()).losses([4, 4, 4])
    assert trial.execution.facts()["compiled"] is False
    assert str(trial.execution.facts()["fallback"]).startswith("compile: RuntimeError: ")


def test_an_error_of_the_step_itself_is_raised() -> None:
    trial = Trial(COMPILE)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trial.step((torch.ones(4, 9, dtype=torch.float64), torch.ones(4, 2, dtype=torch.float64)))


def test_a_schedule_reaches_a_rate_that_is_a_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    # As for a capture: Adam reads the same tensor at every replay.
    monkeypatch.setattr(
        Execution,
        "adam",
        lambda self, parameters, rate: torch.optim.Adam(parameters, lr=torch.tensor(rate)),
    )

    def weights() -> list[float]:
        model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.constant_(model.weight, 4.0)
        training = Training(epochs=5, schedule="cosine", learning_rate=0.1)
        records = train(
            model,
            training,
            batches=lambda: [torch.ones(1, 1, dtype=torch.float64)],
            loss=lambda batch: model(batch).square().sum(),
            evaluate=lambda: {"weight": model.weight.item()},
        )
        return [record["weight"] for record in records]

    found = weights()
    monkeypatch.undo()
    assert found == pytest.approx(weights(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_compiled_steps_are_the_steps(kernel: str) -> None:
    cell = Cell(name="lstm", hidden_size=8)
    settings = LayerSettings(decomposition="tensor_train", core_order=2, tt_ranks=2, kernel=kernel)
    x = torch.randn(4, 3, 36, generator=torch.Generator().manual_seed(0))

    def losses(compute: Compute) -> tuple[list[float], dict[str, Any]]:
        model = build_cell(cell, settings.resolve(36, 8, gates=4), 0)
        execution = Execution(compute)
        step = TrainingStep(
            lambda x: model(x)[0].square().mean(),
            execution.adam(model.parameters(), 1e-2),
            execution,
        )
        return [step(batch).item() for batch in (x, x, x[:3], x)], execution.facts()

    plain, _ = losses(Compute())
    found, facts = losses(COMPILE)
    assert facts["fallback"] is None
    assert facts["compiled"] is True
    assert found == pytest.approx(plain, rel=1e-5)


@needs_gpu
def test_captured_steps_are_the_steps() -> None:
    cell = Cell(name="lstm", hidden_size=8)
    layer = LayerSettings(decomposition="block_term", core_order=2, tucker_rank=2, cp_rank=2)

    def losses(compute: Compute) -> tuple[list[float], dict[str, Any]]:
        model = build_cell(cell, layer.resolve(36, 8, gates=4), 0, device="cuda")
        source = torch.Generator().manual_seed(0)
        batches = [torch.randn(n, 3, 36, generator=source).cuda() for n in (4, 4, 3)]
        execution = Execution(compute, "cuda")
        records = train(
            model,
            Training(epochs=5, schedule="cosine", learning_rate=1e-2),
            batches=lambda: batches,
            loss=lambda x: model(x)[0].square().mean(),
            evaluate=dict,
            execution=execution,
        )
        return [record["train_loss"] for record in records], execution.facts()

    plain, _ = losses(Compute())
    found, facts = losses(GRAPH)
    assert facts["fallback"] is None
    assert facts["cuda_graph"] is True
    assert found == pytest.approx(plain, rel=1e-4)


@needs_gpu
def test_a_profile_times_captured_steps() -> None:
    task = Profile(in_features=36, out_features=16, batch=2, time_steps=3, budget_s=0.2)
    layer = LayerSettings(decomposition="cp", core_order=2, cp_rank=2).resolve(36, 16)
    facts: dict[str, Any] = {}
    chosen = Point(task=task, layer=layer, compute=GRAPH)
    for table, row in task.run(chosen, Context(seed=0, device="cuda")):
        facts |= row if table == "runs" else {}
    assert facts["cuda_graph"] is True
    assert facts["step_ms"] > 0
