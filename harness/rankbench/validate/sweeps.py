"""The sweeps to measure: for every method and plan, one variable varies and the rest is fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rankbench.layers import Layer
from rankbench.layers.settings import LayerSettings

PLANS = ("paper", "auto")
GATES = 4  # Fused into the first output mode, as in an LSTM.

ORDER, SIDE, RANK, BLOCKS, ROWS = 3, 8, 4, 2, 32
DEPTH_SIDE, DEPTH_RANK, DEPTH_ROWS = 4096, 2, 4  # For sweeps over d, whose modes shrink to 2.
_SIDES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)

VALUES: dict[str, tuple[int, ...]] = {
    "I": tuple(side**ORDER for side in _SIDES),
    "J": tuple(GATES * side**ORDER for side in _SIDES),
    "R": (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256),
    "N": (1, 2, 4, 8, 16, 32, 64),
    "d": (1, 2, 3, 4, 6, 12),
    "batch": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
}

# For each method: its ranks as a function of R and N, and the variables that it has.
METHODS: dict[str, tuple[Callable[[int, int], dict[str, int]], tuple[str, ...]]] = {
    "dense": (lambda R, N: {}, ("I", "J", "batch")),
    "tensor_train": (lambda R, N: {"tt_ranks": R}, ("I", "J", "R", "d", "batch")),
    "block_term": (
        lambda R, N: {"tucker_rank": R, "cp_rank": N},
        ("I", "J", "R", "N", "d", "batch"),
    ),
    "tensor_ring": (lambda R, N: {"tr_ranks": R}, ("I", "J", "R", "d", "batch")),
    "cp": (lambda R, N: {"cp_rank": N}, ("I", "J", "N", "d", "batch")),
    "tucker": (lambda R, N: {"tucker_rank": R}, ("I", "J", "R", "d", "batch")),
}


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """A point of a sweep."""

    value: int
    """Value of the variable that varies."""
    layer: Layer
    """The layer with this value."""
    rows: int
    """Rows of its input."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Points that differ in one variable."""

    method: str
    """Decomposition; a key of METHODS."""
    variable: str
    """Variable that varies: I, J, R, N, d or batch."""
    plan: str
    """Plan of the layers: paper or auto."""
    points: tuple[SweepPoint, ...] = field(repr=False)
    """Points in ascending order of the variable."""

    @property
    def name(self) -> str:
        """Name for people, such as "tensor_train over R, plan paper"."""
        return f"{self.method} over {self.variable}, plan {self.plan}"


def sweeps(only: str | None = None) -> list[Sweep]:
    """Return all sweeps, or those of the method `only`."""
    return [
        Sweep(
            method=method,
            variable=variable,
            plan=plan,
            points=tuple(_point(method, variable, plan, value) for value in VALUES[variable]),
        )
        for method, (_, variables) in METHODS.items()
        if only in (None, method)
        for variable in variables
        for plan in PLANS
    ]


def _point(method: str, variable: str, plan: str, value: int) -> SweepPoint:
    """Make a point in which only `variable` differs from the fixed values.

    The fixed layer maps 512 features to 4 x 512 in three modes, with R = 4 and N = 2, on 32 rows.
    I and J grow evenly in all their modes. In a sweep over d, the layer maps 4096 features to
    4 x 4096, with R = 2, on 4 rows.
    """
    deep = variable == "d"
    rank = value if variable == "R" else DEPTH_RANK if deep else RANK
    blocks = value if variable == "N" else BLOCKS
    rows = value if variable == "batch" else DEPTH_ROWS if deep else ROWS
    in_side = value if variable == "I" else DEPTH_SIDE if deep else SIDE**ORDER
    hidden = value // GATES if variable == "J" else DEPTH_SIDE if deep else SIDE**ORDER
    # The plan paper uses the torch kernel, because the papers' code calls a tensor library too.
    how: dict[str, Any] = {"plan": plan, "kernel": "torch" if plan == "paper" else "auto"}
    if method != "dense":
        how["core_order"] = value if deep else ORDER
    how |= METHODS[method][0](rank, blocks)
    settings = LayerSettings(decomposition=method, **how)
    return SweepPoint(value=value, layer=settings.resolve(in_side, hidden, gates=GATES), rows=rows)
