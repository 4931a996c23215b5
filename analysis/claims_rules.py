"""From what was measured to a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis import labels
from analysis.claims_calc import Fact
from analysis.claims_entry import Claim
from analysis.claims_measure import Measured
from analysis.statistics import mean_interval, wilson

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted by arithmetic"
NOT_COMPARABLE = "not comparable"
NOT_MEASURED = "not measured"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, CONTRADICTED, NOT_COMPARABLE, NOT_MEASURED)

LEVEL = 0.05
_ROUNDING = 1e-9  # relative: what two ways of writing a number may differ by
_NAN = math.nan


@dataclass(frozen=True, kw_only=True)
class Ours:
    """What we have beside a published value: a number with its interval, and as a text.

    Of an order it is the mean of left less right over seeds, with `effect` (that over its
    standard deviation, Cohen's d of pairs) and `p` (Holm's); else these are NaN.
    """

    value: float = _NAN
    low: float = _NAN
    high: float = _NAN
    seeds: int = 0
    effect: float = _NAN
    p: float = _NAN
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim, its verdict, what we have, and why: the reason, or what to run."""

    claim: Claim
    verdict: str
    ours: Ours
    why: str


def judge(claim: Claim, found: Measured, p: float = _NAN) -> Judged:
    """The verdict on `claim`; `p` is of its order, corrected for the tests beside it."""
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


def _arithmetic(claim: Claim, found: Measured) -> tuple[str, str]:
    """A verdict where a formula or counts decide; a number that agrees leaves rows to decide."""
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
        agrees, says = near(found.exact, claim), f"a formula gives {_exactly(found.exact)}"
    if not agrees:
        return CONTRADICTED, says
    return ("", "") if claim.of or claim.order or claim.sql else (REPRODUCED, "")


def _comparable(claim: Claim, found: Measured) -> tuple[str, str]:
    if claim.apart:
        return NOT_COMPARABLE, claim.apart
    if found.departures and claim.published is not None:
        return NOT_COMPARABLE, "; ".join(found.departures)
    return "", ""


def _present(claim: Claim, found: Measured) -> tuple[str, str]:
    if claim.order and len(found.pairs) == 1:
        return NOT_MEASURED, f"one seed on both sides tests nothing; {claim.run}"
    nothing = not (found.values or found.pairs or found.holds)
    return (NOT_MEASURED, claim.run) if nothing else ("", "")


def _holds(claim: Claim, found: Measured, ours: Ours) -> tuple[bool, str]:
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


def _not_seen(claim: Claim, found: Measured, ours: Ours) -> str:
    sign = claim.sides[1]
    if sign == "=":
        return f"not shown to be within {claim.tolerance:g}"
    other = p_value(sign.translate(str.maketrans("<>", "><")), found.differences, 0)
    against = ours.value > 0 if sign == "<" else ours.value < 0
    return "the other way round" if against and other <= LEVEL else "no difference is shown"


def near(value: float, claim: Claim) -> bool:
    """Whether `value`, rounded or cut to the unit of what is published, is that."""
    if claim.published is None:
        return False
    slack = _ROUNDING * max(abs(value), abs(claim.published))
    return abs(value - claim.published) < max(claim.unit - slack, slack)


def p_value(sign: str, differences: Sequence[float], tolerance: float) -> float:
    """One-sided p of a paired t test that left less right is below ('<') or above 0 ('>').

    '=': the larger p of both tests that it is within `tolerance` (two one-sided tests). NaN for
    fewer than two pairs; where all differences are alike the test decides without doubt.
    """
    if len(differences) < 2:
        return _NAN
    if sign == "=":
        return max(
            _one_sided(differences, -tolerance, "greater"),
            _one_sided(differences, tolerance, "less"),
        )
    return _one_sided(differences, 0, "less" if sign == "<" else "greater")


def _one_sided(differences: Sequence[float], centre: float, side: str) -> float:
    found = np.asarray(differences)
    if np.ptp(found) <= _ROUNDING * max(1.0, float(np.abs(found).max())):
        beyond = found[0] < centre if side == "less" else found[0] > centre
        return 0.0 if beyond else 1.0
    return float(stats.ttest_1samp(found, centre, alternative=side).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p of tests that are made together; NaN where there was no test."""
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, largest = [_NAN] * len(p_values), 0.0
    for passed, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - passed) * p))
        corrected[place] = largest
    return corrected


def summary(claim: Claim, found: Measured, p: float) -> Ours:
    """Our number beside the published one, with its interval."""
    if found.pairs:
        return _order(claim, found, p)
    if found.values:
        return _values(found, counted=bool(claim.of) or "seed" in claim.sql)
    if found.holds:
        good = sum(found.holds.values())
        return Ours(text=f"{good} of {len(found.holds)} cases")
    if isinstance(found.exact, Fact):
        return Ours(text=found.exact.says)
    return Ours() if found.exact is None else Ours(value=found.exact, text=_exactly(found.exact))


def _exactly(number: float) -> str:
    return f"{number:.0f}" if number == round(number) else labels.value(number)


def _values(found: Measured, *, counted: bool) -> Ours:
    """Mean over seeds; the interval holds Student's of the mean and Wilson's over test clips."""
    over = mean_interval(found.values)
    ends = list(wilson(over.mean, found.clips)) if found.clips else []
    ends += [end for end in (over.low, over.high) if not math.isnan(end)]
    low, high = (min(ends), max(ends)) if ends else (_NAN, _NAN)
    span = f" {_span(low, high)}" if ends else ""
    text = f"{labels.value(over.mean)}{span}" + (f", {_seeds(over.count)}" if counted else "")
    return Ours(value=over.mean, low=low, high=high, seeds=over.count, text=text)


def _order(claim: Claim, found: Measured, p: float) -> Ours:
    over = mean_interval(found.differences)
    left, right = (float(np.mean(side)) for side in zip(*found.pairs, strict=True))
    text = f"{labels.value(left)} against {labels.value(right)}, {_seeds(over.count)}"
    if over.count == 1:
        return Ours(value=over.mean, seeds=1, text=text)
    effect = (
        over.mean / over.sd if over.sd else math.copysign(math.inf, over.mean) * bool(over.mean)
    )
    span = f"difference {labels.value(over.mean)} {_span(over.low, over.high)}"
    tested = f"d={effect:.1f}" + ("" if math.isnan(p) else f", p={p:.2g}")
    return Ours(
        value=over.mean,
        low=over.low,
        high=over.high,
        seeds=over.count,
        effect=effect,
        p=p,
        text=f"{text}: {span}, {tested}",
    )


def _span(low: float, high: float) -> str:
    return f"[{labels.value(low)}, {labels.value(high)}]"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
