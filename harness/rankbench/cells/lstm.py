"""The LSTM's recurrence over all steps as one autograd function with a hand-written backward pass.

The gradient of U is one product over all steps, and only gates and states are saved.

Shapes: T time steps, b batch, h hidden units; 4h gates in the order i, f, g, o.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from rankbench.cells.lstm_native import NO_SECOND_DERIVATIVES, native_sequence, serves
from rankbench.layers.derivatives import refuse_second_derivatives


def lstm_sequence(
    gates: Float[Tensor, "T b 4h"],
    U: Float[Tensor, "4h h"],
    h: Float[Tensor, "b h"],
    c: Float[Tensor, "b h"],
    mask: Float[Tensor, "b h"] | None,
) -> tuple[Float[Tensor, "T b h"], Float[Tensor, "b h"]]:
    """Run an LSTM over all time steps (BT Eq. 1-6, TR Eq. 10).

    c = f c + i g and h = o tanh(c), where i, f, g, o come from W x_t + biases + U (mask h).
    Products have the type of U, everything else the type of the gates. The native library computes
    it where it can, otherwise torch.

    Args:
        gates: W x_t plus both biases, for every step.
        U: The recurrent weight.
        h: The first hidden state.
        c: The first cell state.
        mask: Factors of h in front of U (dropout), or None.

    Returns:
        The hidden states of all steps, and the last cell state.
    """
    if serves(gates, U, h, c, mask):
        outputs, last = native_sequence(gates.transpose(0, 1), U, h, c, mask)
        return outputs.transpose(0, 1), last
    run: Any = _LSTMSequence.apply
    return cast(tuple[Tensor, Tensor], run(gates, U, h, c, mask))


class _LSTMSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, U: Tensor, h: Tensor, c: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        steps, batch, _ = gates.shape
        hidden = h.shape[1]
        active = gates.clone(memory_format=torch.contiguous_format)
        into_U = gates.new_empty(steps, batch, hidden)  # mask h of the previous step
        states = torch.cat([c[None], gates.new_empty(steps, batch, hidden)])
        outputs, squashed = torch.empty_like(into_U), torch.empty_like(into_U)
        for t in range(steps):
            into_U[t] = h if mask is None else h * mask
            step = _add_product(active[t], into_U[t], U.T)
            step[:, : 2 * hidden].sigmoid_()
            i, f, g, o = step.chunk(4, dim=1)
            torch.addcmul(i * g.tanh_(), f, states[t], out=states[t + 1])
            torch.tanh(states[t + 1], out=squashed[t])
            h = torch.mul(o.sigmoid_(), squashed[t], out=outputs[t])
        ctx.save_for_backward(active, into_U, states, squashed, U, mask)
        return outputs, states[-1].clone()

    @staticmethod
    def backward(ctx: Any, to_outputs: Tensor, to_c: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives(*NO_SECOND_DERIVATIVES)
        active, into_U, states, squashed, U, mask = ctx.saved_tensors
        i, f, g, o = active.chunk(4, dim=2)
        slope = active * (1 - active)
        slope.chunk(4, dim=2)[2].copy_(1 - g.square())
        through_c = o * (1 - squashed.square())
        to_gates = torch.empty_like(active)
        to_h = torch.zeros_like(to_c)
        for t in reversed(range(len(active))):
            to_h = to_h + to_outputs[t]
            to_c = torch.addcmul(to_c, to_h, through_c[t])
            to_i, to_f, to_g, to_o = to_gates[t].chunk(4, dim=1)
            torch.mul(to_c, g[t], out=to_i)
            torch.mul(to_c, states[t], out=to_f)
            torch.mul(to_c, i[t], out=to_g)
            torch.mul(to_h, squashed[t], out=to_o)
            to_gates[t] *= slope[t]
            to_c = to_c * f[t]
            if t == 0 and not ctx.needs_input_grad[2]:
                break
            to_h = (to_gates[t].to(U.dtype) @ U).to(active.dtype)
            to_h = to_h if mask is None else to_h * mask
        flat = to_gates.flatten(0, 1).to(U.dtype)
        to_U = flat.T @ into_U.flatten(0, 1).to(U.dtype)
        return to_gates, to_U, to_h, to_c, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Add left right to `total` in place; the product is computed in the type of `right`."""
    if right.dtype == total.dtype:
        return total.addmm_(left, right)
    return total.add_(left.to(right.dtype) @ right)
