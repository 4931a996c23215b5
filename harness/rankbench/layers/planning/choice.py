"""Which contraction runs, and with which kernel: a cost model picks one, or a setting does."""

from __future__ import annotations

import functools
import heapq
from dataclasses import dataclass, replace

from rankbench.common.checks import positive_int
from rankbench.layers.base import Layer
from rankbench.layers.contraction.orders import NAMED, candidates
from rankbench.layers.contraction.stages import Contraction, Cost, contraction
from rankbench.layers.kernels.compiler import unavailable
from rankbench.layers.kernels.target import Target
from rankbench.layers.planning.cost_model import predict, rough_seconds

_FINALISTS = 8  # contractions whose layout is looked at
_SEARCHABLE = 7  # cores up to which the order with fewest FLOPs is found in a blink


@dataclass(frozen=True)
class Choice:
    """A contraction, the kernel that runs it, and the seconds predicted for a step of it.

    `forward_s` and `backward_s`: of the map alone, merging included.
    """

    contraction: Contraction
    kernel: str
    forward_s: float
    backward_s: float

    @property
    def seconds(self) -> float:
        """Of forward and backward."""
        return self.forward_s + self.backward_s

    def describe(self) -> str:
        """The kernel and the groups, such as "native: A4 A3+G A2 A1"."""
        return f"{self.kernel}: {self.contraction.describe()}"


def contraction_of(layer: Layer, rows: int) -> Contraction:
    """How the layer's plan contracts `rows` rows; the same on every machine.

    For `auto` and `tuned`, the choice of the model for torch on a CPU in float32.
    """
    positive_int("rows", rows)
    if layer.plan in NAMED:
        return contraction(layer.network, NAMED[layer.plan](layer.network, rows))
    return choose(replace(layer, plan="auto", kernel="torch"), rows, Target()).contraction


def cost(layer: Layer, rows: int) -> Cost:
    """Cost of a forward pass over `rows` rows by `contraction_of(layer, rows)`."""
    return contraction_of(layer, rows).cost(rows)


def choose(layer: Layer, rows: int, target: Target) -> Choice:
    """What the layer's plan and kernel stand for with `rows` rows on `target`.

    Raises ValueError where the native kernel is asked for and cannot be used.
    """
    return choices(layer, rows, target)[0]


@functools.lru_cache(maxsize=4096)
def choices(layer: Layer, rows: int, target: Target) -> tuple[Choice, ...]:
    """The contractions that the layer's plan admits, the one predicted to be fastest first."""
    rows, kernels = max(rows, 1), usable_kernels(layer.kernel, target)
    if layer.plan in NAMED:
        named = contraction(layer.network, NAMED[layer.plan](layer.network, rows))
        found = [_choice(named, kernel, rows, target) for kernel in kernels]
    else:
        found = [
            _choice(finalist, kernel, rows, target)
            for kernel in kernels
            for finalist in _finalists(layer, kernel, rows, target)
        ]
    return tuple(sorted(found, key=lambda choice: choice.seconds))


def usable_kernels(kernel: str, target: Target) -> tuple[str, ...]:
    """The kernels that a setting admits on `target`.

    Raises ValueError where the native kernel is asked for and cannot be used.
    """
    reason = "it runs on a CPU" if target.device != "cpu" else unavailable(target.dtype)
    if kernel == "native" and reason is not None:
        raise ValueError(
            f"the native kernel cannot be used: {reason}; choose layer.kernel auto or torch"
        )
    if kernel == "torch" or reason is not None:
        return ("torch",)
    return ("native",) if kernel == "native" else ("native", "torch")


def _finalists(layer: Layer, kernel: str, rows: int, target: Target) -> list[Contraction]:
    """The best by a rough guess, and what the named plans stand for."""
    few = len(layer.network.cores) <= _SEARCHABLE
    named = [NAMED[plan](layer.network, rows) for plan in NAMED if few or plan != "optimal"]

    def roughly(one: Contraction) -> float:
        return rough_seconds(one, kernel, rows, target)

    found = [contraction(layer.network, groups) for groups in candidates(layer.network)]
    best = heapq.nsmallest(_FINALISTS, found, key=roughly)
    return list(dict.fromkeys([*best, *(contraction(layer.network, groups) for groups in named)]))


def _choice(one: Contraction, kernel: str, rows: int, target: Target) -> Choice:
    return Choice(one, kernel, *predict(one, kernel, rows, target))
