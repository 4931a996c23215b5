"""Which layers a map of given sizes may be, within a number of parameters.

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

ORDERS = range(2, 9)  # core orders d that are looked at; a ring's n and m
Modes = tuple[int, ...]
Make = Callable[[int], Layer]
Cut = Callable[[int], Modes]  # one Tucker rank -> R_1 .. R_d


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """A map from `in_features` to `out_features`, which are those of `gates` gates together.

    Raises ValueError for a size below 1, and for an output that the gates do not divide.
    """

    in_features: int
    out_features: int
    gates: int = 1

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
        """Outputs of one gate: the hidden size of a cell."""
        return self.out_features // self.gates


def admissible(sizes: Sizes, max_params: int) -> list[Layer]:
    """Every layer of at most `max_params` parameters, and fewer than the dense map, by fewest.

    All of LAYERS, modes by `factorise` for every d in ORDERS (a ring's n and m each), gates in the
    first output mode. Ranks: 1, 2, 3, 4, 6, 8, 12, .. and the largest that fits, one number for
    all, and tapered: a train's outermost halved, a Tucker core's at most min(I_k, J_k) (BT Eq. 10),
    a ring's first doubled as published. A rank is cut where more adds nothing: R_k of a Tucker core
    at I_k J_k, of a train at the smaller side of its cut. Block terms of R = 1 are CP's, of N = 1
    Tucker's, and not repeated.

    Raises ValueError where nothing fits, naming the smallest layer that there is.
    """
    positive_int("--max-params", max_params)
    most = min(max_params, sizes.in_features * sizes.out_features - 1)
    found = {layer: layer.num_params for make in _makers(sizes) for layer in _ladder(make, most)}
    for make in _block_makers(sizes):
        for rank in _ranks(partial(_of_two, make), most, start=2):
            found |= {layer: layer.num_params for layer in _ladder(make(rank), most, start=2)}
    dense = LAYERS["dense"](in_modes=(sizes.in_features,), out_modes=_whole(sizes))
    if dense.num_params <= max_params:
        found[dense] = dense.num_params
    if not found:
        raise ValueError(_nothing(sizes, max_params, dense))
    return sorted(found, key=lambda layer: (found[layer], layer.name, layer.in_modes))


def _nothing(sizes: Sizes, max_params: int, dense: Layer) -> str:
    least = min([dense, *(make(1) for make in _makers(sizes))], key=lambda one: one.num_params)
    return (
        f"--max-params {max_params} is below every layer from {sizes.in_features} to "
        f"{sizes.out_features} features; the smallest has {least.num_params} parameters: "
        f"{least.name}, modes {list(least.in_modes)} to {list(least.out_modes)}, rank 1"
    )


def paired_modes(sizes: Sizes) -> Iterator[tuple[Modes, Modes]]:
    """Modes of every d in ORDERS, paired; a d that leaves a pair of ones is left out."""
    for d in ORDERS:
        out_modes = fuse_gates(factorise(sizes.hidden, d), sizes.gates)
        in_modes = pair(factorise(sizes.in_features, d), out_modes)
        if all(i * j > 1 for i, j in zip(in_modes, out_modes, strict=True)):
            yield in_modes, out_modes


def ring_modes(sizes: Sizes) -> Iterator[tuple[Modes, Modes]]:
    """Modes of every n and m in ORDERS; those with a one in them are left out."""
    for n in ORDERS:
        for m in ORDERS:
            in_modes = factorise(sizes.in_features, n)
            out_modes = fuse_gates(factorise(sizes.hidden, m), sizes.gates)
            if min(*in_modes, *out_modes) > 1:
                yield in_modes, out_modes


def _whole(sizes: Sizes) -> Modes:
    return (sizes.out_features,)


def _makers(sizes: Sizes) -> Iterator[Make]:
    """For each decomposition of one rank, modes and taper: the layer of a rank."""
    yield partial(_low_rank, sizes)
    for modes in paired_modes(sizes):
        yield partial(_cp, modes)
        yield from (partial(_tucker, modes, cut) for cut in _tucker_cuts(*modes))
        tapers = (False, True) if len(modes[0]) > 3 else (False,)
        yield from (partial(_train, modes, taper) for taper in tapers)
    for modes in ring_modes(sizes):
        yield from (partial(_ring, modes, first) for first in (1, 2))


def _block_makers(sizes: Sizes) -> Iterator[Callable[[int], Make]]:
    """For each of the modes and tapers of block terms: a Tucker rank -> the layer of a CP rank."""
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
    """A train whose R_1 and R_{d-1} are, tapered, half of its other ranks."""
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
    """How one Tucker rank becomes R_1 .. R_d: cut at I_k J_k, and at min(I_k, J_k)."""
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
    """Ranks from `start`, two a doubling, while the layer has at most `most`, and the largest."""
    if make(start).num_params > most:
        return []
    ranks, largest = [start], _largest(make, most, start)
    steps = sorted({1} | {base << k for k in range(40) for base in (2, 3)})
    ranks += [step for step in steps if start < step < largest]
    return ranks if largest == start else [*ranks, largest]


def _largest(make: Make, most: int, start: int) -> int:
    """The largest rank that fits, or the one from which on more is cut away."""
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
