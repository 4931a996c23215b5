"""How the points of a study are chosen, what is asked of them, and which are left out."""

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
    """How points are chosen: a grid is enumerated, the other samplers are Optuna's.

    `trials`: points in all, for samplers other than grid; `seed`: of the sampler;
    `objectives`: column of `runs` -> minimize or maximize.
    `pruner`: what ends a point early whose first seed's validation curve is behind; of `median`,
    `startup_trials` finished points and `warmup_epochs` come first; of `hyperband`, `min_epochs`
    and `reduction_factor`. All have Optuna's meaning and defaults.
    `limits`: bounds on columns in KNOWN; a point beyond one is never measured.
    `constraints`: bounds on columns that are measured, which the samplers are told of.
    """

    sampler: str = "grid"
    trials: int | None = None
    seed: int = 0
    objectives: tuple[tuple[str, str], ...] = (("num_params", "minimize"),)
    pruner: str = "none"
    startup_trials: int = 5
    warmup_epochs: int = 0
    min_epochs: int = 1
    reduction_factor: int = 3
    limits: tuple[Bound, ...] = ()
    constraints: tuple[Bound, ...] = ()

    def __post_init__(self) -> None:
        one_of("search.sampler", self.sampler, SAMPLERS)
        if self.sampler != "grid":
            positive_int(f"search.trials (with sampler {self.sampler})", self.trials)
        if not self.objectives:
            raise ValueError("search.objectives must name a column of runs, e.g. {rmse: minimize}")
        for column, direction in self.objectives:
            one_of("search.objectives", column, [c.name for c in RUNS if c.type in _NUMBERS])
            one_of(f"search.objectives.{column}", direction, ("minimize", "maximize"))
        for bound in self.limits:
            one_of("search.limits (known before a run)", bound.column, KNOWN)
        for bound in self.constraints:
            one_of("search.constraints", bound.column, [c.name for c in RUNS if c.type in _NUMBERS])
        self._check_pruner()

    def asked(self) -> str:
        """Objectives and constraints as JSON, for the column `search`."""
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
                f"search.pruner={self.pruner} needs one objective, as Optuna's pruners do; got"
                f" {names}; keep one, or set search.pruner=none"
            )
