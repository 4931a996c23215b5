"""The verdict on every claim of the ledger, from the results present."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from rankbench.analysis.claims.ledger import PAPERS, Claim, Ledger, read
from rankbench.analysis.claims.measured import ClaimEvidence, Results, measure
from rankbench.analysis.claims.verdicts import Judged, judge
from rankbench.analysis.names import VERDICTS
from rankbench.analysis.stats.paired import holm, p_value
from rankbench.common.checks import one_of


def claims(root: Path | str, only: str | None = None, ledger: Ledger | None = None) -> list[Judged]:
    """Every claim with its verdict on the results below `root`, or those of `only`.

    `only`: an id or a paper. Orders are corrected together with the others of their paper and
    place, whatever is asked for. A folder without results leaves what needs rows not measured.

    Raises ValueError for an unknown `only`, and for a claim that cannot be evaluated.
    """
    known = ledger or read()
    if only is not None:
        one_of("--only", only, [*PAPERS, *(claim.id for claim in known.claims)])
    with closing(Results(root)) as results:
        found = [measure(claim, known.rows, results) for claim in known.claims]
    corrected = _corrected(known.claims, found)
    judged = map(judge, known.claims, found, corrected)
    return [one for one in judged if only in (None, one.claim.id, one.claim.paper)]


def _corrected(known: Sequence[Claim], found: Sequence[ClaimEvidence]) -> list[float]:
    """The p of every order by Holm's method, the tests of one place in a paper together."""
    raw = [
        p_value(claim.sides[1], one.differences, claim.tolerance) if claim.order else math.nan
        for claim, one in zip(known, found, strict=True)
    ]
    corrected = list(raw)
    for source in dict.fromkeys(claim.source for claim in known):
        places = [place for place, claim in enumerate(known) if claim.source == source]
        for place, p in zip(places, holm([raw[place] for place in places]), strict=True):
            corrected[place] = p
    return corrected


def table(judged: Sequence[Judged]) -> pd.DataFrame:
    """One row a claim: what is published, what we have (of a column of runs), its verdict and why.

    `ours`, `low`, `high`: a number, its mean over seeds or the mean difference of an order, with
    its 95% interval; `effect` and `p_holm` of an order; NaN where there is none.
    """
    rows = [
        {
            "id": one.claim.id,
            "paper": one.claim.paper,
            "source": one.claim.source,
            "claim": one.claim.claim,
            "published": one.claim.printed,
            "published_value": _or_nan(one.claim.published),
            "order": one.claim.order,
            "column": one.claim.value,
            "verdict": one.verdict,
            "ours": one.ours.value,
            "low": one.ours.low,
            "high": one.ours.high,
            "seeds": one.ours.seeds,
            "effect": one.ours.effect,
            "p_holm": one.ours.p,
            "measured": one.ours.text,
            "why": one.why,
            "run": one.claim.run,
        }
        for one in judged
    ]
    return pd.DataFrame(rows)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def counts(judged: Sequence[Judged]) -> dict[str, int]:
    """How many claims have each verdict."""
    return {verdict: sum(one.verdict == verdict for one in judged) for verdict in VERDICTS}
