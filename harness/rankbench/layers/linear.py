"""The module that applies a layer: a linear map whose weight exists only as cores.

Shapes: lead = any leading dimensions, such as (batch, time).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rankbench.layers.base import Layer
from rankbench.layers.contraction.einsum import Plan, plan_dense
from rankbench.layers.init import initial_cores
from rankbench.layers.kernels.target import Target
from rankbench.layers.modes import product
from rankbench.layers.planning.apply import Apply, prepare
from rankbench.layers.planning.choice import Choice, choose
from rankbench.layers.planning.tuning import tuned


class CompressedLinear(nn.Module):
    """A `torch.nn.Module` that computes y = W x for the W of a layer, without a bias.

    `cores` holds the parameters by name. The contraction and the kernel are chosen by the layer's
    plan at the first call with each number of rows.

    Second derivatives need a layer with `kernel="torch"` and rows that fit into one chunk.
    Otherwise computing gradients with `create_graph=True` raises RuntimeError.

    Args:
        layer: The decomposition with its modes, ranks, plan and kernel.
        seed: Seed of the initial cores. A seed draws the same weights on every device, rounded to
            `dtype`.
        dtype: Type of the parameters, of y and of all gradients.
        device: Device of the parameters; None for torch's default.
        precision: Type to which x and the merged cores are rounded before they are multiplied (by
            the native kernel: only x). None for `dtype`.

    Example:
        >>> from rankbench.layers import TensorTrain
        >>> layer = TensorTrain(in_modes=(4, 4, 4), out_modes=(2, 2, 2), tt_ranks=2)
        >>> linear = CompressedLinear(layer, seed=0)
        >>> linear(torch.ones(5, 7, 64)).shape
        torch.Size([5, 7, 8])
        >>> linear.to_dense().shape
        torch.Size([8, 64])
    """

    def __init__(
        self,
        layer: Layer,
        seed: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        precision: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.precision = precision or dtype
        # Plans are kept, because torch.compile cannot trace the planner: it must run before.
        self._ready: dict[int, Apply] = {}
        self._dense: Plan | None = None
        # ParameterDict sorts a plain dict by name, which puts G10 before G2; pairs keep the order.
        self.cores = nn.ParameterDict(
            (name, nn.Parameter(core.to(device=device, dtype=dtype)))
            for name, core in initial_cores(layer, seed).items()
        )

    def forward(self, x: Float[Tensor, "*lead in_features"]) -> Float[Tensor, "*lead out_features"]:
        """Return W x for every row of `x`.

        Raises:
            ValueError: If the last dimension of `x` is not in_features.
        """
        layer = self.layer
        if not x.ndim or x.shape[-1] != layer.in_features:
            raise ValueError(
                f"the last dimension of x must be in_features = {layer.in_features}, "
                f"got shape {list(x.shape)}"
            )
        *lead, _ = x.shape
        rows = product(tuple(lead))
        apply = self._ready.get(rows) or self._make_ready(rows)
        y = apply(x.reshape(rows, layer.in_features).to(self.precision), list(self.cores.values()))
        return y.to(x.dtype).reshape(*lead, layer.out_features)

    def choice(self, rows: int) -> Choice:
        """Return the contraction and kernel used for `rows` rows on the parameters' device."""
        return (tuned if self.layer.plan == "tuned" else choose)(self.layer, rows, self._target())

    def facts(self, rows: int) -> dict[str, Any]:
        """Return the columns of `runs` that describe the contraction of `rows` rows and its cost.

        FLOPs count 2 for a multiply-add; predicted times are those of the cost model.
        """
        choice = self.choice(rows)
        cost = choice.contraction.cost(rows)
        return {
            "rows": rows,
            "kernel": choice.kernel,
            "contraction": choice.contraction.describe(),
            "forward_flops": cost.flops,
            "largest_intermediate": cost.largest_intermediate,
            "predicted_forward_ms": 1e3 * choice.forward_s,
            "predicted_backward_ms": 1e3 * choice.backward_s,
        }

    def to_dense(self) -> Float[Tensor, "out_features in_features"]:
        """Build W from the cores, in their dtype; the result is differentiable in the cores."""
        if self._dense is None:
            self._dense = plan_dense(self.layer.network)
        weight = self._dense.run(self.cores.values())
        return weight.reshape(self.layer.out_features, self.layer.in_features)

    def extra_repr(self) -> str:
        layer = self.layer
        return f"{layer.name}, {layer.in_features} -> {layer.out_features}, ranks {layer.ranks}"

    def _target(self) -> Target:
        core = next(iter(self.cores.values()))
        return Target.of(core.new_empty(0, dtype=self.precision))

    def _make_ready(self, rows: int) -> Apply:
        self._ready[rows] = prepare(self.choice(rows), rows, self._target())
        return self._ready[rows]
