"""Measure this machine's peak rates, and compute the least time that they allow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rankbench.bench.maps import GATES
from rankbench.layers import Layer
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.measure.timing import Call, time_call

_SIDE, _GPU_SIDE = 1024, 8192  # Side of the square matrices that are multiplied.
_FLOATS = 2**25  # 128 MiB, more than any cache.
# Adam reads a parameter, its gradient and two moments, and writes all but the gradient.
_ADAM = 7


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The peak rates of this machine."""

    flops_s: float
    """FLOPs per second of a large matrix product."""
    bytes_s: float
    """Bytes per second read from or written to memory."""


def measure_rates(dtype: torch.dtype, device: str = "cpu") -> Rates:
    """Measure the peak rates, as the best of a few calls, with torch's present threads.

    The product is computed in `dtype`, and also in float32 between two conversions, which is faster
    on a processor without arithmetic for `dtype`; the faster one counts. The memory rate is the
    faster one of reading 128 MiB and of copying them; a copy counts bytes read and written.
    """
    side = _SIDE if device == "cpu" else _GPU_SIDE
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    source, target = (torch.ones(_FLOATS, device=device) for _ in range(2))
    product_s = min(
        _best_s(lambda: left @ right.T, device),
        _best_s(lambda: (left.float() @ right.float()).to(dtype), device),
    )
    read_s = _best_s(source.sum, device)
    copy_s = _best_s(lambda: target.copy_(source), device)
    return Rates(
        flops_s=2 * side**3 / product_s,
        bytes_s=source.nbytes * max(1 / read_s, 2 / copy_s),
    )


def floor_ms(layer: Layer, rows: int, dtype: torch.dtype, rates: Rates) -> float:
    """Compute the least time in ms of a forward pass of a layer over `rows` rows.

    It is the time of its FLOPs at the rate of a large product, or that of its bytes at the rate of
    memory, whichever is longer.
    """
    return _least_ms(*_forward(layer, rows), dtype, rates)


def step_floor_ms(layer: Layer, rows: int, dtype: torch.dtype, rates: Rates) -> float:
    """Compute the least time in ms of a training step of an LSTM whose input map is `layer`.

    The FLOPs of the map count twice, because its cores need gradients but its input does not; those
    of the recurrence count three times. The bytes are those of a forward pass, and those that Adam
    reads and writes.
    """
    flops, elements = _forward(layer, rows)
    recurrent = layer.out_features**2 // GATES
    flops = 2 * flops + 3 * 2 * rows * recurrent
    elements += _ADAM * (layer.num_params + recurrent) - layer.num_params
    return _least_ms(flops, elements, dtype, rates)


def _best_s(call: Call, device: str) -> float:
    times = time_call(call, device=device, warmup=1, min_repeats=3, max_repeats=8, budget_s=2.0)
    return min(times) / 1e3


def _forward(layer: Layer, rows: int) -> tuple[int, int]:
    """Return the FLOPs of the optimal plan, and the elements moved: input, output, parameters."""
    moved = rows * (layer.in_features + layer.out_features) + layer.num_params
    return layer_cost(replace(layer, plan="optimal"), rows).flops, moved


def _least_ms(flops: int, elements: int, dtype: torch.dtype, rates: Rates) -> float:
    return 1e3 * max(flops / rates.flops_s, elements * dtype.itemsize / rates.bytes_s)
