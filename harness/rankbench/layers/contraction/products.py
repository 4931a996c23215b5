"""Contract a network of stacked tensors by batched matrix products, forward and backward.

For a stack of small cores the overhead of `torch.einsum` and its many autograd nodes exceeds the
arithmetic. Here a step is one `torch.bmm` of permuted operands, and the whole network is one
autograd node.

Letters: k replicates, b indices of both operands that are kept, s indices of both that are summed
over, l indices of the left operand only, r indices of the right operand only.
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
    """How a tensor becomes a stack of matrices: its axes are permuted, then merged."""

    axes: tuple[int, ...]
    """The permutation of all axes, the replicates first."""
    sizes: tuple[int, ...]
    """Sizes of the axes in their new order, without the replicates."""
    matrix: tuple[int, int]
    """Rows and columns of each matrix."""

    @staticmethod
    def of(
        indices: Indices, kept: Indices, rows: Indices, columns: Indices, sizes: Mapping[str, int]
    ) -> Unfolding:
        """Return the unfolding of a tensor (k, *indices) to one matrix for each value of `kept`.

        Args:
            indices: Indices of the tensor, without the replicates.
            kept: Indices that number the matrices.
            rows: Indices that are merged into a matrix's rows.
            columns: Indices that are merged into its columns.
            sizes: Size of every index.
        """
        moved = (*kept, *rows, *columns)
        return Unfolding(
            axes=(0, *(1 + indices.index(label) for label in moved)),
            sizes=tuple(sizes[label] for label in moved),
            matrix=(_size(rows, sizes), _size(columns, sizes)),
        )

    def place(self, tensor: Tensor) -> Matrices:
        """Return the matrices of `tensor`: a view if its strides allow, else a copy."""
        return tensor.permute(self.axes).reshape(-1, *self.matrix)

    def restore(self, matrices: Matrices) -> Tensor:
        """Return the tensor that has these `matrices`, as a view of them."""
        back = [self.axes.index(axis) for axis in range(len(self.axes))]
        return matrices.view(-1, *self.sizes).permute(back)


@dataclass(frozen=True)
class BatchedProduct:
    """One step: two tensors are removed from a list, and their product is appended to it."""

    places: tuple[int, int]
    """Positions of the left and the right operand in the list."""
    left: Unfolding
    """The left operand as matrices (l, s)."""
    right: Unfolding
    """The right operand as matrices (s, r)."""
    result: Unfolding
    """The product as matrices (l, r)."""


@dataclass(frozen=True)
class Network:
    """The products that contract a list of stacked tensors to one."""

    products: tuple[BatchedProduct, ...]
    """The steps, in order."""
    output: Unfolding
    """The permutation from the axes of the last product to those of the output."""

    def run(self, tensors: Sequence[Tensor]) -> Tensor:
        """Contract `tensors` (k, ..). The result may be a strided view.

        It is differentiable once: second derivatives raise RuntimeError.
        """
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
            by_place = sorted(zip(step.places, pair, strict=True), key=lambda item: item[0])
            for place, operand_gradient in by_place:
                live.insert(place, operand_gradient)
        return (None, *live)


def network_of(
    inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int], path: Path
) -> Network:
    """Return the products that follow a contraction path.

    The left operand of a step is the one with the earlier index of the output, and a result has
    its indices in the output's order. Permutations then move long contiguous runs.

    Args:
        inputs: Indices of each tensor, without the replicates.
        output: Indices of the result, without the replicates.
        sizes: Size of every index.
        path: The contraction path.
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
            tuple(
                sorted(
                    (label for label in indices if label not in shared),
                    key=lambda label: rank.get(label, len(rank)),
                )
            )
            for indices in (left, right)
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
