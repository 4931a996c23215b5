"""Dropout of wide inputs, whose masks are drawn a byte or two at a time.

torch draws a mask on a CPU from one random number per value, which takes several times as long as
everything else a training step does with a video frame.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_LOWEST_INT64 = -(2**63)


class WideDropout(nn.Module):
    """Set each value of an input to zero with probability `rate`, and scale up the others.

    Does what `torch.nn.Dropout` does and draws from the same generator, torch's own, so that a
    resumed run continues the same sequence. Its masks are other ones: a value is dropped where 8
    random bits, or 16 if `rate` is no multiple of 1/256, lie below a threshold. The rate is then
    exact to 2^-17, and the scale belongs to the rate that is drawn, so that expectations stay
    exactly as they are. On a GPU, or while torch compiles, torch's own dropout runs.

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
        """Return x with values dropped; x itself in evaluation and at a rate of 0."""
        if not self.training or self.rate == 0.0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return F.dropout(x, self.rate)
        factors = _factors(x, self.rate)
        return x * factors if x.requires_grad else factors.mul_(x)  # in place: frames are large

    def extra_repr(self) -> str:
        """Return what `repr` shows in parentheses."""
        return f"rate={self.rate}"


def _factors(x: Tensor, rate: float) -> Tensor:
    """Return 0 for each value of x that is dropped and 1 / (1 - rate) for the others."""
    kind = torch.int8 if (256 * rate).is_integer() else torch.int16
    values = 256**kind.itemsize
    dropped = round(rate * values)  # of the `values` that the bits may have
    words = torch.empty(-(-x.numel() * kind.itemsize // 8), dtype=torch.int64)
    bits = words.random_(_LOWEST_INT64, None).view(kind)[: x.numel()]
    kept = bits.to(torch.promote_types(x.dtype, torch.float32)).ge_(dropped - values // 2)
    return kept.mul_(values / (values - dropped)).view(x.shape).to(x.dtype)
