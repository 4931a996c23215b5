"""Task `profile`: count parameters and FLOPs, and measure time and memory, without training."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rankbench.common.checks import number, positive_int
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.tasks.base import Context, Row, RunCost, Task

if TYPE_CHECKING:
    from torch import Tensor

    from rankbench.cells.modules import RecurrentCell
    from rankbench.layers.linear import CompressedLinear
    from rankbench.tasks.base import Point

LEARNING_RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Profile(Task):
    """Measure the time and memory of a layer, alone or as the input map of a cell.

    The measured step is a forward pass, a backward pass of the mean square of the output, and a
    step of Adam. The input has `batch` x `time_steps` rows drawn from N(0, 1). The point's
    `compute` applies, but peak memory is measured without a CUDA graph.

    Raises:
        ValueError: A value is out of its range.

    Example:
        >>> Profile(in_features=4096, timing=False).sizes()
        (4096, None)
    """

    name: ClassVar[str] = "profile"
    uses_cell: ClassVar[bool] = True
    trains: ClassVar[bool] = False

    in_features: int = 57600
    """Input features of the layer."""
    out_features: int | None = None
    """Output features of a layer without a cell; must be None with one."""
    batch: int = 16
    """Sequences in a batch."""
    time_steps: int = 6
    """Time steps of a sequence."""
    timing: bool = True
    """Whether to measure time and memory; False counts only, and builds no tensor."""
    budget_s: float = 5.0
    """Most seconds to spend on measuring each phase; above 0, up to 3600."""

    def __post_init__(self) -> None:
        for name in ("in_features", "batch", "time_steps"):
            positive_int(f"task.{name}", getattr(self, name))
        if self.out_features is not None:
            positive_int("task.out_features", self.out_features)
        number("task.budget_s", self.budget_s, 0.0, 3600.0, open_low=True)

    def sizes(self) -> tuple[int, int | None]:
        return self.in_features, self.out_features

    def check(self, point: Point) -> None:
        if point.cell is not None and self.out_features is not None:
            raise ValueError(
                "task.out_features must be null with a cell, whose hidden_size determines it; got "
                f"out_features {self.out_features}, hidden_size {point.cell.hidden_size}"
            )

    def describe(self) -> dict[str, Any]:
        return {}

    def run_cost(self, point: Point) -> RunCost:
        if not self.timing:
            return RunCost(flops=0.0, calls=0, steps=0)  # it only counts: nothing is to be planned
        cores = len(point.layer.cores())
        flops = 3.0 * layer_cost(point.layer, self.rows(point)).flops
        return RunCost(flops=flops, calls=20 * self.time_steps + 8 * cores, steps=100)

    def times(self) -> bool:
        return self.timing

    def rows(self, point: Point) -> int:
        return self.batch * self.time_steps

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        if self.timing:
            yield from self._time(point, context)
        else:
            rows = self.rows(point)
            cost = layer_cost(point.layer, rows)
            counts = {
                "forward_flops": cost.flops,
                "largest_intermediate": cost.largest_intermediate,
            }
            yield "runs", {"rows": rows, **counts}

    def _time(self, point: Point, context: Context) -> Iterator[Row]:
        import torch

        from rankbench.layers.linear import CompressedLinear  # loads torch
        from rankbench.measure.timing import measure_training
        from rankbench.training.execution import Execution
        from rankbench.training.step import TrainingStep

        model, x = self._build(point, context)
        params = sum(p.numel() for p in model.parameters())
        input_map = model if isinstance(model, CompressedLinear) else model.input_map
        yield "runs", {"model_params": params, **input_map.facts(self.rows(point))}
        execution = Execution(point.compute, context.device, point.dtype)
        optimizer = execution.adam(model.parameters(), LEARNING_RATE)

        def loss(x: Tensor) -> Tensor:
            output = model(x)
            return (output if isinstance(output, torch.Tensor) else output[0]).square().mean()

        step = TrainingStep(loss, optimizer, execution)
        step.settle(x)
        yield "runs", execution.facts()
        with execution.scope():
            measured = measure_training(
                lambda: step.forward(x),
                optimizer,
                step=lambda: step(x),
                device=context.device,
                budget_s=self.budget_s,
            )
        for phase, times in measured.times_ms.items():
            yield "runs", {f"{phase}_ms": statistics.median(times)}
            for index, ms in enumerate(times):
                yield "samples", {"phase": phase, "sample": index, "ms": ms}
        yield "runs", {f"{phase}_peak_mb": mb for phase, mb in measured.peak_mb.items()}

    def _build(
        self, point: Point, context: Context
    ) -> tuple[CompressedLinear | RecurrentCell, Tensor]:
        import torch

        from rankbench.cells.modules import build_cell
        from rankbench.layers.linear import CompressedLinear  # loads torch

        dtype = getattr(torch, point.dtype)
        place = {"dtype": dtype, "device": context.device}
        precision = point.compute.products(dtype)
        generator = torch.Generator().manual_seed(context.seed)
        x = torch.randn(self.batch, self.time_steps, self.in_features, generator=generator)
        model = (
            CompressedLinear(point.layer, context.seed, **place, precision=precision)
            if point.cell is None
            else build_cell(point.cell, point.layer, context.seed, **place, precision=precision)
        )
        return model, x.to(**place)
