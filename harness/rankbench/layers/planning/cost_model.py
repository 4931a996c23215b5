"""Predict the time of a contraction from its FLOPs, the bytes it moves and its tensor operations.

Products with small dimensions run at lower rates. Forward and backward pass are predicted apart;
the input needs no gradient.
"""

from __future__ import annotations

from rankbench.layers.contraction.einsum import elements
from rankbench.layers.contraction.stages import ROWS, Contraction
from rankbench.layers.kernels.layout import layout, product_seconds
from rankbench.layers.kernels.lowering import lower
from rankbench.layers.kernels.target import Target

# Constants of the native kernel.
_L2_BYTES_S = 60e9  # Bytes/s from the second- and third-level cache.
_L1, _L3 = 24 << 10, 8 << 20  # Bytes of a weight that fit into the first- and third-level cache.
_LATENCY = 5.0  # Rows of a tile below which an addition waits for the one before it.
_SCATTER_S = 0.6e-9  # Seconds to write one number to its place in T.
# Constants of torch.
_MERGING = 16  # Terms in a sum at which an einsum of cores runs at half the rate of a product.
_CALLS = (15, 27)  # Small operations of a forward and a backward pass, whatever the stages.
# The time of the native kernel's last columns, in vectors: entry k for k quarters of a vector.
_TAIL = (0.0, 1.8, 1.8, 3.0, 1.3, 3.0, 3.0, 4.0, 2.0)


def predict(one: Contraction, kernel: str, rows: int, target: Target) -> tuple[float, float]:
    """Predict the seconds of the forward and of the backward pass over `rows` rows.

    Args:
        one: The contraction. Merging of its groups is included.
        kernel: `torch` or `native`.
        rows: Number of rows.
        target: Device, dtype and number of threads.
    """
    predict_stages = _native_seconds if kernel == "native" else _torch_seconds
    forward, backward = predict_stages(one, rows, target)
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
    seconds = [product_seconds(product, sizes, target) for product in products[:-1]]
    seconds.append(product_seconds(products[-1], sizes, target, output))
    chunks = rows / chunk
    # More than one chunk: the backward pass makes the intermediates again.
    recomputed = sum(seconds[:-1]) if chunks > 1 else 0.0
    return chunks * sum(seconds), chunks * (2 * sum(seconds) - seconds[0] + recomputed)


def _native_seconds(one: Contraction, rows: int, target: Target) -> tuple[float, float]:
    chain, speed, size = lower(one), target.speed, max(target.itemsize, 4)
    # `native` is the rate in float32; a vector of 32 bytes holds half as many doubles.
    rate, lanes = speed.native * 4 / size, 32 // size
    forward = recomputed = backward = 0.0
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
        stored = place == len(chain.stages) - 1 or (chain.keep and place == chain.split - 1)
        recomputed += 0.0 if stored else apply_s
        backward += weight_s + (input_s if place else 0.0)
    network = one.network
    moved = target.itemsize * (network.in_features + network.out_features)
    saved = size * chain.joined if chain.keep else 0
    memory = (moved + saved) / speed.memory
    share = rows / min(target.threads, rows)
    calls = (4 + 3 * len(chain.stages)) * speed.call_s
    backward += recomputed
    return share * (forward + memory) + calls, share * (backward + memory) + 2 * calls


def _product_seconds(m: int, n: int, k: int, rate: float, lanes: int, size: int) -> float:
    """Predict the seconds of C (m, n) = A (m, k) B (k, n) in the native kernel.

    Args:
        m: Rows of A.
        n: Columns of B, computed in blocks of two vectors, one vector, half a vector and single
            numbers, as tiles.h does.
        k: Terms of each sum.
        rate: FLOP/s of large products.
        lanes: Numbers in a vector.
        size: Bytes of a number.
    """
    blocks, tail = divmod(n, 2 * lanes)
    slots = blocks * 2 * lanes + _TAIL[-(-tail * 4 // lanes)] * lanes
    flops = 2 * m * slots * k * max(1 + 1.5 / m, _LATENCY / m) * (1 + 3 / k)
    stream = size * k * n
    beyond = 0.0 if stream < _L1 else stream / (_L2_BYTES_S if stream < _L3 else _L2_BYTES_S / 3)
    return flops / rate + beyond


def rough_seconds(one: Contraction, kernel: str, rows: int, target: Target) -> float:
    """Estimate the seconds of forward and backward pass from FLOPs, bytes and calls only.

    The estimate is cheap; it selects the contractions whose time `predict` then predicts.
    """
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
