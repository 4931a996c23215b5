"""What is measured: for every method and plan, one variable after the other, the rest fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rankbench.layers import Layer
from rankbench.layers.settings import LayerSettings

PLANS = ("paper", "auto")
GATES = 4  # fused into the first output mode, as in an LSTM

ORDER, SIDE, RANK, BLOCKS, ROWS = 3, 8, 4, 2, 32
DEPTH_SIDE, DEPTH_RANK, DEPTH_ROWS = 4096, 2, 4  # of a sweep over d, whose modes shrink to 2
_SIDES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)

VALUES: dict[str, tuple[int, ...]] = {
    "I": tuple(side**ORDER for side in _SIDES),
    "J": tuple(GATES * side**ORDER for side in _SIDES),
    "R": (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256),
    "N": (1, 2, 4, 8, 16, 32, 64),
    "d": (1, 2, 3, 4, 6, 12),
    "batch": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
}

# By method: how its ranks follow from R and N, and the variables it has.
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
    """A layer and the rows that go through it at one `value` of the variable."""

    value: int
    layer: Layer
    rows: int


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The points of `method` by `plan` that differ in `variable` alone, ascending."""

    method: str
    variable: str
    plan: str
    points: tuple[SweepPoint, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """Such as "tensor_train over R, plan paper"."""
        return f"{self.method} over {self.variable}, plan {self.plan}"


def sweeps(only: str | None = None) -> list[Sweep]:
    """Every sweep, or those of the method `only`."""
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
    """512 -> 4 x 512 in three modes, R = 4, N = 2 on 32 rows, but for `variable`.

    I and J grow in all their modes alike. A sweep over d has 4096 -> 4 x 4096, R = 2, 4 rows.
    """
    deep = variable == "d"
    rank = value if variable == "R" else DEPTH_RANK if deep else RANK
    blocks = value if variable == "N" else BLOCKS
    rows = value if variable == "batch" else DEPTH_ROWS if deep else ROWS
    in_side = value if variable == "I" else DEPTH_SIDE if deep else SIDE**ORDER
    hidden = value // GATES if variable == "J" else DEPTH_SIDE if deep else SIDE**ORDER
    # The papers' implementations are calls of a tensor library: so is the plan paper, timed.
    how: dict[str, Any] = {"plan": plan, "kernel": "torch" if plan == "paper" else "auto"}
    if method != "dense":
        how["core_order"] = value if deep else ORDER
    how |= METHODS[method][0](rank, blocks)
    settings = LayerSettings(decomposition=method, **how)
    return SweepPoint(value=value, layer=settings.resolve(in_side, hidden, gates=GATES), rows=rows)
