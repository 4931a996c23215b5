"""Dropout of wide inputs, with masks drawn from one or two random bytes per value.

On a CPU torch draws a whole random number for each value. For video frames this takes several times
as long as the rest of a training step.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_LOWEST_INT64 = -(2**63)


class WideDropout(nn.Module):
    """Set each value of an input to zero with probability `rate`, and scale up the others.

    It replaces `torch.nn.Dropout` and draws from the same global generator, so that a resumed run
    continues the same sequence, but its masks differ. A value is dropped if 8 random bits, or 16 if
    `rate` is not a multiple of 1/256, are below a threshold. The effective rate differs from `rate`
    by at most 2^-17, and the others are scaled by the effective rate, so that the expectation is
    kept exactly. On a GPU, or while torch compiles, torch's own dropout runs.

    Args:
        rate: Probability of dropping a value, from 0 to less than 1.

    Example:
        >>> sorted(set(WideDropout(0.5)(torch.ones(100)).tolist()))
        [0.0, 2.0]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, ...]) -> Float[Tensor, ...]:
        """Return x with values dropped; in evaluation mode, or at a rate of 0, return x itself."""
        if not self.training or self.rate == 0.0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return F.dropout(x, self.rate)
        factors = _factors(x, self.rate)
        # Frames are large, so the product is computed in place if autograd does not need `factors`.
        return x * factors if x.requires_grad else factors.mul_(x)

    def extra_repr(self) -> str:
        """Return the text in the parentheses of `repr`."""
        return f"rate={self.rate}"


def _factors(x: Tensor, rate: float) -> Tensor:
    """Return 0 for each value of x that is dropped and 1 / (1 - rate) for the others."""
    kind = torch.int8 if (256 * rate).is_integer() else torch.int16
    values = 256**kind.itemsize
    dropped = round(rate * values)  # How many of the possible values of the bits mean "drop".
    words = torch.empty(-(-x.numel() * kind.itemsize // 8), dtype=torch.int64)
    bits = words.random_(_LOWEST_INT64, None).view(kind)[: x.numel()]
    kept = bits.to(torch.promote_types(x.dtype, torch.float32)).ge_(dropped - values // 2)
    return kept.mul_(values / (values - dropped)).view(x.shape).to(x.dtype)
