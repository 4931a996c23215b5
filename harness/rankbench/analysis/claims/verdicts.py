"""Turn the evidence on a claim into a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rankbench.analysis.claims.arithmetic import Fact
from rankbench.analysis.claims.ledger import Claim
from rankbench.analysis.claims.measured import ClaimEvidence
from rankbench.analysis.claims.values import MeasuredValue, exactly, summary
from rankbench.analysis.names import (
    CONTRADICTED,
    NOT_COMPARABLE,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
)
from rankbench.analysis.stats.paired import p_value

LEVEL = 0.05
_ROUNDING = 1e-9  # The relative difference that floating-point rounding may cause.
_NAN = math.nan


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim with its verdict."""

    claim: Claim
    """The claim."""
    verdict: str
    """One of VERDICTS in rankbench.analysis.names."""
    ours: MeasuredValue
    """The measured value beside the published one."""
    why: str
    """The reason of the verdict, or what to run to get one; empty if nothing needs explaining."""


def judge(claim: Claim, found: ClaimEvidence, p: float = _NAN) -> Judged:
    """Return the verdict on a claim.

    Arithmetic decides first; then whether the claim is comparable, then whether it was measured,
    and last the measurements.

    Args:
        claim: the claim.
        found: the evidence on it.
        p: the p value of its order, corrected for the tests made with it; NaN for other claims.
    """
    ours = summary(claim, found, p)
    for verdict, why in (
        _arithmetic(claim, found),
        _comparable(claim, found),
        _present(claim, found),
    ):
        if verdict:
            return Judged(claim=claim, verdict=verdict, ours=ours, why=why)
    good, why = _holds(claim, found, ours)
    verdict = REPRODUCED if good else NOT_REPRODUCED
    return Judged(claim=claim, verdict=verdict, ours=ours, why=why)


def _arithmetic(claim: Claim, found: ClaimEvidence) -> tuple[str, str]:
    """Return a verdict where a formula or exact counts decide, else empty texts.

    Where a formula agrees with the claim but there are rows to measure, the rows decide.
    """
    if claim.exact and found.holds:
        failing = [name for name, holds in found.holds.items() if not holds]
        return (CONTRADICTED, _but(failing, len(found.holds))) if failing else (REPRODUCED, "")
    if claim.exact and found.values:
        agrees = all(near(value, claim) for value in found.values)
        return (REPRODUCED, "") if agrees else (CONTRADICTED, "the counts are others")
    if found.exact is None:
        return "", ""
    if isinstance(found.exact, Fact):
        agrees, says = found.exact.holds, found.exact.says
    else:
        agrees, says = near(found.exact, claim), f"a formula gives {exactly(found.exact)}"
    if not agrees:
        return CONTRADICTED, says
    return ("", "") if claim.of or claim.order or claim.sql else (REPRODUCED, "")


def _comparable(claim: Claim, found: ClaimEvidence) -> tuple[str, str]:
    if claim.apart:
        return NOT_COMPARABLE, claim.apart
    if found.departures and claim.published is not None:
        return NOT_COMPARABLE, "; ".join(found.departures)
    return "", ""


def _present(claim: Claim, found: ClaimEvidence) -> tuple[str, str]:
    if claim.order and len(found.pairs) == 1:
        return NOT_MEASURED, f"one seed on both sides tests nothing; {claim.run}"
    nothing = not (found.values or found.pairs or found.holds)
    return (NOT_MEASURED, claim.run) if nothing else ("", "")


def _holds(claim: Claim, found: ClaimEvidence, ours: MeasuredValue) -> tuple[bool, str]:
    if claim.order:
        good = ours.p <= LEVEL
        return good, "" if good else _not_seen(claim, found, ours)
    if claim.published is not None:
        inside = ours.low <= claim.published <= ours.high
        good = inside or near(ours.value, claim)
        return good, "" if good else f"{claim.printed} is outside the 95% interval"
    cases = dict(found.holds or {})
    failing = [name for name, holds in cases.items() if not holds]
    return not failing, _but(failing, len(cases)) if failing else ""


def _but(failing: Sequence[str], cases: int) -> str:
    shown = ", ".join(failing[:3]) + (", ..." if len(failing) > 3 else "")
    return f"fails in {len(failing)} of {cases} cases: {shown}"


def _not_seen(claim: Claim, found: ClaimEvidence, ours: MeasuredValue) -> str:
    sign = claim.sides[1]
    if sign == "=":
        apart = ours.low > claim.tolerance or ours.high < -claim.tolerance
        words = "they differ by more than" if apart else "not shown to be within"
        return f"{words} {claim.tolerance:g}"
    other = p_value(sign.translate(str.maketrans("<>", "><")), found.differences, 0)
    against = ours.value > 0 if sign == "<" else ours.value < 0
    return "the other way round" if against and other <= LEVEL else "no difference is shown"


def near(value: float, claim: Claim) -> bool:
    """Return whether `value`, rounded or cut off to the claim's unit, is the published number."""
    if claim.published is None:
        return False
    slack = _ROUNDING * max(abs(value), abs(claim.published))
    return abs(value - claim.published) < max(claim.unit - slack, slack)
