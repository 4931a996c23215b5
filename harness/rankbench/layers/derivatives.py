"""Refuse second derivatives of functions whose backward pass is written by hand."""

from __future__ import annotations

import torch


def refuse_second_derivatives(what: str, instead: str) -> None:
    """Raise an error if autograd is about to record a backward pass that it cannot follow.

    Call it first in the `backward` of a `torch.autograd.Function` whose gradients are computed
    outside autograd. Gradient mode is on in a backward pass exactly when `create_graph` is true.
    torch's `once_differentiable` is not enough, because it acts only if the incoming gradient
    itself requires a gradient. After a linear loss it does not: the computed gradient would look
    like a constant, and the second derivative would silently be zero.

    Args:
        what: The function's name, as the subject of the error's sentence.
        instead: What the user should do, as an imperative.

    Raises:
        RuntimeError: If gradients are computed with `create_graph=True`.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(f"{what} has no second derivatives (create_graph=True): {instead}")
