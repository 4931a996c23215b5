"""The figure of several objectives: who is on the front, faint, hollow; what it refuses."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rankbench.analysis.figures.drawable import has_objectives
from rankbench.analysis.figures.pareto import pareto
from rankbench.analysis.figures.style import caption_of
from tests.helpers.figure_checks import drawn, labels_of
from tests.helpers.frames import Row, block_term, frame, ring, run

OBJECTIVES = {"accuracy": "maximize", "num_params": "minimize", "step_ms": "minimize"}
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def asked(row: Row, objectives: dict[str, str], hour: int = 0, **bounds: Any) -> Row:
    text = json.dumps({"objectives": objectives, "constraints": bounds})
    return {**row, "search": text, "started_at": START + datetime.timedelta(hours=hour)}


def point(R: int, accuracy: float, ms: float, seed: int = 0, **facts: Any) -> Row:
    row = block_term(R, num_params=100 * R, accuracy=accuracy, step_ms=ms, seed=seed, **facts)
    return asked(row, OBJECTIVES, step_ms={"high": 9})


ROWS = [
    point(1, 0.5, 5.0),
    *(point(2, accuracy, 2.0, seed) for seed, accuracy in enumerate((0.5, 0.7))),
    point(3, 0.4, 6.0),  # dominated
    point(4, 0.9, 10.0),  # beyond the constraint
    asked(ring(1, num_params=50, accuracy=0.2, step_ms=8.0), OBJECTIVES, 1, step_ms={"high": 9}),
]


def marks(ax: Axes) -> dict[tuple[float, float], Line2D]:
    found = [line for line in ax.get_lines() if line.get_marker() not in ("", "None", None)]
    return {(float(m.get_xdata()[0]), float(m.get_ydata()[0])): m for m in found}


def test_marks_are_strong_on_the_front_faint_behind_it_and_hollow_beyond_a_constraint() -> None:
    figure = drawn(pareto(frame("runs", ROWS)))
    size, time, side = figure.axes
    looks = marks(size)
    assert sorted(looks) == [(50, 0.2), (100, 0.5), (200, 0.6), (300, 0.4), (400, 0.9)]
    strong = [at for at, mark in looks.items() if mark.get_alpha() is None]
    assert sorted(strong) == [(50, 0.2), (100, 0.5), (200, 0.6)]
    assert looks[300, 0.4].get_markerfacecolor() != "none"
    assert looks[400, 0.9].get_markerfacecolor() == "none"
    # In time and accuracy alone R=2 beats all others.
    fronts = [
        next(line for line in ax.get_lines() if line.get_drawstyle() != "default")
        for ax in (size, time)
    ]
    assert [list(line.get_xdata()) for line in fronts] == [[50, 100, 200], [2]]
    assert (size.get_xlabel(), time.get_xlabel()) == (
        "parameters of the input map",
        "training step (ms)",
    )
    assert labels_of(side) == ["block term", "tensor ring", "front of the panel"]
    listed = [line.split() for line in side.texts[0].get_text().splitlines()]
    assert listed[1] == ["BT", "R=2", "N=1", "0.6", "200", "2"]
    assert [line[0] for line in listed[2:]] == ["BT", "TR"]
    told = caption_of(figure).replace("\n", " ")
    assert "3 points on the front (large), 1 dominated (faint), 1 beyond step_ms" in told


def test_the_newest_run_says_what_is_asked() -> None:
    newer = asked(ROWS[0], {"accuracy": "maximize", "num_params": "minimize"}, hour=5)
    figure = drawn(pareto(frame("runs", [newer, *ROWS[1:]])))
    assert len(figure.axes) == 2
    assert "beyond" not in caption_of(figure)
    single = asked(ROWS[0], {"accuracy": "maximize"}, hour=9)
    assert len(drawn(pareto(frame("runs", [single, *ROWS[1:]]))).axes) == 3


def test_nothing_feasible_is_drawn_hollow() -> None:
    rows = [asked(row, OBJECTIVES, step_ms={"high": 1}) for row in ROWS]
    figure = drawn(pareto(frame("runs", rows)))
    faces = {mark.get_markerfacecolor() for mark in marks(figure.axes[0]).values()}
    assert faces == {"none"}


def test_a_study_of_one_objective_has_no_such_figure() -> None:
    runs = frame("runs", [run(rmse=0.5), asked(run(seed=1, rmse=0.5), {"rmse": "minimize"})])
    assert not has_objectives({"runs": runs})
    with pytest.raises(ValueError, match=r"^pareto: no run was measured for several objectives$"):
        pareto(runs)
    assert has_objectives({"runs": frame("runs", ROWS)})
    assert not has_objectives({"runs": frame("runs", ROWS[:1])})
