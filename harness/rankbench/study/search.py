"""Settings of a search: sampler, objectives, pruner, limits and constraints."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rankbench.common.checks import check_int_at_least, one_of, positive_int
from rankbench.store.schema import RUNS
from rankbench.study.bounds import Bound
from rankbench.tasks.facts import KNOWN

SAMPLERS = ("grid", "tpe", "nsga2", "random")
PRUNERS = ("none", "median", "hyperband")
_NUMBERS = {c.type for c in RUNS if c.name in ("num_params", "rmse")}


@dataclass(frozen=True, kw_only=True)
class Search:
    """How the points of a study are chosen from its space, and what they are optimised for.

    Raises:
        ValueError: A name is unknown, a value is out of its range, or a pruner is combined with
            several objectives.
    """

    sampler: str = "grid"
    """grid runs every combination; tpe, nsga2 and random use Optuna's samplers."""
    trials: int | None = None
    """Number of points that tpe, nsga2 and random choose; a grid has no use for it."""
    seed: int = 0
    """Seed of Optuna's sampler."""
    objectives: tuple[tuple[str, str], ...] = (("num_params", "minimize"),)
    """Numeric columns of `runs`, each with minimize or maximize."""
    pruner: str = "none"
    """none, median or hyperband: ends a point early if its first seed's curve is worse."""
    startup_trials: int = 5
    """Number of finished points before `median` prunes; 0 or more."""
    warmup_epochs: int = 0
    """Epochs of a run before `median` may prune it; 0 or more."""
    min_epochs: int = 1
    """Epochs of a run before `hyperband` may prune it; 1 or more."""
    reduction_factor: int = 3
    """`hyperband` keeps one of this many points at each rung; 2 or more."""
    limits: tuple[Bound, ...] = ()
    """Bounds on columns in KNOWN, checked before a run; points outside are never measured."""
    constraints: tuple[Bound, ...] = ()
    """Bounds on measured columns; samplers learn by how much a point violates each."""

    def __post_init__(self) -> None:
        one_of("search.sampler", self.sampler, SAMPLERS)
        if self.sampler != "grid":
            positive_int(f"search.trials (with sampler {self.sampler})", self.trials)
        if not self.objectives:
            raise ValueError(
                "search.objectives must name a column of runs, such as {rmse: minimize}; got none"
            )
        for column, direction in self.objectives:
            one_of("search.objectives", column, [c.name for c in RUNS if c.type in _NUMBERS])
            one_of(f"search.objectives.{column}", direction, ("minimize", "maximize"))
        for bound in self.limits:
            one_of("search.limits (known before a run)", bound.column, KNOWN)
        for bound in self.constraints:
            one_of("search.constraints", bound.column, [c.name for c in RUNS if c.type in _NUMBERS])
        self._check_pruner()

    def asked(self) -> str:
        """Return objectives and constraints as JSON, for the column `search`."""
        constraints = {bound.column: bound.plain() for bound in self.constraints}
        return json.dumps({"objectives": dict(self.objectives), "constraints": constraints})

    def _check_pruner(self) -> None:
        one_of("search.pruner", self.pruner, PRUNERS)
        for name in ("startup_trials", "warmup_epochs"):
            check_int_at_least(f"search.{name}", getattr(self, name), 0)
        positive_int("search.min_epochs", self.min_epochs)
        check_int_at_least("search.reduction_factor", self.reduction_factor, 2)
        if self.pruner != "none" and len(self.objectives) > 1:
            names = ", ".join(column for column, _ in self.objectives)
            raise ValueError(
                f"search.pruner={self.pruner} needs exactly one objective, because Optuna prunes by"
                f" one; got {names}; keep one, or set search.pruner=none"
            )
