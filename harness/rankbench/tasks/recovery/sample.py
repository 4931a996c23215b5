"""What a recovery learns from: the pairs of a sample, or their sufficient statistics.

Letters: k replicates, n samples, i input features, o output features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor


class Moments(NamedTuple):
    """The sufficient statistics of a sample for a quadratic loss: xx (i, i), yx (o, i), yy."""

    xx: Float[Tensor, "*k i i"]
    yx: Float[Tensor, "*k o i"]
    yy: Float[Tensor, "*k"]

    @staticmethod
    def of(x: Float[Tensor, "n i"], y: Float[Tensor, "n o"]) -> Moments:
        """Second moments of the sample, means over n."""
        n = x.shape[0]
        return Moments(x.T @ x / n, y.T @ x / n, y.square().sum() / n)

    def loss(self, V: Float[Tensor, "o i"]) -> Float[Tensor, ""]:
        """Mean over samples and outputs of the squared error of predicting y by V x."""
        return (((V @ self.xx - 2 * self.yx) * V).sum() + self.yy) / V.shape[0]


class Distances(NamedTuple):
    """The losses of k replicates as distances to the V of least loss, `best`, of loss `least`.

    Moments.loss(V) = tr(D xx D^T) / o + least with D = V - best, where best xx = yx.
    """

    best: Float[Tensor, "k o i"]
    slope: Float[Tensor, "k i i"]  # 2 xx / o
    least: Float[Tensor, " k"]

    @staticmethod
    def of(moments: Moments, dtype: torch.dtype) -> Distances:
        """From moments, those of the replicates stacked; `best` has the least norm of several."""
        o = moments.yx.shape[1]
        best = moments.yx @ torch.linalg.pinv(moments.xx, hermitian=True)
        least = (moments.yy - _inner(moments.yx, best)) / o
        return Distances(best.to(dtype), (moments.xx * (2 / o)).to(dtype), least.to(dtype))

    def loss_and_gradient(
        self, V: Float[Tensor, "k ..."]
    ) -> tuple[Float[Tensor, " k"], Float[Tensor, "k o i"]]:
        """The loss of each replicate, <gradient, D> / 2 + least, and its gradient D slope in V."""
        D = torch.empty_like(self.best)
        torch.sub(V, self.best.view_as(V), out=D.view_as(V))
        gradient = D @ self.slope.mT  # symmetric; transposed the product is a tenth faster
        return _inner(gradient, D) / 2 + self.least, gradient


class Sample(NamedTuple):
    """The pairs of k replicates themselves."""

    x: Float[Tensor, "k n i"]
    y: Float[Tensor, "k n o"]

    def loss_and_gradient(
        self, V: Float[Tensor, "k ..."]
    ) -> tuple[Float[Tensor, " k"], Float[Tensor, "k o i"]]:
        """The mean squared error of each replicate, and its gradient in V."""
        W = V.reshape(len(V), self.y.shape[2], self.x.shape[2])
        residual = torch.baddbmm(self.y, self.x, W.mT, beta=-1)
        pairs = residual[0].numel()
        return _inner(residual, residual) / pairs, residual.mT @ self.x * (2 / pairs)


def _inner(a: Float[Tensor, "k m n"], b: Float[Tensor, "k m n"]) -> Float[Tensor, " k"]:
    product: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return product
