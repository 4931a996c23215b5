"""The Pareto front of measured points, and how much of what is possible it dominates.

Letters: n points, k objectives, all of them costs: the less the better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]


def costs_of(values: Sequence[Sequence[float]] | NDArray[Any], directions: Sequence[str]) -> Costs:
    """Objective values (n, k) as costs: those to maximize change their sign."""
    signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
    return np.asarray(values, dtype=np.float64).reshape(len(values), len(signs)) * signs


def front(costs: Costs) -> list[int]:
    """The points that no other one is as good as in everything and better in something.

    Equal points are all on it. The cost is that of n times the points on the front.
    """
    # The least sum of ranks is never dominated; ranks, unlike costs, are added without rounding.
    ranks = np.column_stack([np.unique(column, return_inverse=True)[1] for column in costs.T])
    left = np.argsort(ranks.sum(axis=1), kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(int(best))
        dominated = (ranks[left] >= ranks[best]).all(1) & (ranks[left] > ranks[best]).any(1)
        left = left[~dominated]
    return sorted(kept)


def dominated_share(costs: Costs) -> float:
    """The share, 0 to 1, that the front dominates of the box from the best to the worst costs.

    The hypervolume of the front after every objective is scaled to [0, 1] over the points; an
    objective that is the same for all plays no part.
    """
    low, width = costs.min(axis=0), np.ptp(costs, axis=0)
    varied = width > 0
    if not varied.any():
        return 1.0
    unit = (costs[:, varied] - low[varied]) / width[varied]
    return _volume(unit[front(unit)])


def _volume(points: Costs) -> float:
    """What `points` dominate of the unit box, in slices along the last objective."""
    if points.shape[1] == 1:
        return float(1.0 - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.diff(np.append(points[:, -1], 1.0))
    slices = (depth * _volume(points[: i + 1, :-1]) for i, depth in enumerate(depths) if depth > 0)
    return float(sum(slices))
