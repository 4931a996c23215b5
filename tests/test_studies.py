"""Every study shipped: it plans without data, and holds the published settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import load_study
from harness.layers import LAYERS
from harness.queue import enumerate_grid

STUDIES = sorted(path.stem for path in (Path(__file__).parent.parent / "studies").glob("*.yaml"))


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_plans_without_data(name: str) -> None:
    grid = enumerate_grid(load_study(name))
    assert grid.points
    assert not grid.skipped
    assert grid.duplicates == 0


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
