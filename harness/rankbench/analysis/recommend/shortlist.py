"""Shortlist layers for a map: those that no measurement tells from the best, cheapest first.

The rule is this. The candidates are all admissible layers (`rankbench.layers.enumerate`) and all
measured layers of these sizes. The evidence of a candidate is the measured layer that is the
fewest steps away (`evidence.distances`), if that is at most NEAR steps. Of several candidates with
the same evidence the nearest one is kept, then the smallest. Each candidate has a grade, and the
shortlist is in the order of the grades:

1. LEVEL: the evidence has several runs beside other layers, and under at least half of those
   conditions its mean is in the 95% interval of the best layer within the parameters.
2. OPEN: the evidence is a single run, or has no other layer beside it, or has an interval that
   overlaps that of the best while its mean is outside. Sorted by how far its mean is from the
   best one.
3. UNMEASURED: there is no evidence. Only decompositions that are absent from 1 and 2 get an
   entry: the largest rank that fits the parameters, and the time limit if there is one, with
   the modes whose roughly estimated time is least.

Layers that are significantly worse than the best are counted but not listed. Layers beyond the
time limit are dropped. Within 1 and 3, layers are sorted by Pareto front of (parameters, predicted
time of a step), then by parameters, then by time. At most ALIKE layers of one decomposition are
listed. The predicted time is that of the plan `auto`. The better of two simple plans gives a rough
time first, which selects the layers worth the exact prediction.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rankbench.analysis.recommend.evidence import (
    MeasuredLayer,
    best_means,
    distances,
    doublings,
    kind_of,
    leaders,
    level_with,
    told_worse,
)
from rankbench.analysis.stats.pareto import front
from rankbench.common.text import label as label_of
from rankbench.layers import Layer
from rankbench.layers.enumerate import Sizes, admissible
from rankbench.layers.kernels.target import Target
from rankbench.layers.planning.choice import choose
from rankbench.tasks.facts import layer_facts

Modes = tuple[tuple[int, ...], tuple[int, ...]]
NEAR = 1.0  # The most steps between a candidate and its evidence.
ALIKE = 2  # The most layers of one decomposition in a shortlist.
LEVEL, OPEN, UNMEASURED, WORSE = range(4)
GRADES = ("level with the best", "cannot tell", "not measured", "worse than the best")
_SHAPES = 3  # How many choices of modes of a decomposition are tried, fastest first.
_ROUGH = ("paper", "sequential")  # Plans whose time is quick to predict.
_SLACK = 10.0  # The plan `auto` is assumed to be at most this many times faster than those.


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question to `recommend`: which layers to choose for this map, within these limits."""

    sizes: Sizes
    """The features in and out of the map, and the gates that its output is divided into."""
    max_params: int
    """The most parameters a layer may have."""
    max_step_ms: float | None
    """The most milliseconds of a predicted forward and backward pass; None for no limit."""
    task: str
    """The registry name of the task whose measurements are the evidence."""
    cell: str | None
    """The registry name of the cell that the map feeds; None for a bare map."""
    rows: int
    """The rows that one pass of the map processes: batch size times time steps."""
    top: int
    """The most layers in the shortlist."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A candidate layer with its costs and its evidence."""

    layer: Layer
    """The candidate."""
    grade: int
    """Its grade, an index into GRADES."""
    steps: float = np.inf
    """The steps to the measured layer of `evidence`; infinite without evidence."""
    evidence: tuple[MeasuredLayer, ...] = ()
    """The measurements of that layer, one per condition, the most informative first."""
    good: int = 0
    """The number of conditions under which the measured layer is level with the best."""
    told: int = 0
    """The number of conditions under which it could be compared with the best."""
    rivals: int = 0
    """How many layers were measured under the first condition of `evidence`."""
    behind: float = 0.0
    """The distance of its mean from the best mean there, single runs included."""
    step_ms: float = np.nan
    """The predicted forward and backward pass of the map, in milliseconds; NaN until predicted."""
    flops_per_row: float = np.nan
    """The FLOPs of the same plan for one row; NaN until predicted."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a question: the shortlist, and how many layers it was chosen from."""

    question: Question
    """The question that was asked."""
    protocol: MeasuredLayer | None
    """A measurement whose training settings a study of the shortlist may repeat; None without any.
    """
    entries: tuple[Entry, ...]
    """The shortlist, best first."""
    candidates: int
    """The number of candidates."""
    measured: int
    """The number of distinct measured layers that served as evidence."""
    worse: int
    """How many of those are significantly worse than the best, and therefore not listed."""


