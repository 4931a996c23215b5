"""A linear map whose weight exists only as the cores of a layer's network.

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
    """y = W x for the W of `layer`, without a bias.

    Second derivatives need `kernel="torch"` of the layer and rows that fit into one chunk; anything
    else raises RuntimeError where gradients are computed with `create_graph=True`.

    `cores` holds the parameters by name; the same `seed` draws the same weights for any device,
    rounded to `dtype`. `precision`: the type that x and the merged cores (by the native kernel x
    alone) are rounded to before they are multiplied, `dtype` if None; y and all gradients have
    `dtype` again.
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
        # Made before a step is compiled: a trace cannot follow the planner.
        self._ready: dict[int, Apply] = {}
        self._dense: Plan | None = None
        # Pairs keep the cores in order; a plain dict would be sorted by name, G10 before G2.
        self.cores = nn.ParameterDict(
            (name, nn.Parameter(core.to(device=device, dtype=dtype)))
            for name, core in initial_cores(layer, seed).items()
        )

    def forward(self, x: Float[Tensor, "*lead in_features"]) -> Float[Tensor, "*lead out_features"]:
        """W x for every row, contracted by the layer's plan, made at the first call of its size.

        Raises ValueError when the last dimension of `x` is not in_features.
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
        """The contraction and kernel that `rows` rows run through here."""
        return (tuned if self.layer.plan == "tuned" else choose)(self.layer, rows, self._target())

    def facts(self, rows: int) -> dict[str, Any]:
        """The `runs` columns that say how `rows` rows are contracted here, and at what cost."""
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
        """W, differentiable in the cores, merged in their own type."""
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
