"""Enumerate the layers that map given sizes within a budget of parameters.

No tensor is made: a layer's parameters are counted from its modes and ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from rankbench.common.checks import positive_int
from rankbench.layers import LAYERS, Layer
from rankbench.layers.modes import factorise, fuse_gates, pair, product

ORDERS = range(2, 9)  # The core-orders d that are tried; for a ring, its n and its m.
Modes = tuple[int, ...]
Make = Callable[[int], Layer]  # Makes the layer of a rank.
Cut = Callable[[int], Modes]  # Makes R_1 .. R_d of one Tucker rank.


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a linear map.

    Raises:
        ValueError: If a size is below 1, or `out_features` is not a multiple of `gates`.
    """

    in_features: int
    """Number of input features, I."""
    out_features: int
    """Number of output features of all gates together, J."""
    gates: int = 1
    """Number of gates of the cell: 4 for LSTM, 3 for GRU, 1 for RNN or no cell."""

    def __post_init__(self) -> None:
        positive_int("--in", self.in_features)
        positive_int("--out", self.out_features)
        if self.out_features % self.gates:
            raise ValueError(
                f"--out is of all gates together and must be a multiple of the cell's {self.gates},"
                f" got {self.out_features}; or choose --cell rnn or none"
            )

    @property
    def hidden(self) -> int:
        """Number of output features of one gate, which is the cell's hidden size."""
        return self.out_features // self.gates


def admissible(sizes: Sizes, max_params: int) -> list[Layer]:
    """Return the layers of at most `max_params` parameters, those with the fewest first.

    A compressed layer must also have fewer parameters than the dense one. Every decomposition in
    `LAYERS` is tried. Its modes come from `factorise` for every d in `ORDERS` (every pair of n and
    m for a ring), with the gates fused into the first output mode. Its ranks are 1, 2, 3, 4, 6, 8,
    12, .. and the largest that fits, in two forms:

    - one number for all ranks;
    - tapered: the outermost ranks of a train halved, the ranks of a Tucker core at most
      min(I_k, J_k) (BT Eq. 10), the first rank of a ring doubled as published.

    A rank is capped where a larger one adds nothing: R_k of a Tucker core at I_k J_k, a rank of a
    train at the smaller side of its unfolding. Block terms with R = 1 (the same as CP) or N = 1
    (the same as Tucker) are not repeated.

    Args:
        sizes: The sizes of the map.
        max_params: The largest number of parameters, at least 1.

    Returns:
        The layers, sorted by parameters, name and input modes.

    Raises:
        ValueError: If no layer fits; the error names the smallest one.
    """
    positive_int("--max-params", max_params)
    most = min(max_params, sizes.in_features * sizes.out_features - 1)
    params = {layer: layer.num_params for make in _makers(sizes) for layer in _ladder(make, most)}
    for make in _block_makers(sizes):
        for rank in _ranks(partial(_of_two, make), most, start=2):
            params |= {layer: layer.num_params for layer in _ladder(make(rank), most, start=2)}
    dense = LAYERS["dense"](in_modes=(sizes.in_features,), out_modes=_whole(sizes))
    if dense.num_params <= max_params:
        params[dense] = dense.num_params
    if not params:
        raise ValueError(_nothing_fits(sizes, max_params, dense))
    return sorted(params, key=lambda layer: (params[layer], layer.name, layer.in_modes))


def _nothing_fits(sizes: Sizes, max_params: int, dense: Layer) -> str:
    layers = [dense, *(make(1) for make in _makers(sizes))]
    least = min(layers, key=lambda layer: layer.num_params)
    return (
        f"--max-params {max_params} is below every layer from {sizes.in_features} to "
        f"{sizes.out_features} features; the smallest has {least.num_params} parameters: "
        f"{least.name}, modes {list(least.in_modes)} to {list(least.out_modes)}, rank 1"
    )


def paired_modes(sizes: Sizes) -> Iterator[tuple[Modes, Modes]]:
    """Yield the input and output modes of every d in `ORDERS`, paired by `pair`.

    A d is left out if it pairs a mode of 1 with a mode of 1: such a pair adds nothing to d - 1.
    """
    for d in ORDERS:
        out_modes = fuse_gates(factorise(sizes.hidden, d), sizes.gates)
        in_modes = pair(factorise(sizes.in_features, d), out_modes)
        if all(i * j > 1 for i, j in zip(in_modes, out_modes, strict=True)):
            yield in_modes, out_modes


def ring_modes(sizes: Sizes) -> Iterator[tuple[Modes, Modes]]:
    """Yield the input and output modes of every n and m in `ORDERS` that need no mode of 1."""
    for n in ORDERS:
        for m in ORDERS:
            in_modes = factorise(sizes.in_features, n)
            out_modes = fuse_gates(factorise(sizes.hidden, m), sizes.gates)
            if min(*in_modes, *out_modes) > 1:
                yield in_modes, out_modes