def recommend(question: Question, pieces: Sequence[MeasuredLayer]) -> Answer:
    """Return the shortlist for a question, by the rule in this module's docstring.

    Args:
        question: the map and the limits.
        pieces: the layers that were measured on its task, from `evidence.measured`.

    Returns:
        The answer, with at most `question.top` entries.

    Raises:
        ValueError: no layer is within the parameters, or none is within the time.
    """
    layers = _candidates(question, pieces)
    graded = _graded(question, layers, pieces)
    known = [one for one in graded if one.evidence]
    listed = [one for one in known if one.grade != WORSE]
    kinds = {kind_of(one.layer)[0] for one in listed}
    others = [one.layer for one in graded if not one.evidence]
    others = [layer for layer in others if kind_of(layer)[0] not in kinds]
    entries = _ordered([*_costed(question, listed), *_unmeasured(question, others)])
    if not entries:
        raise ValueError(_too_slow(question, layers))
    shortlist = tuple(_varied(entries, ALIKE)[: question.top])
    return Answer(
        question=question,
        protocol=_protocol(question, shortlist, pieces),
        entries=shortlist,
        candidates=len(layers),
        measured=len({one.evidence[0].layer for one in known}),
        worse=sum(one.grade == WORSE for one in known),
    )


def _candidates(question: Question, pieces: Sequence[MeasuredLayer]) -> list[Layer]:
    sizes = question.sizes
    same = [
        piece.layer
        for piece in pieces
        if piece.sizes == (sizes.in_features, sizes.out_features)
        and piece.cell == question.cell
        and piece.layer.num_params <= question.max_params
    ]
    return list(dict.fromkeys([*same, *admissible(sizes, question.max_params)]))


def _graded(
    question: Question, layers: Sequence[Layer], pieces: Sequence[MeasuredLayer]
) -> list[Entry]:
    """Grade candidates: one entry per measured layer, and one per candidate without evidence."""
    best = leaders(pieces, question.max_params)
    tops = best_means(pieces, question.max_params)
    beside = Counter(piece.condition for piece in pieces)
    nearest: dict[Layer, list[Entry]] = {}
    bare = []
    steps = distances(layers, question.cell, pieces)
    for layer, row in zip(layers, steps, strict=True):
        if not pieces or row.min() > NEAR:
            bare.append(Entry(layer=layer, grade=UNMEASURED))
            continue
        there = pieces[int(row.argmin())].layer
        nearest.setdefault(there, []).append(
            Entry(layer=layer, grade=UNMEASURED, steps=float(row.min()))
        )
    known = []
    for there, entries in nearest.items():
        entry = min(entries, key=lambda one: (one.steps, one.layer.num_params))
        own = [piece for piece in pieces if piece.layer == there]
        known.append(_judged(entry, own, best, beside, tops))
    return [*known, *bare]


def _judged(
    entry: Entry,
    own: Sequence[MeasuredLayer],
    best: Mapping[tuple[Any, ...], MeasuredLayer],
    beside: Mapping[tuple[Any, ...], int],
    tops: Mapping[tuple[Any, ...], float],
) -> Entry:
    """Fill in the grade and the evidence of an entry from the measurements of one layer."""
    told = [p for p in own if beside[p.condition] > 1 and p.condition in best and _compared(p)]
    good = [piece for piece in told if level_with(piece, best[piece.condition])]
    worse = [piece for piece in told if told_worse(piece, best[piece.condition])]
    shown = sorted(own, key=lambda p: (p not in good, p not in told, -p.value.count, p.shown))
    return replace(
        entry,
        grade=_grade(len(told), len(good), len(worse)),
        evidence=tuple(shown),
        good=len(good),
        told=len(told),
        rivals=beside[shown[0].condition],
        behind=abs(shown[0].value.mean - tops[shown[0].condition]),
    )


def _grade(told: int, good: int, worse: int) -> int:
    if told and 2 * good >= told:
        return LEVEL
    return WORSE if told and 2 * worse >= told else OPEN


def _compared(piece: MeasuredLayer) -> bool:
    return piece.value.count > 1 or piece.diverged > 0


def _costed(question: Question, entries: Sequence[Entry]) -> list[Entry]:
    """Predict the costs of the entries that may be listed, and drop those beyond the time limit."""
    rough = {one.layer: _rough_ms(one.layer, question.rows) for one in entries}
    limit = question.max_step_ms or np.inf
    near = [replace(one, step_ms=rough[one.layer]) for one in entries]
    ordered = _ordered([one for one in near if one.step_ms <= _SLACK * limit])
    costed = [_with_cost(question, one) for one in _varied(ordered, ALIKE + 1)]
    return [one for one in costed if one.step_ms <= limit]


