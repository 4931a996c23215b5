"""Count FLOPs and measure time and memory at the points of a sweep."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rankbench.bench.interleave import Failed, Lane, Timed, interleave
from rankbench.layers.contraction.einsum import plan_squared_norm
from rankbench.layers.kernels.target import Target
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.planning.choice import Choice, choose
from rankbench.measure.timing import peak_memory
from rankbench.validate.count import count
from rankbench.validate.sweeps import Sweep, SweepPoint

# Points beyond these limits are counted but not timed: predicted seconds, elements of the largest
# tensor, and elements of a row.
SLOWEST_S, LARGEST, LONGEST = 1.0, 1 << 24, 1 << 17
MAX_ROUNDS = 15
PHASES = ("forward", "backward")


@dataclass(kw_only=True)
class SweepMeasurement:
    """The counts and measurements of one point of a sweep."""

    point: SweepPoint
    """Layer and rows."""
    choice: Choice
    """Contraction and kernel that the planner has chosen."""
    counted: tuple[int, int]
    """FLOPs of the forward and the backward pass, by torch's counter."""
    timed: dict[str, list[Timed]] = field(default_factory=dict)
    """Samples by phase; empty for a point that is not timed."""
    peak_mb: dict[str, float] = field(default_factory=dict)
    """Peak memory of tensors in MB by phase, as `rankbench.measure.timing` measures it."""

    @property
    def planned(self) -> tuple[int, int]:
        """FLOPs of the forward and the backward pass, by the plan."""
        contraction = self.choice.contraction
        return contraction.flops(self.point.rows), contraction.backward_flops(self.point.rows)

    @property
    def agrees(self) -> bool:
        """Whether torch and the plan count equal FLOPs in both passes."""
        return self.counted == self.planned

    @property
    def can_be_timed(self) -> bool:
        """Whether the point is fast and small enough to be timed."""
        if self.choice.seconds > SLOWEST_S or not is_small(self.point):
            return False
        # Initial weights are scaled by their norm; for a ring, computing it needs R^4 elements.
        return plan_squared_norm(self.point.layer.network).largest_intermediate <= LARGEST

    def median_ms(self, phase: str) -> float:
        """Return the median wall time of a phase in ms."""
        return statistics.median(sample.ms for sample in self.timed[phase])


def is_small(point: SweepPoint) -> bool:
    """Return whether tensors fit into memory, and rows into the tables of the native kernel."""
    features = max(point.layer.in_features, point.layer.out_features)
    largest = max(point.rows * features, point.layer.num_params)
    return largest <= LARGEST and features <= LONGEST


def count_sweep(sweep: Sweep, target: Target) -> list[SweepMeasurement]:
    """Plan every point of a sweep and count its FLOPs, without computing anything.

    Args:
        sweep: The sweep.
        target: The machine and type that is planned for.
    """
    measurements = []
    for point in sweep.points:
        layer = point.layer if is_small(point) else replace(point.layer, kernel="torch")
        choice = choose(layer, point.rows, target)
        counted = count(choice.contraction, point.rows)
        measurements.append(SweepMeasurement(point=point, choice=choice, counted=counted))
    return measurements


def time_sweep(measurements: Sequence[SweepMeasurement], budget_s: float) -> None:
    """Time the passes of all points that can be timed, in turns, and measure their peak memory.

    Args:
        measurements: Points of one sweep; the results are added to them.
        budget_s: Seconds for all points together.

    Raises:
        Exception: Whatever a pass raises.
    """
    chosen = [m for m in measurements if m.can_be_timed]
    all_passes = {str(m.point.value): _Passes(m.point) for m in chosen}
    lanes = {name: passes.lane for name, passes in all_passes.items()}
    for passes in all_passes.values():
        passes.run()  # The first call plans and compiles.
    by_name = {str(m.point.value): m for m in chosen}
    for sample in interleave(lanes, budget_s=budget_s, max_rounds=MAX_ROUNDS):
        if isinstance(sample, Failed):
            raise sample.error
        by_name[sample.lane].timed.setdefault(sample.phase, []).append(sample)
    for name, passes in all_passes.items():
        for phase, call in (("forward", passes.forward), ("backward", passes.run)):
            passes.clear()
            by_name[name].peak_mb[phase] = peak_memory(call, "cpu")
        passes.clear()


class _Passes:
    """The forward and backward pass of a layer over rows drawn from N(0, 1)."""

    def __init__(self, point: SweepPoint) -> None:
        source = torch.Generator().manual_seed(0)
        layer = point.layer
        self.linear = CompressedLinear(layer, seed=0)
        self.x = torch.randn(point.rows, layer.in_features, generator=source)
        self.gradient = torch.randn(point.rows, layer.out_features, generator=source)
        self.output: Tensor | None = None

    @property
    def lane(self) -> Lane:
        calls = {"forward": self.forward, "backward": self.backward}
        return Lane(calls=calls, reset=self.clear)

    def clear(self) -> None:
        self.output = None
        self.linear.zero_grad(set_to_none=True)

    def forward(self) -> None:
        self.output = self.linear(self.x)

    def backward(self) -> None:
        assert self.output is not None
        self.output.backward(self.gradient)

    def run(self) -> None:
        self.forward()
        self.backward()
