"""Summarise the evidence on a claim as a number with its interval, and as text."""

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
    """The measured counterpart of a published value, as a number and as text.

    Every number is NaN where it does not apply.
    """

    value: float = _NAN
    """The measured value, its mean over seeds, or the mean of left minus right for an order."""
    low: float = _NAN
    """The lower end of the 95% interval."""
    high: float = _NAN
    """The upper end of the 95% interval."""
    seeds: int = 0
    """The number of seeds; 0 without measurements."""
    effect: float = _NAN
    """The mean difference of an order over its standard deviation (Cohen's d of pairs)."""
    p: float = _NAN
    """The p value of an order, corrected with Holm's method."""
    text: str = ""
    """All of this in a few words, for tables."""


def summary(claim: Claim, found: ClaimEvidence, p: float) -> MeasuredValue:
    """Summarise the evidence on a claim.

    Args:
        claim: the claim.
        found: the evidence on it.
        p: the corrected p value of its order; NaN for other claims.
    """
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
    """Return a whole number in full, and any other number to three significant digits."""
    return f"{number:.0f}" if number == round(number) else labels.value(number)


def _values(found: ClaimEvidence, *, counted: bool) -> MeasuredValue:
    """Summarise one value per seed by its mean.

    The interval covers Student's t interval of the mean and, for accuracies, Wilson's interval over
    the test clips.
    """
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
