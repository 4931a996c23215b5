"""What the results hold on a claim: exact numbers, a value a seed, pairs of them, or cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from rankbench.analysis.claims.arithmetic import Fact
from rankbench.analysis.claims.formulas import CALCS
from rankbench.analysis.claims.ledger import Claim
from rankbench.analysis.published import PROTOCOLS
from rankbench.analysis.stats.exponents import CANNOT_TELL, VIOLATED
from rankbench.analysis.summaries.accuracy import test_clips
from rankbench.analysis.summaries.comparisons import differences, published_data
from rankbench.analysis.summaries.complexity import METHODS, TASK, exponents
from rankbench.analysis.summaries.rows import integer, records
from rankbench.store.query import load, query, studies
from rankbench.store.schema import arrow_schema

_TABLES = ("runs", "epochs")
_ACCURACY = "accuracy"
_VALUE = "claimed_of"  # the claim's value beside all columns of runs


@dataclass(frozen=True, kw_only=True)
class ClaimEvidence:
    """What was found on a claim; a part that was not asked for, or is not there, is empty.

    `exact`: by a function of CALCS. `values`: one a seed; `pairs`: both sides of an order, a
    seed each. `holds`: the truth of every case, by its name. `clips`: different test clips.
    `departures`: what of the rows is not as published.
    """

    exact: float | Fact | None = None
    values: tuple[float, ...] = ()
    pairs: tuple[tuple[float, float], ...] = ()
    holds: Mapping[str, bool] | None = None
    clips: int = 0
    departures: tuple[str, ...] = ()

    @property
    def differences(self) -> tuple[float, ...]:
        """Left less right of every pair."""
        return tuple(left - right for left, right in self.pairs)

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all."""
        return self.exact is None and not (self.values or self.pairs or self.holds)


class Results:
    """The runs and curves below a folder, read once, to be asked in SQL."""

    def __init__(self, root: Path | str) -> None:
        there = studies(root)
        self._connection = duckdb.connect(config={"python_enable_replacements": False})
        for table in _TABLES:
            rows = query(f"select * from {table}", root) if there else _empty(table)
            self._connection.register(table, rows)
        self._fits = _fits(root) if TASK in there else None

    def close(self) -> None:
        """Let the rows go."""
        self._connection.close()

    def orders(self, method: str, direction: str, kind: str) -> dict[str, bool]:
        """Whether a claimed order of time (FLOPs) or memory (largest tensor) bounds what was swept.

        By the paper's plan, a case for each variable; one whose fit cannot tell is left out.
        """
        if self._fits is None:
            return {}
        quantity = {"time": "flops", "memory": "tensor"}[kind]
        decomposition = next(name for name, whose in METHODS.items() if whose == method)
        wanted = {"decomposition": decomposition, "direction": direction, "quantity": quantity}
        here = self._fits[self._fits["plan"] == "paper"]
        for column, value in wanted.items():
            here = here[here[column] == value]
        told = here[here["verdict"] != CANNOT_TELL]
        return {row["sweep"]: row["verdict"] != VIOLATED for row in records(told)}

    def ask(self, sql: str, asking: str) -> pd.DataFrame:
        """The answer to `sql`; raises ValueError, naming `asking`, for SQL that is refused."""
        try:
            answer: pd.DataFrame = self._connection.sql(sql).to_arrow_table().to_pandas()
            return answer
        except duckdb.Error as error:
            raise ValueError(f"{asking}: {str(error).partition(chr(10))[0]}") from error


def _fits(root: Path | str) -> pd.DataFrame:
    """The exponents of every sweep, see `analysis.complexity.exponents`."""
    return exponents(load(TASK, root=root), load(TASK, "samples", root))


def _empty(table: str) -> pa.Table:
    return arrow_schema(table).empty_table()


def measure(claim: Claim, rows: Mapping[str, str], results: Results) -> ClaimEvidence:
    """What `results` hold on `claim`, whose sets of rows are conditions in `rows`.

    Raises ValueError for SQL that is refused, and for columns a claim needs and does not get.
    """
    found: dict[str, Any] = {}
    if claim.calc:
        name, *arguments = claim.calc
        found["exact"] = CALCS[name](*arguments)
    if claim.sql:
        found |= _answer(claim, results.ask(claim.sql, f"claim {claim.id}"))
    elif claim.of:
        found |= _mean(claim, _rows(claim, rows[claim.of], results))
    elif claim.ref[:1] == ("complexity",):
        found["holds"] = results.orders(*claim.ref[1:])
    elif claim.order:
        left, _, right = claim.sides
        a, b = (
            _by_seed(_rows(claim, rows[name], results, "seed, epochs")) for name in (left, right)
        )
        found["pairs"] = tuple((a[seed], b[seed]) for seed in sorted(a.keys() & b.keys()))
    return ClaimEvidence(**found)


def _answer(claim: Claim, frame: pd.DataFrame) -> dict[str, Any]:
    """The answer to a claim's own SQL."""
    need = ("a", "b") if claim.order else ("value",) if claim.published is not None else ("holds",)
    for column in need:
        if column not in frame.columns:
            raise ValueError(f"claim {claim.id}: its sql must give {column}, not {[*frame]}")
    known = frame.dropna(subset=list(need))
    if claim.order:
        both = zip(known["a"], known["b"], strict=True)
        return {"pairs": tuple((float(left), float(right)) for left, right in both)}
    if claim.published is not None:
        return {"values": tuple(float(value) for value in known["value"])}
    names = known["name"] if "name" in known else pd.Series(known.index)
    cases = zip(names, known["holds"], strict=True)
    return {"holds": {str(name): bool(holds) for name, holds in cases}}


def _rows(claim: Claim, where: str, results: Results, columns: str = "*") -> pd.DataFrame:
    """The finished runs of a set of rows that have the claim's value, the longest trained."""
    found = results.ask(
        f"select {columns}, {claim.value} as {_VALUE} from runs "
        f"where status = 'done' and ({where}) and {_VALUE} is not null",
        f"claim {claim.id}",
    )
    trained = found["epochs"].fillna(0)
    longest: pd.DataFrame = found[trained == trained.max()]
    return longest


def _by_seed(rows: pd.DataFrame) -> dict[int, float]:
    """The mean value of every seed."""
    means = rows[_VALUE].astype(float).groupby(rows["seed"]).mean()
    return dict(zip(means.index.astype(int).tolist(), means.tolist(), strict=True))


def _mean(claim: Claim, rows: pd.DataFrame) -> dict[str, Any]:
    values = tuple(_by_seed(rows).values())
    clips = test_clips(records(rows)) if _ACCURACY in claim.value and len(rows) else 0
    return {"values": values, "clips": clips, "departures": departures(rows)}


def departures(rows: pd.DataFrame) -> tuple[str, ...]:
    """What of the data and the training of `rows` is not as published, each once."""
    found: dict[str, None] = {}
    for row in records(rows):
        protocol = PROTOCOLS.get(published_data(row))
        trained = integer(row, "epochs")
        found |= dict.fromkeys(differences(row))
        if protocol and protocol.epochs not in (None, trained):
            found[f"{trained} epochs, not {protocol.epochs}"] = None
    return tuple(found)
