"""Look up what the results say about a claim: exact numbers, values per seed, pairs or cases."""

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
_VALUE = "claimed_of"  # The column of a claim's value, a name that no column of runs has.


@dataclass(frozen=True, kw_only=True)
class ClaimEvidence:
    """The evidence on a claim; a part that the claim does not need or that is missing is empty."""

    exact: float | Fact | None = None
    """The result of the claim's function of CALCS."""
    values: tuple[float, ...] = ()
    """The measured values, one per seed, or those of the claim's own SQL."""
    pairs: tuple[tuple[float, float], ...] = ()
    """The left and the right value of an order, one pair per seed."""
    holds: Mapping[str, bool] | None = None
    """Whether the claim holds in each case, by the name of the case."""
    clips: int = 0
    """The number of distinct test clips behind an accuracy; 0 for other values."""
    departures: tuple[str, ...] = ()
    """How the rows differ from the published data and training."""

    @property
    def differences(self) -> tuple[float, ...]:
        """Left minus right for every pair."""
        return tuple(left - right for left, right in self.pairs)

    @property
    def empty(self) -> bool:
        """Whether there is no evidence at all."""
        return self.exact is None and not (self.values or self.pairs or self.holds)


class Results:
    """The runs and learning curves in a results folder, loaded once and queried with SQL.

    Args:
        root: the folder or address of the results; without results every table is empty.
    """

    def __init__(self, root: Path | str) -> None:
        there = studies(root)
        self._connection = duckdb.connect(config={"python_enable_replacements": False})
        for table in _TABLES:
            rows = query(f"select * from {table}", root) if there else _empty(table)
            self._connection.register(table, rows)
        self._fits = _fits(root) if TASK in there else None

    def close(self) -> None:
        """Close the connection and release the loaded rows."""
        self._connection.close()

    def orders(self, method: str, direction: str, kind: str) -> dict[str, bool]:
        """Check a claimed complexity against the exponents of the study `validate`.

        Only runs with the paper's plan count. Time is compared with FLOPs, memory with the largest
        tensor.

        Args:
            method: the method's name in PUBLISHED_COMPLEXITY, such as "TT-RNN".
            direction: "forward" or "backward".
            kind: "time" or "memory".

        Returns:
            Whether the claim bounds the measurement, by the variable that was swept. Variables
            whose fit is inconclusive are left out.
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
        """Run a query on the tables `runs` and `epochs`.

        Args:
            sql: the query.
            asking: what the query belongs to, for the error message.

        Raises:
            ValueError: DuckDB rejects the query.
        """
        try:
            answer: pd.DataFrame = self._connection.sql(sql).to_arrow_table().to_pandas()
            return answer
        except duckdb.Error as error:
            raise ValueError(f"{asking}: {str(error).partition(chr(10))[0]}") from error


def _fits(root: Path | str) -> pd.DataFrame:
    """Return the exponents of every sweep; see `analysis.summaries.complexity.exponents`."""
    return exponents(load(TASK, root=root), load(TASK, "samples", root))


def _empty(table: str) -> pa.Table:
    return arrow_schema(table).empty_table()


def measure(claim: Claim, rows: Mapping[str, str], results: Results) -> ClaimEvidence:
    """Collect the evidence on a claim.

    Args:
        claim: the claim.
        rows: the SQL conditions of the named sets of rows.
        results: the loaded results.

    Raises:
        ValueError: DuckDB rejects a query, or its result lacks a column that the claim needs.
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
    """Run a claim's own SQL and return its result as fields of ClaimEvidence."""
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
    """Return the finished runs of a set of rows that have the claim's value.

    Where runs were trained for different numbers of epochs, only the longest trained are kept.
    """
    found = results.ask(
        f"select {columns}, {claim.value} as {_VALUE} from runs "
        f"where status = 'done' and ({where}) and {_VALUE} is not null",
        f"claim {claim.id}",
    )
    trained = found["epochs"].fillna(0)
    longest: pd.DataFrame = found[trained == trained.max()]
    return longest


def _by_seed(rows: pd.DataFrame) -> dict[int, float]:
    """Return the mean value of each seed."""
    means = rows[_VALUE].astype(float).groupby(rows["seed"]).mean()
    return dict(zip(means.index.astype(int).tolist(), means.tolist(), strict=True))


def _mean(claim: Claim, rows: pd.DataFrame) -> dict[str, Any]:
    values = tuple(_by_seed(rows).values())
    clips = test_clips(records(rows)) if _ACCURACY in claim.value and len(rows) else 0
    return {"values": values, "clips": clips, "departures": departures(rows)}


def departures(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return how the data and the training of `rows` differ from the published ones.

    Args:
        rows: rows of `runs`.

    Returns:
        One short text for each difference, without duplicates.
    """
    found: dict[str, None] = {}
    for row in records(rows):
        protocol = PROTOCOLS.get(published_data(row))
        trained = integer(row, "epochs")
        found |= dict.fromkeys(differences(row))
        if protocol and protocol.epochs not in (None, trained):
            found[f"{trained} epochs, not {protocol.epochs}"] = None
    return tuple(found)
