"""Every study shipped: it plans without data, and holds the published settings."""

from __future__ import annotations

import pytest

from rankbench.engine.queue import enumerate_grid
from rankbench.layers import LAYERS
from rankbench.study.config import Study, load_study
from rankbench.study.feasibility import exceeded_limits
from rankbench.study.space import Range
from rankbench.tasks.base import Point
from tests.helpers.paths import STUDIES

NAMES = sorted(path.stem for path in STUDIES.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_study_plans_without_data(name: str) -> None:
    study = load_study(name)
    if study.search.sampler != "grid":
        assert all(smallest(study, branch).layer.num_params for branch in study.space.branches)
        return
    grid = enumerate_grid(study)
    assert grid.points
    assert not grid.skipped
    assert grid.duplicates == 0


def smallest(study: Study, branch: str) -> Point:
    """The point of a branch with the first of each choice and the low end of each range."""
    dimensions = study.space.branches[branch].items()
    return study.point({k: v.low if isinstance(v, Range) else v[0] for k, v in dimensions})


def test_pareto_searches_every_decomposition_within_a_limit_and_a_constraint() -> None:
    study = load_study("pareto")
    found = [smallest(study, branch) for branch in study.space.branches]
    assert {point.layer.name for point in found} == set(LAYERS)
    assert [exceeded_limits(study, point) for point in found] == [None] * len(LAYERS)
    assert [bound.column for bound in study.search.constraints] == ["step_peak_mb"]
    assert study.missing() is None


def counts(name: str) -> list[int]:
    points = enumerate_grid(load_study(name)).points.values()
    return [point.layer.num_params for point in points]


def test_ucf11_has_the_published_parameters() -> None:
    # BT Fig. 6, TR Table 1 (722, 1472 and 3392 print as 721, 1470 and 3387).
    assert sorted(set(counts("ucf11"))) == [722, 1472, 1725, 3360, 3392, 58982400]


def test_recovery_bt_holds_the_settings_of_fig_9() -> None:
    assert {129, 528, 258, 384} <= set(counts("recovery-bt"))


def test_params_is_fig_5() -> None:
    found = counts("params")
    assert len(found) == 12 * 4
    # At d = 1 the factors decide, I J R + R; at d = 12 the core does, R^12 + 40 R.
    assert {4 * 4096 * 256 + 4, 4**12 + 40 * 4} <= set(found)


@pytest.mark.parametrize("name", ["smoke", "recovery-tr"])
def test_all_seven_decompositions_and_least_squares_are_compared(name: str) -> None:
    points = enumerate_grid(load_study(name)).points.values()
    assert {point.layer.name for point in points} == set(LAYERS)
    assert {point.task.describe()["learner"] for point in points} == {"adam", "least_squares"}
