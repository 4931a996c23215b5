"""Choose the contraction and kernel of a layer, as its settings say or a cost model predicts."""

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

_FINALISTS = 8  # The contractions, best by a rough estimate, whose time is predicted in detail.
_SEARCHABLE = 7  # The number of cores up to which the search for the fewest FLOPs takes no time.


@dataclass(frozen=True)
class Choice:
    """A contraction, the kernel that runs it, and the time of the map, merging included."""

    contraction: Contraction
    """The contraction."""
    kernel: str
    """`torch` or `native`."""
    forward_s: float
    """Predicted seconds of a forward pass."""
    backward_s: float
    """Predicted seconds of a backward pass."""

    @property
    def seconds(self) -> float:
        """Predicted seconds of forward and backward pass together."""
        return self.forward_s + self.backward_s

    def describe(self) -> str:
        """Return the kernel and the groups as text, such as "native: A4 A3+G A2 A1"."""
        return f"{self.kernel}: {self.contraction.describe()}"


def contraction_of(layer: Layer, rows: int) -> Contraction:
    """Return the layer's contraction of `rows` rows, which is the same on every machine.

    For the plans `auto` and `tuned` it is what the cost model chooses for the torch kernel on one
    CPU thread in float32.
    """
    positive_int("rows", rows)
    if layer.plan in NAMED:
        return contraction(layer.network, NAMED[layer.plan](layer.network, rows))
    return choose(replace(layer, plan="auto", kernel="torch"), rows, Target()).contraction


def cost(layer: Layer, rows: int) -> Cost:
    """Return the cost of a forward pass over `rows` rows by `contraction_of(layer, rows)`."""
    return contraction_of(layer, rows).cost(rows)


def choose(layer: Layer, rows: int, target: Target) -> Choice:
    """Return the contraction and kernel predicted to be fastest for `rows` rows on `target`.

    Raises:
        ValueError: If the layer's kernel is `native` and it cannot be used.
    """
    return choices(layer, rows, target)[0]


@functools.lru_cache(maxsize=4096)
def choices(layer: Layer, rows: int, target: Target) -> tuple[Choice, ...]:
    """Return the choices that the layer's plan and kernel allow, the fastest first as predicted."""
    rows, kernels = max(rows, 1), usable_kernels(layer.kernel, target)
    if layer.plan in NAMED:
        named = contraction(layer.network, NAMED[layer.plan](layer.network, rows))
        options = [_choice(named, kernel, rows, target) for kernel in kernels]
    else:
        options = [
            _choice(finalist, kernel, rows, target)
            for kernel in kernels
            for finalist in _finalists(layer, kernel, rows, target)
        ]
    return tuple(sorted(options, key=lambda choice: choice.seconds))


def usable_kernels(kernel: str, target: Target) -> tuple[str, ...]:
    """Return the kernels that the setting `kernel` allows on `target`.

    Raises:
        ValueError: If `kernel` is `native` and it cannot be used.
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
    """Return the candidates that are best by a rough estimate, and those of the named plans."""
    few = len(layer.network.cores) <= _SEARCHABLE
    named = [NAMED[plan](layer.network, rows) for plan in NAMED if few or plan != "optimal"]

    def estimate(candidate: Contraction) -> float:
        return rough_seconds(candidate, kernel, rows, target)

    possible = [contraction(layer.network, groups) for groups in candidates(layer.network)]
    best = heapq.nsmallest(_FINALISTS, possible, key=estimate)
    return list(dict.fromkeys([*best, *(contraction(layer.network, groups) for groups in named)]))


def _choice(candidate: Contraction, kernel: str, rows: int, target: Target) -> Choice:
    return Choice(candidate, kernel, *predict(candidate, kernel, rows, target))
