"""What can be worked out without a measurement, for claims that arithmetic decides.

A function of CALCS gives the number a paper should have printed, or whether a statement holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rankbench.analysis.claims import arithmetic as facts
from rankbench.analysis.claims.arithmetic import Fact, published_map
from rankbench.analysis.published import PUBLISHED_RESULTS


def num_params(model: str) -> float:
    """Parameters of the input map of a published model."""
    return float(published_map(model).layer.num_params)


def compression_ratio(model: str) -> float:
    """How often they go into the dense map."""
    return published_map(model).layer.compression_ratio


def product(*factors: float) -> float:
    """The product of numbers."""
    return math.prod(factors)


def fewer(model: str, other: str) -> float:
    """Parameters of `other` over those of `model`."""
    return num_params(other) / num_params(model)


def gap(task: str, metric: str, source: str, model: str, other: str) -> float:
    """A published result of `model` less that of `other`."""
    return _result(task, metric, source, model) - _result(task, metric, source, other)


def quotient(task: str, metric: str, source: str, model: str, other: str) -> float:
    """A published result of `model` over that of `other`."""
    return _result(task, metric, source, model) / _result(task, metric, source, other)


def least_squares_rmse(noise: float, input_variance: float, samples: int, features: int) -> float:
    """Expected RMSE of W by least squares: sqrt(noise / input_variance / (samples - features - 1)).

    The expectation of an inverse Wishart matrix, for x ~ N(0, input_variance I).
    """
    return math.sqrt(noise / input_variance / (samples - features - 1))


def _result(task: str, metric: str, source: str, model: str) -> float:
    found = [
        result.value
        for result in PUBLISHED_RESULTS
        if (result.task, result.model, result.metric) == (task, model, metric)
        and result.source.startswith(source)
    ]
    if len(found) != 1:
        raise ValueError(f"{len(found)} results are {metric} of {model} in {source}, not one")
    return found[0]


CALCS: dict[str, Callable[..., float | Fact]] = {
    "num_params": num_params,
    "compression_ratio": compression_ratio,
    "product": product,
    "fewer": fewer,
    "gap": gap,
    "quotient": quotient,
    "least_squares_rmse": least_squares_rmse,
    "bound_is_lower": facts.bound_is_lower,
    "bounds_alike": facts.bounds_alike,
    "more_compact": facts.more_compact,
    "reordering_is_lower": facts.reordering_is_lower,
    "input_first_is_cheaper": facts.input_first_is_cheaper,
    "is_bottleneck": facts.is_bottleneck,
    "block_term_is_tucker": facts.block_term_is_tucker,
    "block_term_is_cp": facts.block_term_is_cp,
    "linear_in_blocks": facts.linear_in_blocks,
    "ring_of_one_is_train": facts.ring_of_one_is_train,
    "dense_at_order_one": facts.dense_at_order_one,
}
