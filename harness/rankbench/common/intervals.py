"""Wilson's confidence interval of a proportion, used by training and by the analysis."""

from __future__ import annotations

import functools


@functools.cache
def wilson(share: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's confidence interval of a probability.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927).

    Args:
        share: Share of the trials that succeeded, 0 to 1.
        count: Number of trials, at least 1.
        confidence: Coverage of the interval, 0 to 1.

    Returns:
        The lower and the upper end, 0 to 1.

    Raises:
        ValueError: If `share` is not in 0 to 1, or `count` is below 1.

    Example:
        >>> low, high = wilson(0.5, 10)
        >>> f"{low:.3f} to {high:.3f}"
        '0.237 to 0.763'
    """
    from scipy.stats import binomtest  # Imported here because SciPy takes most of a second to load.

    if not 0 <= share <= 1 or count < 1:
        raise ValueError(f"a share must be 0 to 1 of at least one trial, got {share} of {count}")
    interval = binomtest(round(share * count), count).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
