"""The orders in which cores are contracted with the input: the named plans and all candidates.

An order is a tuple of groups: the cores of a group are merged, and the merged groups are contracted
with the input one after the other. `NAMED` holds the plans that a layer's `plan` can name.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from rankbench.layers.contraction.einsum import search_limit
from rankbench.layers.contraction.path import fewest_flops
from rankbench.layers.contraction.stages import ROWS, Group, Groups, contraction
from rankbench.layers.network import Network

# A candidate cuts the input modes into at most 4 runs, or 3 if there are more than 6 modes; the
# only other cut tried is the one into single modes.
_MOST_RUNS, _MOST_OF_MANY = 4, 3
_MANY_MODES = 6


def paper(network: Network, rows: int = 1) -> Groups:
    """Contract one core after the other, in the order of the layer's paper."""
    return tuple((place,) for place in range(len(network.cores)))


def dense(network: Network, rows: int = 1) -> Groups:
    """Merge all cores, which builds W, and multiply by it."""
    return (tuple(range(len(network.cores))),)


def optimal(network: Network, rows: int) -> Groups:
    """Return the order with the fewest FLOPs that opt_einsum finds, or the paper's if cheaper."""
    cores = [core.indices for core in network.cores]
    inputs = [(ROWS, *network.in_indices), *cores]
    sizes = {ROWS: rows, **network.sizes}
    output = (ROWS, *network.out_indices)
    live: list[tuple[bool, tuple[int, ...]]] = [
        (True, ()),
        *((False, (k,)) for k in range(len(cores))),
    ]
    groups: list[Group] = []
    for places in fewest_flops(inputs, output, sizes, search_limit(network)):
        met = [live[place] for place in sorted(places)]
        live = [item for place, item in enumerate(live) if place not in places]
        trunk = any(has_input for has_input, _ in met)
        if trunk:
            groups += [tuple(sorted(group)) for has_input, group in met if not has_input]
        live.append((trunk, () if trunk else tuple(c for _, group in met for c in group)))
    return _cheapest([tuple(groups), paper(network)], network, rows)


def sequential(network: Network, rows: int) -> Groups:
    """Contract the input's modes one at a time, from the last.

    Cores without an input mode are put where they cost the fewest FLOPs.
    """
    return _cheapest(_orders(network, [(unit,) for unit in _units(network)]), network, rows)


def halves(network: Network, rows: int) -> Groups:
    """Contract the input's modes in two merged runs, the later modes first, at the cheapest split.

    Cores without an input mode are put where they cost the fewest FLOPs: merged into a run or as
    a group of their own.
    """
    units = _units(network)
    splits = [[units[:k], units[k:]] for k in range(1, len(units))] or [[units]]
    return _cheapest(
        (groups for runs in splits for groups in _orders(network, runs)), network, rows
    )


@functools.lru_cache(maxsize=4096)
def candidates(network: Network) -> tuple[Groups, ...]:
    """Return every order whose cost is worth predicting.

    These are `dense`, `paper`, and every cut of the input modes into a few runs of neighbours,
    contracted from the last mode or from the first, with the other cores in every sensible place.
    """
    orders = [dense(network), paper(network)]
    for runs in _compositions(_units(network)):
        orders += _orders(network, runs)
        orders += _orders(network, runs[::-1])
    return tuple(dict.fromkeys(orders))


def _units(network: Network) -> list[Group]:
    """Return each core that carries an input mode as a group, the core of the last mode first."""
    places = {label: place for place, core in enumerate(network.cores) for label in core.indices}
    return [(place,) for place in dict.fromkeys(places[i] for i in reversed(network.in_indices))]


def _compositions(units: Sequence[Group]) -> Iterator[list[Sequence[Group]]]:
    """Yield every cut of `units` into a few runs of neighbours, and the cut into single units."""
    places = range(1, len(units))
    most = _MOST_RUNS if len(units) <= _MANY_MODES else _MOST_OF_MANY
    counts = {*range(min(most, len(units))), len(units) - 1}
    for count in sorted(counts):
        for cuts in itertools.combinations(places, count):
            bounds = [0, *cuts, len(units)]
            yield [units[a:b] for a, b in itertools.pairwise(bounds)]


def _orders(network: Network, runs: Sequence[Sequence[Group]]) -> list[Groups]:
    """Return the orders that contract `runs` one after the other and each other core somewhere.

    Cores with neither input nor output modes (a Tucker core) are merged into one run or form a
    group after any run. Cores with only output modes (a ring's) come last, merged or one by one, or
    are merged into the last run.
    """
    groups = [tuple(sorted(core for unit in run for core in unit)) for run in runs]
    used = {core for group in groups for core in group}
    rest = [place for place in range(len(network.cores)) if place not in used]
    outputs = [set(network.cores[place].indices) & set(network.out_indices) for place in rest]
    if not rest:
        return [tuple(groups)]
    if all(outputs):
        singles = [(place,) for place in rest]
        return [
            (*groups, tuple(rest)),
            (*groups, *singles),
            (*groups, *reversed(singles)),
            (*groups[:-1], tuple(sorted((*groups[-1], *rest)))),
        ]
    merged = [
        (*groups[:k], tuple(sorted((*group, *rest))), *groups[k + 1 :])
        for k, group in enumerate(groups)
    ]
    separate = [(*groups[:k], tuple(rest), *groups[k:]) for k in range(1, len(groups) + 1)]
    return [*merged, *separate]


def _cheapest(orders: Iterable[Groups], network: Network, rows: int) -> Groups:
    return min(dict.fromkeys(orders), key=lambda groups: contraction(network, groups).flops(rows))


NAMED: dict[str, Callable[[Network, int], Groups]] = {
    "paper": paper,
    "optimal": optimal,
    "halves": halves,
    "sequential": sequential,
    "dense": dense,
}
