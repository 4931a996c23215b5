"""Which layers to choose for a map: what nothing measured tells from the best, cheapest first.

The rule, all of it. Every admissible layer (`rankbench.layers.enumerate`) and every measured one
of these sizes is a candidate, and its evidence is the measured layer that is fewest steps away
(`evidence.distances`), if that is at most NEAR. Of the candidates with one evidence the nearest
stays, then the smallest. Their grades, in this order:

1. LEVEL: measured with several runs beside other layers, and in at least half of those
   conditions its mean lies in the 95% interval of the best one within the parameters;
2. OPEN: measured, but once, or with nothing beside it, or with an interval so wide that it
   overlaps that of the best while its mean is outside; by how far the mean is behind the best one;
3. UNMEASURED: of each decomposition without any in 1 and 2, the largest rank that fits (with a
   limit of time, that is within it), with the modes whose rough time is least.

Layers that are told to be worse are counted and not listed; nor are those beyond the time. Within
1 and 3 the Pareto layers of (parameters, predicted time of a step) decide, then parameters, then
time; at most ALIKE of a decomposition are listed. The time is that of the plan `auto`, for the
first of each decomposition by the time of the better of two simple plans.
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
NEAR = 1.0
ALIKE = 2  # layers of one decomposition in a shortlist
LEVEL, OPEN, UNMEASURED, WORSE = range(4)
GRADES = ("level with the best", "cannot tell", "not measured", "worse than the best")
_SHAPES = 3  # modes of a decomposition that are looked at, the fastest
_ROUGH = ("paper", "sequential")  # plans that are priced in a blink
_SLACK = 10.0  # `auto` is not so many times faster than the better of these


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: the map, the most parameters, the most ms of a step (None: any), the task.

    `cell`: the name of the cell that the map feeds, None for a bare one; `rows` of a step's batch.
    """

    sizes: Sizes
    max_params: int
    max_step_ms: float | None
    task: str
    cell: str | None
    rows: int
    top: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A layer, what it costs, and what is known of it.

    `step_ms`: predicted forward and backward pass of the map; `evidence`: the measurements of the
    nearest measured layer, `steps` away, best known first; in `good` of `told` conditions it is
    level with the best, which in the first of them is that of `rivals` layers; there its mean is
    `behind` the best mean, of single runs too.
    """

    layer: Layer
    grade: int
    steps: float = np.inf
    evidence: tuple[MeasuredLayer, ...] = ()
    good: int = 0
    told: int = 0
    rivals: int = 0
    behind: float = 0.0
    step_ms: float = np.nan
    flops_per_row: float = np.nan


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The shortlist, and how many layers there were: admissible, measured, and told to be worse.

    `protocol`: a measurement whose training a study of the shortlist may repeat, None without any.
    """

    question: Question
    protocol: MeasuredLayer | None
    entries: tuple[Entry, ...]
    candidates: int
    measured: int
    worse: int


def recommend(question: Question, pieces: Sequence[MeasuredLayer]) -> Answer:
    """The shortlist of at most `question.top` layers by the rule above.

    Raises ValueError where nothing is within the parameters, or nothing within the time.
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
    """Candidates with what is known of them: one for each evidence, and all without any."""
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
    """The entry with the grade that the measurements of one layer give it."""
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
    """Those worth it, with their costs; without those beyond the limit of time."""
    rough = {one.layer: _rough_ms(one.layer, question.rows) for one in entries}
    limit = question.max_step_ms or np.inf
    near = [replace(one, step_ms=rough[one.layer]) for one in entries]
    ordered = _ordered([one for one in near if one.step_ms <= _SLACK * limit])
    costed = [_with_cost(question, one) for one in _varied(ordered, ALIKE + 1)]
    return [one for one in costed if one.step_ms <= limit]


def _unmeasured(question: Question, layers: Iterable[Layer]) -> list[Entry]:
    """One layer of each decomposition: its fastest modes, as many parameters as may be."""
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
    """The entry of the layer with most parameters within the time, by halving; None of none."""
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
    # Torch's products are priced many times faster than the native kernel's tables.
    simple = [replace(layer, plan=plan, kernel="torch") for plan in _ROUGH]
    plans = (choose(one, rows, Target()) for one in simple)
    return 1e3 * min(choice.seconds for choice in plans)


def _ordered(entries: Sequence[Entry]) -> list[Entry]:
    """By grade, Pareto layer of (parameters, time), parameters, time; OPEN by what is behind."""
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
    """The first `most` of each decomposition."""
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
    """One under the condition in which most of the shortlist was measured, else of a near map."""
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
    """A layer in one phrase: "tensor_train d=4 R=4"."""
    return label_of(layer_facts(entry.layer))
