"""The space of a study: grids, Optuna distributions, and what a wrong one is told."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from rankbench.study.space import STRUCTURE, Range, Space, encode

BRANCHES = {
    "bt": {"layer": {"decomposition": "block_term", "tucker_rank": (1, 2), "cp_rank": (1, 2, 3)}},
    "tr": {"layer": {"decomposition": "tensor_ring", "tr_ranks": (4, (2, 3, 3))}},
}


def test_grid_joins_shared_dimensions_to_every_branch() -> None:
    space = Space.parse({"task": {"noise": (0.0, 0.1)}}, BRANCHES)
    points = list(space.grid())
    assert len(points) == 2 * (2 * 3) + 2 * 2
    assert points[0] == {
        "task.noise": 0.0,
        "layer.decomposition": "block_term",
        "layer.tucker_rank": 1,
        "layer.cp_rank": 1,
    }
    # A Tucker rank exists only where its branch has one.
    assert all("layer.tucker_rank" not in p for p in points if "layer.tr_ranks" in p)


def test_empty_space_is_one_point() -> None:
    assert list(Space.parse({}, {}).grid()) == [{}]


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True), max_size=4))
def test_grid_is_the_product_of_its_choices(lists: list[list[int]]) -> None:
    branch = {"layer": {f"setting{k}": tuple(values) for k, values in enumerate(lists)}}
    points = [tuple(p.items()) for p in Space.parse({}, {"b": branch}).grid()]
    expected = 1
    for values in lists:
        expected *= len(values)
    assert len(points) == len(set(points)) == expected


def test_structural_parameters_have_the_same_distribution_however_the_grid_grows() -> None:
    small = Space.parse({}, {"b": {"layer": {"tucker_rank": (1,), "core_order": (2,)}}}).wide()
    large = Space.parse({}, {"b": {"layer": {"tucker_rank": (1, 9), "core_order": (2, 5)}}}).wide()
    assert small == large
    assert small["layer.tucker_rank"] == STRUCTURE["layer.tucker_rank"]


def test_wide_distributions_admit_every_value_of_the_grid() -> None:
    space = Space.parse({}, BRANCHES)
    wide = space.wide()
    study = optuna.create_study()
    for settings in space.grid():
        params = {key: encode(value) for key, value in settings.items()}
        distributions = {key: wide[key] for key in params}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=0.0))
    assert wide["layer.tr_ranks"] == CategoricalDistribution([4, "[2, 3, 3]"])


def test_sampled_branches_keep_their_own_distributions() -> None:
    space = Space.parse(
        {"training": {"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}}, BRANCHES
    )
    narrow = space.narrow("bt")
    assert narrow == {
        "bt.training.learning_rate": FloatDistribution(1e-4, 0.1, log=True),
        "bt.layer.tucker_rank": CategoricalDistribution([1, 2]),
        "bt.layer.cp_rank": CategoricalDistribution([1, 2, 3]),
    }
    settings = space.settings(
        "tr", {"tr.training.learning_rate": 0.01, "tr.layer.tr_ranks": "[2, 3, 3]"}
    )
    assert settings == {
        "training.learning_rate": 0.01,
        "layer.decomposition": "tensor_ring",
        "layer.tr_ranks": (2, 3, 3),
    }


def test_ranges_of_integers_give_integers() -> None:
    assert Range(1, 8).distribution() == IntDistribution(1, 8)
    assert Range(2, 8, step=2).distribution() == IntDistribution(2, 8, step=2)
    assert Range(0.0, 0.5, step=0.25).distribution() == FloatDistribution(0.0, 0.5, step=0.25)


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        ({"layer": {"cp_rank": ()}}, "space.branches.b.layer.cp_rank has no values"),
        ({"task": {"noise": {"low": 0}}}, "must be a list, or a range with low, high"),
        ({"task": {"noise": {"low": 0, "high": 1, "stop": 2}}}, "'stop': 2"),
        ({"task": {"noise": {"low": 2, "high": 1}}}, "low must be below high, got 2 and 1"),
    ],
)
def test_wrong_dimensions_are_told(branch: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Space.parse({}, {"b": branch})


def test_a_grid_refuses_a_range() -> None:
    space = Space.parse({"task": {"noise": {"low": 0.0, "high": 1.0}}}, {})
    with pytest.raises(
        ValueError, match=r"task\.noise is a range, but search\.sampler=grid needs a list"
    ):
        list(space.grid())
