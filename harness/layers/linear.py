"""A linear map whose weight exists only as the cores of a layer's network.

Shapes: lead = any leading dimensions, such as (batch, time).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.layers.apply import apply
from harness.layers.base import Layer, cost_of
from harness.layers.choice import Choice, choose
from harness.layers.init import initial_cores
from harness.layers.plan import plan_dense
from harness.layers.speed import Target
from harness.layers.tuning import tuned
from harness.modes import product


class CompressedLinear(nn.Module):
    """y = W x for the W of `layer`, without a bias.

    `cores` holds the parameters by name; the same `seed` draws the same weights for any device,
    rounded to `dtype`.
    """

    def __init__(
        self,
        layer: Layer,
        seed: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        # Pairs keep the cores in order; a plain dict would be sorted by name, G10 before G2.
        self.cores = nn.ParameterDict(
            (name, nn.Parameter(core.to(device=device, dtype=dtype)))
            for name, core in initial_cores(layer, seed).items()
        )

    def forward(self, x: Float[Tensor, "*lead in_features"]) -> Float[Tensor, "*lead out_features"]:
        """W x for every row, contracted by the layer's plan.

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
        flat = x.reshape(rows, layer.in_features)
        y = apply(self.choice(rows), flat, list(self.cores.values()))
        return y.reshape(*lead, layer.out_features)

    def choice(self, rows: int) -> Choice:
        """The contraction and kernel that `rows` rows run through here."""
        target = Target.of(next(iter(self.cores.values())))
        return (tuned if self.layer.plan == "tuned" else choose)(self.layer, rows, target)

    def facts(self, rows: int) -> dict[str, Any]:
        """The `runs` columns that say how `rows` rows are contracted here, and at what cost."""
        choice = self.choice(rows)
        cost = cost_of(choice.contraction, rows)
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
        """W, differentiable in the cores."""
        weight = plan_dense(self.layer).run(self.cores.values())
        return weight.reshape(self.layer.out_features, self.layer.in_features)

    def extra_repr(self) -> str:
        layer = self.layer
        return f"{layer.name}, {layer.in_features} -> {layer.out_features}, ranks {layer.ranks}"
