"""What we have beside a published value: a number with its interval, and as a text."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rankbench.analysis.claims.arithmetic import Fact
from rankbench.analysis.claims.ledger import Claim
from rankbench.analysis.claims.measured import ClaimEvidence
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries import labels
from rankbench.common.intervals import wilson

_NAN = math.nan


@dataclass(frozen=True, kw_only=True)
class MeasuredValue:
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


def summary(claim: Claim, found: ClaimEvidence, p: float) -> MeasuredValue:
    """Our number beside the published one, with its interval."""
    if found.pairs:
        return _order(claim, found, p)
    if found.values:
        return _values(found, counted=bool(claim.of) or "seed" in claim.sql)
    if found.holds:
        good = sum(found.holds.values())
        return MeasuredValue(text=f"{good} of {len(found.holds)} cases")
    if isinstance(found.exact, Fact):
        return MeasuredValue(text=found.exact.says)
    return (
        MeasuredValue()
        if found.exact is None
        else MeasuredValue(value=found.exact, text=exactly(found.exact))
    )


def exactly(number: float) -> str:
    """A number in full where it is whole, else to three digits that count."""
    return f"{number:.0f}" if number == round(number) else labels.value(number)


def _values(found: ClaimEvidence, *, counted: bool) -> MeasuredValue:
    """Mean over seeds; the interval holds Student's of the mean and Wilson's over test clips."""
    over = mean_interval(found.values)
    ends = list(wilson(over.mean, found.clips)) if found.clips else []
    ends += [end for end in (over.low, over.high) if not math.isnan(end)]
    low, high = (min(ends), max(ends)) if ends else (_NAN, _NAN)
    span = f" {_span(low, high)}" if ends else ""
    text = f"{labels.value(over.mean)}{span}" + (f", {_seeds(over.count)}" if counted else "")
    return MeasuredValue(value=over.mean, low=low, high=high, seeds=over.count, text=text)


def _order(claim: Claim, found: ClaimEvidence, p: float) -> MeasuredValue:
    over = mean_interval(found.differences)
    left, right = (float(np.mean(side)) for side in zip(*found.pairs, strict=True))
    text = f"{labels.value(left)} against {labels.value(right)}, {_seeds(over.count)}"
    if over.count == 1:
        return MeasuredValue(value=over.mean, seeds=1, text=text)
    effect = (
        over.mean / over.sd if over.sd else math.copysign(math.inf, over.mean) * bool(over.mean)
    )
    span = f"difference {labels.value(over.mean)} {_span(over.low, over.high)}"
    tested = f"d={effect:.1f}" + ("" if math.isnan(p) else f", p={p:.2g}")
    return MeasuredValue(
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
