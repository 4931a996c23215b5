"""Wilson's interval of a share, which both a training and the analysis report."""

from __future__ import annotations

import functools


@functools.cache
def wilson(share: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a probability.

    Args:
        share: Share of the trials that met it, 0 to 1.
        count: Number of trials, at least 1.
        confidence: Coverage of the interval, 0 to 1.

    Returns:
        Its lower and its upper end.

    Raises:
        ValueError: If `share` is not in 0 to 1, or there are no trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927).
    """
    from scipy.stats import binomtest  # importing it takes most of a second

    if not 0 <= share <= 1 or count < 1:
        raise ValueError(f"a share must be 0 to 1 of at least one trial, got {share} of {count}")
    interval = binomtest(round(share * count), count).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
