"""Judge every claim of the ledger by the results that are present."""

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
    """Judge the claims by the results below `root`.

    The p values of orders are corrected together with all others at the same place in a paper, even
    if `only` selects some of them. Without results, claims that need rows are "not measured".

    Args:
        root: the folder or address of the results.
        only: the id of one claim, or a paper ("BT" or "TR"); None for all claims.
        ledger: the claims to judge; by default those of claims.yaml.

    Returns:
        The judged claims in the order of the ledger.

    Raises:
        ValueError: `only` is unknown, or a claim cannot be evaluated.
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
    """Correct the p values of orders with Holm's method, separately for each place in a paper."""
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
    """Return judged claims as a frame, one row per claim.

    Returns:
        What is published (as text and as a number), what was measured, the verdict and why. `ours`
        is a number, a mean over seeds or the mean difference of an order; `low` and `high` are its
        95% interval. `effect` and `p_holm` are set for orders only. Missing numbers are NaN.
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
    """Return how many claims have each verdict, in the order of VERDICTS."""
    return {verdict: sum(one.verdict == verdict for one in judged) for verdict in VERDICTS}
