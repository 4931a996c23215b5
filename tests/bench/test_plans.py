"""`rankbench plans`: the planner's choice against the fastest, over shapes of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankbench import load
from rankbench.bench import plan_report, plans
from rankbench.bench.plan_report import missed, summary
from rankbench.bench.plans import Shape, Verdict, judge, shapes
from rankbench.cli.main import main
from rankbench.layers import LAYERS, Layer
from rankbench.layers.kernels.target import Target
from tests.helpers.layer_examples import layer_of


def tiny(name: str = "tucker") -> Layer:
    return layer_of(name, (4, 3, 2), (2, 9, 2), 2)


def test_shapes_cover_what_a_planner_meets() -> None:
    found = shapes()
    layers = [shape.layer for shape in found]
    assert len(set(found)) == len(found) >= 60
    assert {layer.name for layer in layers} == set(LAYERS) - {"dense"}
    assert {min(s.rows for s in found), max(s.rows for s in found)} == {16, 4096}
    assert {layer.core_order for layer in layers} >= {2, 8}
    assert {1, 16} <= {max(layer.ranks) for layer in layers}
    assert {57600, 2048} <= {layer.in_features for layer in layers}


def test_a_verdict_is_on_distinct_contenders_with_the_choice_first() -> None:
    verdict = judge(Shape(tiny(), 5), Target(), budget_s=0.01)
    contenders = [choice for choice, _ in verdict.timed]
    assert len({choice.describe() for choice in contenders}) == len(contenders) > 2
    assert contenders[0].seconds == min(choice.seconds for choice in contenders)
    assert verdict.ratio >= 1


def verdict_of(*medians: float) -> Verdict:
    choices = [choice for choice, _ in judge(Shape(tiny(), 5), Target(), budget_s=0.01).timed]
    timed = tuple((choice, [s]) for choice, s in zip(choices, medians, strict=False))
    return Verdict(Shape(tiny(), 5), timed)


def test_a_choice_far_from_the_fastest_is_missed() -> None:
    good, bad = verdict_of(1.2, 1.0), verdict_of(1.5, 2.0, 1.0)
    assert (good.ratio, bad.ratio) == (1.2, 1.5)
    assert missed([good, bad]) == [bad]
    assert summary([good, bad]) == (
        "1 of 2 choices within 1.25 times the fastest measured; median 1.35, largest 1.50"
    )


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        plans, "shapes", lambda: [Shape(tiny(name), 5) for name in ("cp", "tensor_ring")]
    )
    monkeypatch.setattr(plan_report, "LIMIT", 1e9)


@pytest.mark.usefixtures("few")
def test_the_command_prints_and_stores_every_contender(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plans", "--budget", "0.01"]) == 0
    told = capsys.readouterr().out
    assert "[2/2] tensor_ring 24 -> 36, d=3, ranks 2, 5 rows" in told
    assert "2 of 2 choices within" in told
    runs, samples = load("plans"), load("plans", table="samples")
    assert set(runs["decomposition"]) == {"cp", "tensor_ring"}
    assert runs["plan_ratio"].notna().sum() == 2
    assert set(samples["run_id"]) == set(runs["run_id"])
    assert (runs["map_ms"] > 0).all()


@pytest.mark.usefixtures("few")
def test_a_missed_choice_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_report, "LIMIT", 0.5)
    assert main(["plans", "--budget", "0.01", "--only", "cp"]) == 1


@pytest.mark.usefixtures("few")
def test_an_unknown_shape_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plans", "--dtype", "float16"]) == 2
    assert "--dtype must be one of: float32, bfloat16; got 'float16'" in capsys.readouterr().err
    assert main(["plans", "--only", "mps"]) == 2
    assert "--only must be part of a shape's name, got 'mps'" in capsys.readouterr().err