def _whole(sizes: Sizes) -> Modes:
    return (sizes.out_features,)


def _makers(sizes: Sizes) -> Iterator[Make]:
    """Yield a function from rank to layer for each decomposition of one rank, modes and taper."""
    yield partial(_low_rank, sizes)
    for modes in paired_modes(sizes):
        yield partial(_cp, modes)
        yield from (partial(_tucker, modes, cut) for cut in _tucker_cuts(*modes))
        tapers = (False, True) if len(modes[0]) > 3 else (False,)
        yield from (partial(_train, modes, taper) for taper in tapers)
    for modes in ring_modes(sizes):
        yield from (partial(_ring, modes, first) for first in (1, 2))


def _block_makers(sizes: Sizes) -> Iterator[Callable[[int], Make]]:
    """Yield, for each modes and taper of block terms, a function of a Tucker rank.

    It returns a function from CP rank to layer.
    """
    for modes in paired_modes(sizes):
        yield from (partial(_blocks, modes, cut) for cut in _tucker_cuts(*modes))


def _layer(name: str, modes: tuple[Modes, Modes], **ranks: Any) -> Layer:
    return LAYERS[name](in_modes=modes[0], out_modes=modes[1], **ranks)


def _low_rank(sizes: Sizes, rank: int) -> Layer:
    return _layer("low_rank", ((sizes.in_features,), _whole(sizes)), rank=rank)


def _cp(modes: tuple[Modes, Modes], rank: int) -> Layer:
    return _layer("cp", modes, cp_rank=rank)


def _tucker(modes: tuple[Modes, Modes], cut: Cut, rank: int) -> Layer:
    return _layer("tucker", modes, tucker_rank=cut(rank))


def _blocks(modes: tuple[Modes, Modes], cut: Cut, rank: int) -> Make:
    return partial(_block_term, modes, cut(rank))


def _block_term(modes: tuple[Modes, Modes], ranks: Modes, blocks: int) -> Layer:
    return _layer("block_term", modes, tucker_rank=ranks, cp_rank=blocks)


def _train(modes: tuple[Modes, Modes], taper: bool, rank: int) -> Layer:
    """Return a train; with `taper`, R_1 and R_{d-1} are half of its other ranks, rounded up."""
    pairs = tuple(i * j for i, j in zip(*modes, strict=True))
    inner = []
    for k in range(1, len(pairs)):
        wanted = -(-rank // 2) if taper and k in (1, len(pairs) - 1) else rank
        inner.append(min(wanted, product(pairs[:k]), product(pairs[k:])))
    return _layer("tensor_train", modes, tt_ranks=(1, *inner, 1))


def _ring(modes: tuple[Modes, Modes], first: int, rank: int) -> Layer:
    others = (rank,) * (len(modes[0]) + len(modes[1]) - 1)
    return _layer("tensor_ring", modes, tr_ranks=(first * rank, *others))


def _tucker_cuts(in_modes: Modes, out_modes: Modes) -> list[Cut]:
    """Return two ways to make R_1 .. R_d of one rank: capped at I_k J_k, and at min(I_k, J_k)."""
    pairs = list(zip(in_modes, out_modes, strict=True))
    return [
        lambda r: tuple(min(r, i * j) for i, j in pairs),
        lambda r: tuple(min(r, i, j) for i, j in pairs),
    ]


def _of_two(make: Callable[[int], Make], rank: int) -> Layer:
    return make(rank)(2)


def _ladder(make: Make, most: int, start: int = 1) -> list[Layer]:
    return [make(rank) for rank in _ranks(make, most, start)]


def _ranks(make: Make, most: int, start: int = 1) -> list[int]:
    """Return the ranks to try, from `start`: two for every doubling, and the largest that fits.

    A rank fits if its layer has at most `most` parameters.
    """
    if make(start).num_params > most:
        return []
    ranks, largest = [start], _largest(make, most, start)
    steps = sorted({1} | {base << k for k in range(40) for base in (2, 3)})
    ranks += [step for step in steps if start < step < largest]
    return ranks if largest == start else [*ranks, largest]


def _largest(make: Make, most: int, start: int) -> int:
    """Return the largest rank that fits, or the smallest from which on every rank is capped.

    The rank is doubled until it is too large or changes nothing, then found by bisection.
    """
    low, step = start, 1
    while make(low + step).num_params <= most:
        if make(low + step) == make(low + 2 * step):
            break
        low, step = low + step, 2 * step
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        fits = make(middle).num_params <= most and make(middle) != make(low)
        low, high = (middle, high) if fits else (low, middle)
    return low
