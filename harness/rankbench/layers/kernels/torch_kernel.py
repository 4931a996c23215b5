"""Apply a contraction with torch, in chunks of rows if the intermediates are large.

Letters: b rows; h, f, k, m the kept, free, summed and made indices of a stage; o, n the outer and
inner indices of a left product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from rankbench.layers.contraction.einsum import elements, plan_merge
from rankbench.layers.contraction.stages import ROWS, Contraction
from rankbench.layers.derivatives import refuse_second_derivatives
from rankbench.layers.kernels.layout import StageProduct, layout
from rankbench.layers.kernels.target import Target
from rankbench.layers.network import Indices


def apply_torch(
    contraction: Contraction, x: Tensor, cores: Sequence[Tensor], target: Target
) -> Tensor:
    """Compute W x (b, out_features) for every row of x (b, in_features)."""
    return TorchKernel(contraction, len(x), target)(x, cores)


class TorchKernel:
    """A contraction that is ready to run on a number of rows: laid out, with its merging planned.

    If the intermediates of all rows fit into one chunk, autograd keeps them. Otherwise the rows
    are processed in chunks, and the backward pass computes the intermediates of each chunk again,
    so that memory is bounded.

    Args:
        contraction: The contraction.
        rows: The number of rows for which the layout is chosen. Any number can be passed to it.
        target: Device, dtype and number of threads.
        chunk: Rows of a chunk; None for as many as the target's rates suggest.
    """

    def __init__(
        self, contraction: Contraction, rows: int, target: Target, chunk: int | None = None
    ) -> None:
        per_row = target.itemsize * sum(contraction.intermediates(1))
        self.chunk = chunk or max(1, target.speed.chunk * target.threads // per_row)
        products = layout(contraction, min(rows, self.chunk) or 1, target)
        self.work = _Chunk(contraction, products)
        self.merges = [
            (p.stage.group, plan_merge(contraction.network, p.stage.group, p.weight))
            for p in products
        ]

    def __call__(self, x: Tensor, cores: Sequence[Tensor]) -> Tensor:
        """Compute W x (b, out_features) for every row of x (b, in_features), in the type of x."""
        weights = [
            merge.run([cores[place] for place in group]).to(x.dtype) for group, merge in self.merges
        ]
        if len(x) <= self.chunk:
            return self.work.forward(x, weights)[-1]
        run: Any = _Chunked.apply
        return cast(Tensor, run(self.work, self.chunk, x, *weights))


class _Chunk:
    """The products of a contraction over one chunk of rows, forward and backward."""

    def __init__(self, contraction: Contraction, products: tuple[StageProduct, ...]) -> None:
        self.network = contraction.network
        self.products = products
        self.sizes = self.network.sizes
        self.output = (ROWS, *self.network.out_indices)

    def forward(
        self, x: Tensor, weights: Sequence[Tensor], stages: int | None = None
    ) -> list[Tensor]:
        """Return x and the results of the first `stages` stages, or of all if it is None.

        The result of the last stage is returned as y (b, out_features).
        """
        sizes = {**self.sizes, ROWS: len(x)}
        order: Indices = (ROWS, *self.network.in_indices)
        made = [x]
        T = x
        for product, weight in zip(self.products[:stages], weights, strict=False):
            T = _multiply(_arranged(T, order, product, sizes), weight, product, sizes)
            order = product.after
            made.append(T)
        if len(made) > len(self.products):
            y = _permuted(made[-1], order, self.output, sizes)
            made[-1] = y.reshape(len(x), self.network.out_features)
        return made

    def backward(
        self, x: Tensor, weights: Sequence[Tensor], gy: Tensor, sums: Sequence[Tensor], to_x: bool
    ) -> Tensor | None:
        """Add the gradients of `weights` to `sums`; return the gradient of x if `to_x`, or None."""
        sizes = {**self.sizes, ROWS: len(x)}
        made = self.forward(x, weights, len(self.products) - 1)
        g = _permuted(gy, self.output, self.products[-1].after, sizes)
        orders = [(ROWS, *self.network.in_indices), *(p.after for p in self.products)]
        for place in reversed(range(len(self.products))):
            product, weight = self.products[place], weights[place]
            T = _arranged(made[place], orders[place], product, sizes)
            g = g.reshape(_result_shape(T, product, sizes))
            _add_weight_gradient(T, g, product, sums[place])
            if place or to_x:
                g = _input_gradient(g, weight, product, sizes)
                arranged = tuple(label for part in product.parts for label in part)
                g = _permuted(g, arranged, orders[place], sizes)
        return g.reshape(x.shape) if to_x else None


class _Chunked(torch.autograd.Function):
    """Autograd function of a contraction in chunks of rows, which saves only its inputs."""

    @staticmethod
    def forward(ctx: Any, work: _Chunk, chunk: int, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.work, ctx.chunk = work, chunk
        ctx.save_for_backward(x, *weights)
        y = x.new_empty(len(x), work.network.out_features)
        for part, into in zip(x.split(chunk), y.split(chunk), strict=True):
            into.copy_(work.forward(part, weights)[-1])
        return y

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        refuse_second_derivatives(
            f"the torch kernel, where memory bounds it to chunks, of {len(x)} rows at once",
            f"pass at most {ctx.chunk} rows, or multiply by the layer's to_dense()",
        )
        to_x = ctx.needs_input_grad[2]
        gx = torch.empty_like(x) if to_x else None
        # Gradients of bfloat16 weights are summed in float32, since there may be many chunks.
        sums = [torch.zeros_like(weight, dtype=_sum_type(weight.dtype)) for weight in weights]
        first = 0
        for part, g in zip(x.split(ctx.chunk), gy.split(ctx.chunk), strict=True):
            to_part = ctx.work.backward(part, weights, g, sums, to_x)
            if gx is not None and to_part is not None:
                gx[first : first + len(part)] = to_part
            first += len(part)
        gradients = (total.to(weight.dtype) for total, weight in zip(sums, weights, strict=True))
        return None, None, gx, *gradients


def _sum_type(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _arranged(T: Tensor, order: Indices, product: StageProduct, sizes: dict[str, int]) -> Tensor:
    """Return T with its indices merged to the three blocks of `product`."""
    blocks = [elements(part, sizes) for part in product.parts]
    wanted = tuple(label for part in product.parts for label in part)
    return _permuted(T, order, wanted, sizes).reshape(blocks)


def _permuted(T: Tensor, order: Indices, wanted: Indices, sizes: dict[str, int]) -> Tensor:
    if order == wanted:
        return T
    full = T.reshape([sizes[label] for label in order])
    return full.permute([order.index(label) for label in wanted])


def _multiply(T: Tensor, weight: Tensor, product: StageProduct, sizes: dict[str, int]) -> Tensor:
    made = elements(product.stage.made, sizes)
    if product.side == "left":
        o, k, _ = T.shape
        return torch.bmm(weight.reshape(made, k).expand(o, made, k), T)
    h, _, k = T.shape
    if product.stage.kept:
        return torch.bmm(T, weight.reshape(h, k, made))
    # With a weight (m, k) and F.linear, autograd computes the gradient as g^T x, which is faster
    # than x^T g.
    return F.linear(T, weight.reshape(made, k))


def _result_shape(T: Tensor, product: StageProduct, sizes: dict[str, int]) -> tuple[int, int, int]:
    made = elements(product.stage.made, sizes)
    one, two, three = T.shape
    return (one, made, three) if product.side == "left" else (one, two, made)


def _add_weight_gradient(T: Tensor, g: Tensor, product: StageProduct, total: Tensor) -> None:
    if product.side == "left":
        gradient = torch.einsum("omn,okn->mk", g, T)
    elif product.stage.kept:
        gradient = torch.bmm(T.mT, g)
    else:
        gradient = g[0].mT @ T[0]
    total += gradient.reshape(total.shape)


def _input_gradient(
    g: Tensor, weight: Tensor, product: StageProduct, sizes: dict[str, int]
) -> Tensor:
    made = elements(product.stage.made, sizes)
    if product.side == "left":
        matrix = weight.reshape(made, -1).mT
        return torch.bmm(matrix.expand(len(g), *matrix.shape), g)
    if product.stage.kept:
        return torch.bmm(g, weight.reshape(len(g), -1, made).mT)
    return g @ weight.reshape(made, -1)
