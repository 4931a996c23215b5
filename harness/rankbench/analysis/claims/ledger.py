"""The ledger of published claims: parse and check claims.yaml."""

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
    """A claim of a paper: what it says, what is published, and how it is measured.

    A claim is measured in at most one way: by `of`, by `order`, by `sql`, or by a `ref` to a
    complexity. A `calc` may come in addition.

    Raises:
        ValueError: the fields do not fit together.
    """

    id: str
    """The unique name of the claim."""
    paper: str
    """The paper, one of PAPERS."""
    group: str
    """The place in the paper, such as "Table 1"."""
    claim: str
    """What the paper says, in words."""
    ref: tuple[Any, ...] = ()
    """A number or order of published.py; empty for none.

    A result is named by (task, model, metric) or (task, model, metric, start of its source). An
    order is named by ("complexity", method, direction, "time" or "memory"), and is compared with
    the exponents that the study `validate` measured.
    """
    published: float | None = None
    """The published number; None for a claim in words. It is filled in from a `ref` to a result."""
    unit: float = 0.0
    """The unit that the number may be rounded or cut off to; 0 where it is printed exactly."""
    calc: tuple[Any, ...] = ()
    """A name in CALCS, then the arguments of that function; empty for none."""
    of: str = ""
    """The name of a set of rows, whose mean of `value` over seeds is compared with `published`."""
    value: str = ""
    """A column of runs, or an SQL expression of columns."""
    sql: str = ""
    """A query to use instead of named sets of rows.

    Its result has the columns `a` and `b` where there is an `order`, `value` where there is a
    published number, and otherwise `holds`, a truth per row with an optional `name`.
    """
    order: str = ""
    """"a > b" or "a < b" for two sets of rows that are paired by seed, or "a = b"."""
    tolerance: float = 0.0
    """The largest difference that counts as equal in "a = b"."""
    exact: bool = False
    """Whether the rows are counts, so that one that disagrees contradicts the claim."""
    apart: str = ""
    """Why the claim cannot be compared with any measurement; empty if it can."""
    run: str = ""
    """The command or study that measures it."""

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
        """The left side, the sign and the right side of `order`.

        Raises:
            ValueError: `order` does not consist of three words.
        """
        words = self.order.split()
        if len(words) != 3:
            raise ValueError(f"order of claim {self.id} must be 'a > b', got {self.order!r}")
        return words[0], words[1], words[2]

    @property
    def measurable(self) -> bool:
        """Whether the ledger says how to measure the claim."""
        return bool(self.calc or self.of or self.sql or self.order or self.printed.startswith("O("))

    @property
    def source(self) -> str:
        """The paper and the place in it."""
        return f"{self.paper} {self.group}"

    @property
    def printed(self) -> str:
        """The published number or order as a short text; empty for a claim in words."""
        if self.ref and self.ref[0] == "complexity":
            return complexity(self.ref)
        if self.published is None:
            return ""
        millions = self.unit >= 1e5 or (self.published >= 1e7 and not self.unit)
        return f"{self.published / 1e6:g}M" if millions else f"{self.published:.10g}"


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The claims, and the sets of rows that they refer to.

    Raises:
        ValueError: two claims share an id, or a claim names an unknown set of rows.
    """

    rows: dict[str, str]
    """The condition of an SQL WHERE clause, by the name of the set of rows."""
    claims: tuple[Claim, ...]
    """The claims in the order of the file."""

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
    """Read a ledger from a YAML file.

    Args:
        path: a file with the keys `rows` (name to condition) and `claims` (nested by paper, place
            and id); by default the ledger of the two papers.

    Raises:
        ValueError: the file is not a ledger, or a claim has an unknown key or does not fit
            together. The message is one line.
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
    """Return the number of published.py that `ref` names.

    Args:
        ref: (task, model, metric), and optionally the start of the result's source.

    Raises:
        ValueError: `ref` does not name exactly one result.
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
    """Return the order of published.py that `ref` names, as text such as "O(I J)".

    Args:
        ref: ("complexity", method, direction, "time" or "memory").

    Raises:
        ValueError: there is no such order.
    """
    known = {(row.method, row.direction): row for row in PUBLISHED_COMPLEXITY}
    one_of("ref", tuple(ref[1:3]), known)
    one_of("ref", ref[3], ("time", "memory"))
    return f"O({getattr(known[ref[1], ref[2]], ref[3])})"
