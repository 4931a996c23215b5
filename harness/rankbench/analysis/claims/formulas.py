"""The functions that a claim's `calc` may name, for claims that need no measurement.

Each function of CALCS returns the number that a paper should have printed, or a Fact: whether a
statement holds. To add one, write the function and give it a name in CALCS.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rankbench.analysis.claims import arithmetic as facts
from rankbench.analysis.claims.arithmetic import Fact, published_map
from rankbench.analysis.published import PUBLISHED_RESULTS


def num_params(model: str) -> float:
    """Return the number of parameters of a published model's input map."""
    return float(published_map(model).layer.num_params)


def compression_ratio(model: str) -> float:
    """Return the parameters of the dense map over those of a published model's input map."""
    return published_map(model).layer.compression_ratio


def product(*factors: float) -> float:
    """Return the product of the numbers."""
    return math.prod(factors)


def fewer(model: str, other: str) -> float:
    """Return the parameters of `other` over those of `model`."""
    return num_params(other) / num_params(model)


def gap(task: str, metric: str, source: str, model: str, other: str) -> float:
    """Return the published result of `model` minus that of `other`.

    Args:
        task: the task of both results in PUBLISHED_RESULTS.
        metric: their metric.
        source: how their source starts, such as "BT Fig. 6".
        model: the first model.
        other: the model to subtract.

    Raises:
        ValueError: the arguments do not name exactly one result for each model.
    """
    return _result(task, metric, source, model) - _result(task, metric, source, other)


def quotient(task: str, metric: str, source: str, model: str, other: str) -> float:
    """Return the published result of `model` over that of `other`; arguments as for `gap`.

    Raises:
        ValueError: the arguments do not name exactly one result for each model.
    """
    return _result(task, metric, source, model) / _result(task, metric, source, other)


def least_squares_rmse(noise: float, input_variance: float, samples: int, features: int) -> float:
    """Return the expected RMSE of W by ordinary least squares.

    It is sqrt(noise / input_variance / (samples - features - 1)), by the expectation of an inverse
    Wishart matrix, for inputs x ~ N(0, input_variance I).

    Args:
        noise: the variance of the noise of the outputs.
        input_variance: the variance of each input.
        samples: the number of samples, more than `features` + 1.
        features: the number of input features.
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
