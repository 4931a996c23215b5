"""A network of stacked tensors, contracted by batched matrix products whose gradients are too.

On a stack of small cores torch.einsum and its many autograd nodes cost more than the arithmetic.
Here a step is one product and what moves its operands into place, and a network is one node.

Letters: k replicates, b kept indices of both operands, l those of the left one alone, r those of
the right one alone, s indices that are summed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rankbench.layers.contraction.path import Path
from rankbench.layers.derivatives import refuse_second_derivatives
from rankbench.layers.modes import product
from rankbench.layers.network import Indices

Matrices = Float[Tensor, "kb m n"]


@dataclass(frozen=True)
class Unfolding:
    """How a tensor becomes a stack of matrices: its axes in another order, then merged."""

    axes: tuple[int, ...]
    sizes: tuple[int, ...]  # of the axes in their new order, without the replicates
    matrix: tuple[int, int]

    @staticmethod
    def of(
        indices: Indices, kept: Indices, rows: Indices, columns: Indices, sizes: Mapping[str, int]
    ) -> Unfolding:
        """From a tensor of `indices`, the replicates in front, to matrices for each of `kept`."""
        moved = (*kept, *rows, *columns)
        return Unfolding(
            axes=(0, *(1 + indices.index(label) for label in moved)),
            sizes=tuple(sizes[label] for label in moved),
            matrix=(_size(rows, sizes), _size(columns, sizes)),
        )

    def place(self, tensor: Tensor) -> Matrices:
        """The matrices of `tensor`, a view where its strides allow."""
        return tensor.permute(self.axes).reshape(-1, *self.matrix)

    def restore(self, matrices: Matrices) -> Tensor:
        """The tensor of `matrices`, a view."""
        back = [self.axes.index(axis) for axis in range(len(self.axes))]
        return matrices.view(-1, *self.sizes).permute(back)


@dataclass(frozen=True)
class BatchedProduct:
    """One step: the tensors at two places leave the list, their product joins it at the end."""

    places: tuple[int, int]
    left: Unfolding  # matrices (l, s)
    right: Unfolding  # matrices (s, r)
    result: Unfolding  # matrices (l, r)


@dataclass(frozen=True)
class Network:
    """The products of a path, and how the axes of the last one become those of the output."""

    products: tuple[BatchedProduct, ...]
    output: Unfolding

    def run(self, tensors: Sequence[Tensor]) -> Tensor:
        """Contract `tensors` (k, ..), differentiable once; the result is a strided view."""
        return _Run.apply(self, *tensors)  # type: ignore[no-any-return, no-untyped-call]


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, network: Network, *tensors: Tensor) -> Tensor:
        live = list(tensors)
        operands: list[Tensor] = []
        for step in network.products:
            left, right = (live[place] for place in step.places)
            for place in sorted(step.places, reverse=True):
                del live[place]
            pair = step.left.place(left), step.right.place(right)
            operands.extend(pair)
            live.append(step.result.restore(torch.bmm(*pair)))
        ctx.network = network
        ctx.save_for_backward(*operands)
        return live[0].permute(network.output.axes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives(
            "a stack of layers", "differentiate a CompressedLinear of each seed instead"
        )
        network, operands = ctx.network, list(ctx.saved_tensors)
        back = [network.output.axes.index(axis) for axis in range(gradients[0].ndim)]
        live = [gradients[0].permute(back)]
        for step in reversed(network.products):
            right, left, gradient = operands.pop(), operands.pop(), step.result.place(live.pop())
            pair = (
                step.left.restore(torch.bmm(gradient, right.mT)),
                step.right.restore(torch.bmm(left.mT, gradient)),
            )
            for place, found in sorted(
                zip(step.places, pair, strict=True), key=lambda item: item[0]
            ):
                live.insert(place, found)
        return (None, *live)


def network_of(
    inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int], path: Path
) -> Network:
    """The products of `path`, a pair of tensors at a time.

    The left operand holds the earlier index of the output, and results keep the output's order,
    so that what is large is moved in long runs.
    """
    rank = {label: place for place, label in enumerate(output)}
    live, products = list(inputs), []
    for pair in (pair for pair in path if len(pair) == 2):
        places = sorted(pair, key=lambda place: _first(live[place], rank))
        left, right = (live[place] for place in places)
        live = [indices for place, indices in enumerate(live) if place not in places]
        needed = set(output).union(*live)
        shared = [label for label in left if label in right]
        kept = tuple(label for label in shared if label in needed)
        summed = tuple(label for label in shared if label not in needed)
        rows, columns = (
            tuple(sorted((s for s in own if s not in shared), key=lambda s: rank.get(s, len(rank))))
            for own in (left, right)
        )
        result = (*kept, *rows, *columns)
        products.append(
            BatchedProduct(
                (places[0], places[1]),
                Unfolding.of(left, kept, rows, summed, sizes),
                Unfolding.of(right, kept, summed, columns, sizes),
                Unfolding.of(result, kept, rows, columns, sizes),
            )
        )
        live.append(result)
    return Network(tuple(products), Unfolding.of(live[0], (), output, (), sizes))


def _first(indices: Indices, rank: Mapping[str, int]) -> int:
    return min((rank[label] for label in indices if label in rank), default=len(rank))


def _size(indices: Indices, sizes: Mapping[str, int]) -> int:
    return product(tuple(sizes[label] for label in indices))
