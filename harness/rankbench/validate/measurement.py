"""Counts, time and memory at the points of a sweep."""

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

# A point beyond is counted, not timed: seconds predicted, elements of a tensor, those of a row.
SLOWEST_S, LARGEST, LONGEST = 1.0, 1 << 24, 1 << 17
MAX_ROUNDS = 15
PHASES = ("forward", "backward")


@dataclass(kw_only=True)
class SweepMeasurement:
    """What is known of a point: FLOPs by torch's counter; by phase times and peak memory, if any.

    `choice`: the contraction and the kernel. `peak_mb`: tensors, as in `rankbench.measure.timing`.
    """

    point: SweepPoint
    choice: Choice
    counted: tuple[int, int]
    timed: dict[str, list[Timed]] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    @property
    def planned(self) -> tuple[int, int]:
        """FLOPs of a forward and of a backward pass by the plan."""
        found = self.choice.contraction
        return found.flops(self.point.rows), found.backward_flops(self.point.rows)

    @property
    def agrees(self) -> bool:
        """Whether torch counts what the plan says, in both directions."""
        return self.counted == self.planned

    @property
    def can_be_timed(self) -> bool:
        """Whether it is fast and small enough to be timed."""
        if self.choice.seconds > SLOWEST_S or not is_small(self.point):
            return False
        # A layer's first weights are scaled by their norm, which takes R^4 of a ring.
        return plan_squared_norm(self.point.layer.network).largest_intermediate <= LARGEST

    def median_ms(self, phase: str) -> float:
        """Median wall time of a phase in ms."""
        return statistics.median(sample.ms for sample in self.timed[phase])


def is_small(point: SweepPoint) -> bool:
    """Whether its tensors fit; the native kernel plans with tables as long as a row."""
    features = max(point.layer.in_features, point.layer.out_features)
    largest = max(point.rows * features, point.layer.num_params)
    return largest <= LARGEST and features <= LONGEST


def count_sweep(sweep: Sweep, target: Target) -> list[SweepMeasurement]:
    """Plan every point and count its FLOPs; nothing is computed."""
    found = []
    for point in sweep.points:
        layer = point.layer if is_small(point) else replace(point.layer, kernel="torch")
        choice = choose(layer, point.rows, target)
        counted = count(choice.contraction, point.rows)
        found.append(SweepMeasurement(point=point, choice=choice, counted=counted))
    return found


def time_sweep(measurements: Sequence[SweepMeasurement], budget_s: float) -> None:
    """Time forward and backward of what can be timed, in turns, and take peaks of memory.

    Raises what a pass raises.
    """
    chosen = [m for m in measurements if m.can_be_timed]
    passes = {str(m.point.value): _Passes(m.point) for m in chosen}
    lanes = {name: one.lane for name, one in passes.items()}
    for one in passes.values():
        one.run()  # the first call plans and compiles
    known = {str(m.point.value): m for m in chosen}
    for sample in interleave(lanes, budget_s=budget_s, max_rounds=MAX_ROUNDS):
        if isinstance(sample, Failed):
            raise sample.error
        known[sample.lane].timed.setdefault(sample.phase, []).append(sample)
    for name, one in passes.items():
        for phase, call in (("forward", one.forward), ("backward", one.run)):
            one.clear()
            known[name].peak_mb[phase] = peak_memory(call, "cpu")
        one.clear()


class _Passes:
    """A layer's forward and backward pass over rows from N(0, 1)."""

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
