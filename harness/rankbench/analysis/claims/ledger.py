"""The ledger of published claims: its entries, read from claims.yaml and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rankbench.analysis.claims.formulas import CALCS
from rankbench.analysis.published import PUBLISHED_COMPLEXITY, PUBLISHED_RESULTS
from rankbench.common.checks import number, one_of

LEDGER = Path(__file__).parent / "claims.yaml"
PAPERS = ("BT", "TR")
SIGNS = ("<", ">", "=")
_LISTS = ("ref", "calc")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of a paper: what it says, what is published, and what measures it.

    `ref`: a result of published.py as (task, model, metric[, start of its source]), or
    (complexity, method, direction, time|memory), whose order is then held against the fits of
    study `validate`; else `published`, a number. It holds to `unit`:
    a number may be rounded or cut to it. `calc`: a function of CALCS and its arguments.
    `of`: a set of rows whose mean over seeds of `value`, a column or an expression in SQL, is
    compared with the number.
    `order`: 'a > b' or 'a < b', two sets of rows paired by seed; 'a = b' to within `tolerance`.
    `sql`: instead of a set of rows; columns seed and value, seed, a and b, or holds (and name).
    `exact`: the rows are counts, so that a failure refutes. `apart`: why it cannot be compared.
    `run`: what measures it.

    Raises ValueError where these do not fit together.
    """

    id: str
    paper: str
    group: str
    claim: str
    ref: tuple[Any, ...] = ()
    published: float | None = None
    unit: float = 0.0
    calc: tuple[Any, ...] = ()
    of: str = ""
    value: str = ""
    sql: str = ""
    order: str = ""
    tolerance: float = 0.0
    exact: bool = False
    apart: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        one_of(f"paper of claim {self.id}", self.paper, PAPERS)
        for name in ("unit", "tolerance"):
            number(f"{name} of claim {self.id}", getattr(self, name), 0, float("inf"))
        if self.calc:
            one_of(f"calc of claim {self.id}", self.calc[0], CALCS)
        self._one_measure()
        if self.order:
            left, sign, right = self.sides
            one_of(f"sign of claim {self.id}", sign, SIGNS)
            if sign == "=" and not self.tolerance:
                raise ValueError(f"claim {self.id}: {left} = {right} needs a tolerance above 0")
        if not (self.calc or self.exact or self.apart or self.run):
            raise ValueError(f"claim {self.id}: say with run what measures it, or why it is apart")

    def _one_measure(self) -> None:
        if (self.of or self.order) and not (self.sql or self.value):
            raise ValueError(f"claim {self.id}: value must say what of its rows is meant")
        if self.of and (self.order or self.sql):
            raise ValueError(f"claim {self.id}: of stands alone, without order and sql")
        if self.of and self.published is None:
            raise ValueError(f"claim {self.id}: a mean needs a published number to stand beside")

    @property
    def sides(self) -> tuple[str, str, str]:
        """Left side, sign and right side of `order`.

        Raises ValueError where it has no three words.
        """
        words = self.order.split()
        if len(words) != 3:
            raise ValueError(f"order of claim {self.id} must be 'a > b', got {self.order!r}")
        return words[0], words[1], words[2]

    @property
    def measurable(self) -> bool:
        """Whether the ledger says how to measure it."""
        return bool(self.calc or self.of or self.sql or self.order or self.printed.startswith("O("))

    @property
    def source(self) -> str:
        """Paper and place in it."""
        return f"{self.paper} {self.group}"

    @property
    def printed(self) -> str:
        """What is published, as a short text; empty for a statement in words."""
        if self.ref and self.ref[0] == "complexity":
            return complexity(self.ref)
        if self.published is None:
            return ""
        millions = self.unit >= 1e5 or (self.published >= 1e7 and not self.unit)
        return f"{self.published / 1e6:g}M" if millions else f"{self.published:.10g}"


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Sets of rows by name, each the condition of a WHERE, and the claims that name them."""

    rows: dict[str, str]
    claims: tuple[Claim, ...]

    def __post_init__(self) -> None:
        ids = [claim.id for claim in self.claims]
        for twice in {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"claims: the id {twice} is given twice")
        for claim in self.claims:
            named = [claim.of] if claim.of else []
            if claim.order and not claim.sql:
                left, _, right = claim.sides
                named = [left, right]
            for name in named:
                one_of(f"rows of claim {claim.id}", name, self.rows)


def read(path: Path = LEDGER) -> Ledger:
    """The ledger in a YAML file: `rows`, then `claims` by paper, place and id.

    Raises ValueError, in one line, for what is no such file and for an unknown key.
    """
    try:
        found = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name}: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or set(found) != {"rows", "claims"}:
        raise ValueError(f"{path.name} must have the keys rows and claims")
    claims = [
        _entry(paper, group, key, entry)
        for paper, groups in _mapping("claims", found["claims"]).items()
        for group, entries in _mapping(paper, groups).items()
        for key, entry in _mapping(f"{paper} {group}", entries).items()
    ]
    return Ledger(rows=dict(_mapping("rows", found["rows"])), claims=tuple(claims))


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"claims: {name} must be a mapping, got {value!r}")
    return value


def _entry(paper: str, group: str, key: str, entry: Any) -> Claim:
    given = dict(_mapping(f"claim {key}", entry))
    keys = [f.name for f in dataclasses.fields(Claim) if f.name not in ("id", "paper", "group")]
    for name in given:
        one_of(f"a key of claim {key}", name, keys)
    if "claim" not in given:
        raise ValueError(f"claim {key}: its key claim must say what is claimed")
    given |= {name: tuple(given[name]) for name in _LISTS if name in given}
    if "published" not in given and "ref" in given and given["ref"][0] != "complexity":
        given["published"] = published(given["ref"])
    return Claim(id=key, paper=paper, group=group, **given)


def published(ref: tuple[Any, ...]) -> float:
    """The number of published.py that `ref` names: (task, model, metric[, start of its source]).

    Raises ValueError unless it names one.
    """
    names, start = ref[:3], str(ref[3]) if len(ref) > 3 else ""
    found = [
        result.value
        for result in PUBLISHED_RESULTS
        if (result.task, result.model, result.metric) == names and result.source.startswith(start)
    ]
    if len(found) != 1:
        raise ValueError(f"ref must name one published result, {list(ref)} names {len(found)}")
    return found[0]


def complexity(ref: tuple[Any, ...]) -> str:
    """The order of published.py that (complexity, method, direction, time|memory) names.

    Raises ValueError where there is none.
    """
    known = {(row.method, row.direction): row for row in PUBLISHED_COMPLEXITY}
    one_of("ref", tuple(ref[1:3]), known)
    one_of("ref", ref[3], ("time", "memory"))
    return f"O({getattr(known[ref[1], ref[2]], ref[3])})"
