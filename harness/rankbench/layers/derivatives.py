"""What a backward pass written by hand says where a graph of it is asked for."""

from __future__ import annotations

import torch


def refuse_second_derivatives(what: str, instead: str) -> None:
    """Raise where autograd is about to record gradients that were computed by hand.

    The `backward` of a `torch.autograd.Function` that autograd cannot follow calls this first.
    Gradients are enabled in a backward pass exactly where `create_graph` is true. torch's
    `once_differentiable` is not enough: it acts only where the incoming gradient requires a
    gradient itself. After a linear loss the result would look like a constant, and the second
    derivative would be a silent zero.

    Args:
        what: names the function, as the subject of the sentence.
        instead: what to do, as an imperative.

    Raises:
        RuntimeError: gradients are computed with `create_graph=True`.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(f"{what} has no second derivatives (create_graph=True): {instead}")
