"""The search space of a study: branches of choices and ranges.

A space becomes either a grid of settings (`grid`, with the fixed distributions of `wide`) or the
distributions that an Optuna sampler draws from (`narrow`).
"""

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

# Optuna refuses a parameter whose distribution has changed. Structural parameters therefore have
# one wide distribution each, the same in every grid, so that a grid can grow.
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
    """A range of numbers that a sampler draws from."""

    low: float
    """Smallest value."""
    high: float
    """Largest value, included."""
    step: float | None = None
    """Distance between two values; None means 1 for integers and any value for floats."""
    log: bool = False
    """Whether values are drawn evenly in their logarithm."""

    def distribution(self) -> BaseDistribution:
        """Return an integer distribution if low, high and step are integers, else a float one."""
        bounds = (self.low, self.high, 1 if self.step is None else self.step)
        if all(isinstance(bound, int) for bound in bounds):
            return IntDistribution(int(self.low), int(self.high), self.log, int(bounds[2]))
        return FloatDistribution(self.low, self.high, self.log, self.step)


Dimension = tuple[Any, ...] | Range
Settings = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """The settings that vary in a study, divided into branches.

    A branch has only settings that apply to it, so only the branches of Tucker and block-term
    layers have `layer.tucker_rank`. An empty space has one point, made of the study's own settings.

    Example:
        >>> layer = {"decomposition": "cp", "core_order": 3, "cp_rank": (2, 4)}
        >>> space = Space.parse({}, {"cp": {"layer": layer}})
        >>> [settings["layer.cp_rank"] for settings in space.grid()]
        [2, 4]
    """

    branches: dict[str, dict[str, Dimension]]
    """Dotted settings ("layer.cp_rank") and their choices or range, by name of the branch."""

    @staticmethod
    def parse(shared: Mapping[str, Any], branches: Mapping[str, Any]) -> Space:
        """Parse the `space` of a study file.

        Args:
            shared: Settings that vary in every branch.
            branches: Nested settings of each branch, by its name.

        Raises:
            ValueError: A setting has no choices, or a range lacks an end.
        """
        common = dict(_dimensions("space.shared", shared))
        return Space(
            {
                name: {**common, **dict(_dimensions(f"space.branches.{name}", branch))}
                for name, branch in (branches or {"": {}}).items()
            }
        )

    def grid(self) -> Iterator[Settings]:
        """Iterate over all combinations of choices, one branch after the other.

        Raises:
            ValueError: A setting is a range, which has no list of values.
        """
        for dimensions in self.branches.values():
            choices = [_choices(key, dimension) for key, dimension in dimensions.items()]
            for values in itertools.product(*choices):
                yield dict(zip(dimensions, values, strict=True))

    def wide(self) -> dict[str, BaseDistribution]:
        """Return the Optuna distributions of a grid, by setting.

        Structural parameters have their wide distribution in STRUCTURE if it contains all their
        values; other settings are categorical.
        """
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
        """Return the distributions that a sampler draws the settings of a branch from.

        Settings with a single choice are left out.
        """
        return {
            self._name(branch, key): dimension.distribution()
            if isinstance(dimension, Range)
            else CategoricalDistribution([encode(value) for value in dimension])
            for key, dimension in self.branches[branch].items()
            if isinstance(dimension, Range) or len(dimension) > 1
        }

    def settings(self, branch: str, params: Mapping[str, Any]) -> Settings:
        """Convert sampled Optuna parameters back to the settings of a branch."""
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
        # Optuna has one distribution per name, but branches may have different choices.
        return f"{branch}.{key}" if len(self.branches) > 1 else key


def encode(value: Any) -> Any:
    """Convert a value to one that Optuna can store: a tuple becomes JSON text."""
    return json.dumps(value) if isinstance(value, tuple) else value


def _choices(key: str, dimension: Dimension) -> tuple[Any, ...]:
    if isinstance(dimension, Range):
        raise ValueError(
            f"{key} is a range, but search.sampler=grid needs a list of values; "
            "give a list, or set search.sampler to tpe, nsga2 or random"
        )
    return dimension


def _fits(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, IntDistribution):
        return type(value) is int and distribution.low <= value <= distribution.high
    return isinstance(distribution, CategoricalDistribution) and value in distribution.choices


def _dimensions(where: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Dimension]]:
    """Flatten nested settings to dotted names; a leaf is a list, a range or a single value."""
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
            f"{path} must be a list, or a range with low, high and optionally step and log; "
            f"got {dict(value)}"
        )
    parsed = Range(**value)
    if not parsed.low < parsed.high:
        raise ValueError(f"{path}: low must be below high, got {parsed.low} and {parsed.high}")
    return parsed