def _unmeasured(question: Question, layers: Iterable[Layer]) -> list[Entry]:
    """Return one entry per decomposition: the largest layer that fits, with the fastest modes."""
    shapes: dict[str, dict[Modes, list[Layer]]] = {}
    for layer in sorted(layers, key=lambda one: one.num_params):
        modes = (layer.in_modes, layer.out_modes)
        shapes.setdefault(layer.name, {}).setdefault(modes, []).append(layer)
    found = []
    for ladders in shapes.values():
        fastest = sorted(ladders.values(), key=lambda one: _rough_ms(one[-1], question.rows))
        fitting = (_largest_within(question, ladder) for ladder in fastest[:_SHAPES])
        found += list(itertools.islice((one for one in fitting if one is not None), 1))
    return found


def _largest_within(question: Question, ladder: Sequence[Layer]) -> Entry | None:
    """Find the layer with the most parameters within the time limit, by bisection.

    `ladder` holds layers of the same modes by ascending parameters. Return None if none fits.
    """
    limit = question.max_step_ms or np.inf
    entries = {len(ladder) - 1: _unknown(question, ladder[-1])}
    if entries[len(ladder) - 1].step_ms <= limit:
        return entries[len(ladder) - 1]
    low, high = -1, len(ladder) - 1
    while high - low > 1:
        middle = (low + high) // 2
        entries[middle] = _unknown(question, ladder[middle])
        low, high = (middle, high) if entries[middle].step_ms <= limit else (low, middle)
    return entries.get(low)


def _unknown(question: Question, layer: Layer) -> Entry:
    return _with_cost(question, Entry(layer=layer, grade=UNMEASURED))


def _with_cost(question: Question, entry: Entry) -> Entry:
    choice = choose(entry.layer, question.rows, Target())
    flops = choice.contraction.flops(question.rows) / question.rows
    return replace(entry, step_ms=1e3 * choice.seconds, flops_per_row=flops)


def _rough_ms(layer: Layer, rows: int) -> float:
    # The time of torch's products is predicted much faster than that of the native kernel.
    simple = [replace(layer, plan=plan, kernel="torch") for plan in _ROUGH]
    plans = (choose(one, rows, Target()) for one in simple)
    return 1e3 * min(choice.seconds for choice in plans)


def _ordered(entries: Sequence[Entry]) -> list[Entry]:
    """Sort by grade, then by Pareto front, parameters and time; OPEN by distance from the best."""
    found = []
    for grade in range(len(GRADES)):
        left = [one for one in entries if one.grade == grade]
        if grade == OPEN:
            found += sorted(left, key=lambda one: (one.behind, one.layer.num_params, one.step_ms))
            continue
        while left:
            costs = np.array([[one.layer.num_params, one.step_ms] for one in left], dtype=float)
            best = set(front(costs))
            found += sorted(
                (left[k] for k in best), key=lambda one: (one.layer.num_params, one.step_ms)
            )
            left = [one for k, one in enumerate(left) if k not in best]
    return found


def _varied(entries: Iterable[Entry], most: int) -> list[Entry]:
    """Keep the first `most` entries of each decomposition."""
    seen: Counter[str] = Counter()
    kept = []
    for one in entries:
        kind = kind_of(one.layer)[0]
        seen[kind] += 1
        kept += [one] if seen[kind] <= most else []
    return kept


def _protocol(
    question: Question, entries: Iterable[Entry], pieces: Sequence[MeasuredLayer]
) -> MeasuredLayer | None:
    """Choose a measurement under the condition most frequent in the shortlist's evidence.

    Without evidence, choose the measured layer of the nearest size.
    """
    own = [piece for entry in entries for piece in entry.evidence]
    counts = Counter(piece.condition for piece in own)
    if own:
        return max(own, key=lambda piece: counts[piece.condition])
    asked = (question.sizes.in_features, question.sizes.out_features)
    return min(pieces, key=lambda piece: doublings(asked, piece.sizes), default=None)


def _too_slow(question: Question, layers: Sequence[Layer]) -> str:
    found = _unmeasured(replace(question, max_step_ms=None), layers)
    least = min(found, key=lambda one: one.step_ms)
    return (
        f"--max-step-ms {question.max_step_ms:g} is below the fastest of {len(layers)} layers of at"
        f" most {question.max_params} parameters that were looked at: {label(least)}, predicted"
        f" {least.step_ms:.3g} ms for {question.rows} rows"
    )


def label(entry: Entry) -> str:
    """Return a layer as a short phrase, such as "tensor_train d=4 R=4"."""
    return label_of(layer_facts(entry.layer))
