"""The cost model: seconds that a contraction should take, by FLOPs, bytes moved and calls.

The rate of a product falls with small dimensions. Forward and backward are told apart; the input
has no gradient.
"""

from __future__ import annotations

from rankbench.layers.contraction.einsum import elements
from rankbench.layers.contraction.stages import ROWS, Contraction
from rankbench.layers.kernels.layout import layout, product_seconds
from rankbench.layers.kernels.lowering import lower
from rankbench.layers.kernels.target import Target

# The native kernel: bytes/s from the outer caches, bytes that a first- and a third-level cache hold
# for a weight, rows of a tile below which a sum waits for itself, seconds to put a number back
# where T has it.
_L2_BYTES_S = 60e9
_L1, _L3 = 24 << 10, 8 << 20
_LATENCY = 5.0
_SCATTER_S = 0.6e-9
_MERGING = 16  # terms in the sums of an einsum of cores at which it has half a product's rate
_CALLS = (15, 27)  # small operations of a forward and a backward pass, whatever the stages
# Vectors' worth of time that a tail of so many quarters of a vector costs.
_TAIL = (0.0, 1.8, 1.8, 3.0, 1.3, 3.0, 3.0, 4.0, 2.0)


def predict(one: Contraction, kernel: str, rows: int, target: Target) -> tuple[float, float]:
    """Seconds of forward and of backward over `rows` rows, merging included."""
    times = _native_seconds if kernel == "native" else _torch_seconds
    forward, backward = times(one, rows, target)
    speed = target.speed
    for plan, size in zip(one.merges(), one.merged(), strict=True):
        products = sum(len(step.positions) == 2 for step in plan.steps)
        moved = 2 * target.itemsize * (size + plan.largest_intermediate) / speed.memory
        seconds = moved + sum(
            step.flops * (step.summed + _MERGING) / step.summed / speed.gemm for step in plan.steps
        )
        forward += seconds + (3 + 6 * products) * speed.call_s
        backward += 2 * seconds + (4 + 13 * products) * speed.call_s
    return forward + _CALLS[0] * speed.call_s, backward + _CALLS[1] * speed.call_s


def _torch_seconds(one: Contraction, rows: int, target: Target) -> tuple[float, float]:
    speed = target.speed
    per_row = target.itemsize * sum(one.intermediates(1))
    chunk = max(1, min(rows, speed.chunk * target.threads // per_row))
    products = layout(one, chunk, target)
    sizes = {**one.network.sizes, ROWS: chunk}
    output = (ROWS, *one.network.out_indices)
    last = len(products) - 1
    each = [
        product_seconds(product, sizes, target, place == last and output)
        for place, product in enumerate(products)
    ]
    chunks = rows / chunk
    again = sum(each[:-1]) if chunks > 1 else 0.0
    return chunks * sum(each), chunks * (2 * sum(each) - each[0] + again)


def _native_seconds(one: Contraction, rows: int, target: Target) -> tuple[float, float]:
    chain, speed, size = lower(one), target.speed, max(target.itemsize, 4)
    # A vector of 32 bytes holds half as many doubles.
    rate, lanes = speed.native * 4 / size, 32 // size
    forward = again = backward = 0.0
    for place, step in enumerate(chain.stages):
        h, f, k, _ = step.sizes
        times = len(chain.tiles) if place < chain.split else 1
        apply_s = times * h * _product_seconds(f, step.width, k, rate, lanes, size)
        weight_s = (
            times
            * h
            * (
                _product_seconds(k, step.width, f, rate, lanes, size)
                + 2 * size * k * step.width / _L2_BYTES_S
            )
        )
        input_s = (
            times
            * h
            * (
                _product_seconds(f, k, step.width, rate, lanes, size)
                + f * k * (_SCATTER_S if step.run < 4 else _SCATTER_S / 3)
            )
        )
        forward += apply_s
        redone = place < len(chain.stages) - 1 and not (chain.keep and place == chain.split - 1)
        again += apply_s if redone else 0.0
        backward += weight_s + (input_s if place else 0.0)
    network = one.network
    moved = target.itemsize * (network.in_features + network.out_features)
    kept = size * chain.joined if chain.keep else 0
    memory = (moved + kept) / speed.memory
    share = rows / min(target.threads, rows)
    calls = (4 + 3 * len(chain.stages)) * speed.call_s
    return share * (forward + memory) + calls, share * (backward + again + memory) + 2 * calls


def _product_seconds(m: int, n: int, k: int, rate: float, lanes: int, size: int) -> float:
    """C (m, n) = A B by kernel.c's tiles: blocks of two vectors, one vector, half a vector."""
    blocks, left = divmod(n, 2 * lanes)
    slots = blocks * 2 * lanes + _TAIL[-(-left * 4 // lanes)] * lanes
    flops = 2 * m * slots * k * max(1 + 1.5 / m, _LATENCY / m) * (1 + 3 / k)
    stream = size * k * n
    beyond = 0.0 if stream < _L1 else stream / (_L2_BYTES_S if stream < _L3 else _L2_BYTES_S / 3)
    return flops / rate + beyond


def rough_seconds(one: Contraction, kernel: str, rows: int, target: Target) -> float:
    """Seconds of forward and backward by FLOPs and bytes alone: what is worth a closer look."""
    speed, network = target.speed, one.network
    rate = target.threads * (speed.native if kernel == "native" else speed.gemm)
    sizes = {**network.sizes, ROWS: rows}
    total = 0.0
    for place, stage in enumerate(one.stages):
        made = elements(stage.made, sizes)
        small = 1.0 if kernel == "native" else speed.small
        efficiency = made / (made + small)
        flops = 2 * elements(stage.kept + stage.free + stage.summed, sizes) * made
        total += (3 if place else 2) * flops / (rate * efficiency)
    moved = sum(one.intermediates(rows)) * (1 if kernel == "native" else 6) + 4 * sum(one.merged())
    merging = len(one.network.cores) - len(one.stages)
    calls = 13 * len(one.stages) + 19 * merging
    return total + target.itemsize * moved / speed.memory + calls * speed.call_s
