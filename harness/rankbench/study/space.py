"""The space of a study: branches of choices and ranges, as a grid or as Optuna distributions."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from rankbench.layers import LAYERS

# One wide distribution for each structural parameter, the same in every grid, so that a grid
# can grow: Optuna refuses a parameter whose distribution changed.
_ANY_RANK = IntDistribution(1, 65536, log=True)
STRUCTURE: dict[str, BaseDistribution] = {
    "layer.decomposition": CategoricalDistribution(list(LAYERS)),
    "layer.core_order": IntDistribution(1, 64),
    "layer.rank": _ANY_RANK,
    "layer.cp_rank": _ANY_RANK,
    "layer.tucker_rank": _ANY_RANK,
    "layer.tt_ranks": _ANY_RANK,
    "layer.tr_ranks": _ANY_RANK,
    "cell.hidden_size": _ANY_RANK,
}


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, evenly or, with `log`, evenly in their logarithm."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def distribution(self) -> BaseDistribution:
        """Integers where low, high and step are, else floats."""
        bounds = (self.low, self.high, 1 if self.step is None else self.step)
        if all(isinstance(bound, int) for bound in bounds):
            return IntDistribution(int(self.low), int(self.high), self.log, int(bounds[2]))
        return FloatDistribution(self.low, self.high, self.log, self.step)


Dimension = tuple[Any, ...] | Range
Settings = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """Named branches; each maps a dotted setting ("layer.cp_rank") to its choices or range.

    A branch states only the settings that exist in it: a Tucker rank stands in the branches of
    Tucker and block-term layers. An empty space is the one point of the study's own settings.
    """

    branches: dict[str, dict[str, Dimension]]

    @staticmethod
    def parse(shared: Mapping[str, Any], branches: Mapping[str, Any]) -> Space:
        """Read the `space` of a study file; `shared` dimensions join every branch.

        Raises ValueError for a dimension without choices or a range without bounds.
        """
        common = dict(_dimensions("space.shared", shared))
        return Space(
            {
                name: {**common, **dict(_dimensions(f"space.branches.{name}", branch))}
                for name, branch in (branches or {"": {}}).items()
            }
        )

    def grid(self) -> Iterator[Settings]:
        """Every combination of choices, branch after branch.

        Raises ValueError for a range, which has no list of values.
        """
        for dimensions in self.branches.values():
            choices = [_choices(key, dimension) for key, dimension in dimensions.items()]
            for values in itertools.product(*choices):
                yield dict(zip(dimensions, values, strict=True))

    def wide(self) -> dict[str, BaseDistribution]:
        """Distributions of a grid: the wide ones where the values are plain, else the choices."""
        values: dict[str, list[Any]] = {}
        for settings in self.grid():
            for key, value in settings.items():
                seen = values.setdefault(key, [])
                if encode(value) not in seen:
                    seen.append(encode(value))
        return {
            key: STRUCTURE[key]
            if key in STRUCTURE and all(_fits(STRUCTURE[key], value) for value in seen)
            else CategoricalDistribution(seen)
            for key, seen in values.items()
        }

    def narrow(self, branch: str) -> dict[str, BaseDistribution]:
        """Distributions a sampler draws a branch's settings from; one choice is not drawn."""
        return {
            self._name(branch, key): dimension.distribution()
            if isinstance(dimension, Range)
            else CategoricalDistribution([encode(value) for value in dimension])
            for key, dimension in self.branches[branch].items()
            if isinstance(dimension, Range) or len(dimension) > 1
        }

    def settings(self, branch: str, params: Mapping[str, Any]) -> Settings:
        """The settings that sampled `params` stand for."""
        chosen = {}
        for key, dimension in self.branches[branch].items():
            if isinstance(dimension, Range):
                chosen[key] = params[self._name(branch, key)]
            elif len(dimension) == 1:
                chosen[key] = dimension[0]
            else:
                decode = {encode(value): value for value in dimension}
                chosen[key] = decode[params[self._name(branch, key)]]
        return chosen

    def _name(self, branch: str, key: str) -> str:
        # Optuna keeps one distribution a name, and branches differ in their choices.
        return f"{branch}.{key}" if len(self.branches) > 1 else key


def encode(value: Any) -> Any:
    """A value Optuna can store: tuples become JSON text."""
    return json.dumps(value) if isinstance(value, tuple) else value


def _choices(key: str, dimension: Dimension) -> tuple[Any, ...]:
    if isinstance(dimension, Range):
        raise ValueError(
            f"{key} is a range; search.sampler=grid needs a list of values "
            "(or choose the sampler tpe, nsga2 or random)"
        )
    return dimension


def _fits(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, IntDistribution):
        return type(value) is int and distribution.low <= value <= distribution.high
    return isinstance(distribution, CategoricalDistribution) and value in distribution.choices


def _dimensions(where: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Dimension]]:
    """Flatten nested settings to dotted keys; a leaf is a list, a range or one value."""
    for key, value in node.items():
        path = f"{where}.{key}"
        setting = path.split(".", 2 if where.startswith("space.shared") else 3)[-1]
        if isinstance(value, Mapping) and "low" in value:
            yield setting, _range(path, value)
        elif isinstance(value, Mapping):
            yield from _dimensions(path, value)
        elif isinstance(value, tuple) and not value:
            raise ValueError(f"{path} has no values; give a list such as [1, 2, 4]")
        else:
            yield setting, value if isinstance(value, tuple) else (value,)


def _range(path: str, value: Mapping[str, Any]) -> Range:
    unknown = set(value) - {"low", "high", "step", "log"}
    if unknown or "high" not in value:
        raise ValueError(
            f"{path} must be a list or a range with low, high and, if wanted, step and log; "
            f"got {dict(value)}"
        )
    found = Range(**value)
    if not found.low < found.high:
        raise ValueError(f"{path}: low must be below high, got {found.low} and {found.high}")
    return found
