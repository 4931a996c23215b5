"""How fast this machine could at best be: rates measured here, and the time they allow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rankbench.bench.maps import GATES
from rankbench.layers import Layer
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.measure.timing import Call, time_call

_SIDE, _GPU_SIDE = 1024, 8192  # of the square matrices that are multiplied
_FLOATS = 2**25  # 128 MiB, beyond any cache
_ADAM = 7  # a parameter, its gradient and two moments are read, all but the gradient written


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What this machine does a second: FLOPs of a large matrix product, bytes to or from memory."""

    flops_s: float
    bytes_s: float


def measure_rates(dtype: torch.dtype, device: str = "cpu") -> Rates:
    """The best of a few calls each, with the threads that torch uses now.

    Product: in `dtype`, or in float32 between two conversions, where a processor without
    arithmetic for `dtype` is faster so. Memory: the faster of reading 128 MiB and of copying
    them, where bytes read and written count.
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
    """Least time in ms of a forward pass of `layer` over `rows` rows.

    Its FLOPs at the rate of a large product, or its bytes at the rate of memory, whichever takes
    longer.
    """
    return _least_ms(*_forward(layer, rows), dtype, rates)


def step_floor_ms(layer: Layer, rows: int, dtype: torch.dtype, rates: Rates) -> float:
    """Least time in ms of a training step of an LSTM whose input map is `layer`.

    The map's FLOPs twice (its cores need gradients, its input does not), those of the recurrence
    three times; bytes as in a forward pass, and what Adam reads and writes.
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
    """FLOPs of the plan with fewest; elements moved: input, output and parameters once."""
    moved = rows * (layer.in_features + layer.out_features) + layer.num_params
    return layer_cost(replace(layer, plan="optimal"), rows).flops, moved


def _least_ms(flops: int, elements: int, dtype: torch.dtype, rates: Rates) -> float:
    return 1e3 * max(flops / rates.flops_s, elements * dtype.itemsize / rates.bytes_s)
