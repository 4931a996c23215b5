"""Training data of a recovery: pairs (x, y), or their sufficient statistics.

Letters: k replicates, n samples, i input features, o output features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float

if TYPE_CHECKING:
    from torch import Tensor


class Moments(NamedTuple):
    """The second moments of a sample, sufficient for a quadratic loss.

    Each is a mean over the n samples: xx of x x^T (i, i), yx of y x^T (o, i), and yy of y^T y.
    """

    xx: Float[Tensor, "*k i i"]
    yx: Float[Tensor, "*k o i"]
    yy: Float[Tensor, "*k"]

    @staticmethod
    def of(x: Float[Tensor, "n i"], y: Float[Tensor, "n o"]) -> Moments:
        """Compute the second moments of a sample."""
        n = x.shape[0]
        return Moments(x.T @ x / n, y.T @ x / n, y.square().sum() / n)

    def loss(self, V: Float[Tensor, "o i"]) -> Float[Tensor, ""]:
        """Return the mean squared error, over samples and outputs, of predicting y by V x."""
        return (((V @ self.xx - 2 * self.yx) * V).sum() + self.yy) / V.shape[0]


class Distances(NamedTuple):
    """The losses of k replicates, written as distances from the best weights.

    With D = V - best, where best xx = yx, the loss is

        Moments.loss(V) = tr(D xx D^T) / o + least
    """

    best: Float[Tensor, "k o i"]
    """The V with the least loss, for each replicate."""
    slope: Float[Tensor, "k i i"]
    """2 xx / o."""
    least: Float[Tensor, " k"]
    """The loss of `best`."""

    @staticmethod
    def of(moments: Moments, dtype: torch.dtype) -> Distances:
        """Compute the distances from the stacked moments of all replicates.

        If several V have the least loss, `best` is the one with the least norm.
        """
        o = moments.yx.shape[1]
        best = moments.yx @ torch.linalg.pinv(moments.xx, hermitian=True)
        least = (moments.yy - _inner(moments.yx, best)) / o
        return Distances(best.to(dtype), (moments.xx * (2 / o)).to(dtype), least.to(dtype))

    def loss_and_gradient(
        self, V: Float[Tensor, "k ..."]
    ) -> tuple[Float[Tensor, " k"], Float[Tensor, "k o i"]]:
        """Return the loss of each replicate and its gradient with respect to V.

        gradient = D slope,    loss = <gradient, D> / 2 + least
        """
        D = torch.empty_like(self.best)
        torch.sub(V, self.best.view_as(V), out=D.view_as(V))
        gradient = D @ self.slope.mT  # slope is symmetric; transposing saves a tenth of the time.
        return _inner(gradient, D) / 2 + self.least, gradient


class Sample(NamedTuple):
    """The pairs (x, y) of k replicates."""

    x: Float[Tensor, "k n i"]
    y: Float[Tensor, "k n o"]

    def loss_and_gradient(
        self, V: Float[Tensor, "k ..."]
    ) -> tuple[Float[Tensor, " k"], Float[Tensor, "k o i"]]:
        """Return the mean squared error of each replicate and its gradient with respect to V."""
        W = V.reshape(len(V), self.y.shape[2], self.x.shape[2])
        residual = torch.baddbmm(self.y, self.x, W.mT, beta=-1)
        pairs = residual[0].numel()
        return _inner(residual, residual) / pairs, residual.mT @ self.x * (2 / pairs)


def _inner(a: Float[Tensor, "k m n"], b: Float[Tensor, "k m n"]) -> Float[Tensor, " k"]:
    product: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return product
