"""The LSTM recurrence over all steps as one autograd function, its backward pass by hand.

Shapes: T time steps, b batch, h hidden; 4 gates i, f, g, o. The gradient of U is one product over
all steps, and what is saved is the gates and states alone.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def lstm_sequence(
    gates: Float[Tensor, "T 4 b h"],
    U: Float[Tensor, "4 h h"],
    h: Float[Tensor, "b h"],
    c: Float[Tensor, "b h"],
    mask: Float[Tensor, "b h"] | None,
) -> tuple[Float[Tensor, "T b h"], Float[Tensor, "b h"]]:
    """Hidden states of every step and the last c, from W x_t plus biases and a first h and c.

    c = f c + i g, h = o tanh(c), with U (mask h) added to the gates (BT Eq. 1-6, TR Eq. 10).
    Products are computed in the type of U, all else in the type of the gates.
    """
    run: Any = _LSTMSequence.apply
    return cast(tuple[Tensor, Tensor], run(gates, U, h, c, mask))


class _LSTMSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, U: Tensor, h: Tensor, c: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        steps, _, batch, hidden = gates.shape
        active = gates.contiguous().clone()
        into_U = gates.new_empty(steps, batch, hidden)  # mask h of the step before
        states = torch.cat([c[None], gates.new_empty(steps, batch, hidden)])
        outputs, squashed = torch.empty_like(into_U), torch.empty_like(into_U)
        for t in range(steps):
            into_U[t] = h if mask is None else h * mask
            step = _add_product(active[t], into_U[t].expand(4, batch, hidden), U.mT)
            step[:2].sigmoid_()
            i, f, g, o = step[0], step[1], step[2].tanh_(), step[3].sigmoid_()
            torch.addcmul(i * g, f, states[t], out=states[t + 1])
            torch.tanh(states[t + 1], out=squashed[t])
            h = torch.mul(o, squashed[t], out=outputs[t])
        ctx.save_for_backward(active, into_U, states, squashed, U, mask)
        return outputs, states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_outputs: Tensor, to_c: Tensor) -> tuple[Tensor | None, ...]:
        active, into_U, states, squashed, U, mask = ctx.saved_tensors
        steps, _, batch, hidden = active.shape
        slope = active * (1 - active)
        slope[:, 2] = 1 - active[:, 2].square()
        through_c = active[:, 3] * (1 - squashed.square())
        to_gates = torch.empty_like(active)
        to_h = torch.zeros_like(to_c)
        for t in reversed(range(steps)):
            to_h = to_h + to_outputs[t]
            to_c = torch.addcmul(to_c, to_h, through_c[t])
            i, f, g, _ = active[t]
            for gate, (from_above, other) in enumerate(
                ((to_c, g), (to_c, states[t]), (to_c, i), (to_h, squashed[t]))
            ):
                torch.mul(from_above, other, out=to_gates[t, gate])
            to_gates[t] *= slope[t]
            to_c = to_c * f
            to_h = torch.bmm(to_gates[t].to(U.dtype), U).sum(0, dtype=to_h.dtype)
            to_h = to_h if mask is None else to_h * mask
        flat = to_gates.transpose(0, 1).reshape(4, steps * batch, hidden)
        before = into_U.reshape(1, steps * batch, hidden).expand(4, -1, -1)
        to_U = torch.bmm(flat.mT.to(U.dtype), before.to(U.dtype))
        return to_gates, to_U, to_h, to_c, None


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """total += a b, the product computed in the type of b."""
    if a.dtype == b.dtype:
        return total.baddbmm_(a, b)
    return total.add_(torch.bmm(a.to(b.dtype), b))
