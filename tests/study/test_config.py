"""Study files and overrides: what is composed, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankbench.study.config import Study, load_study
from rankbench.tasks.recovery.task import Recovery
from tests.helpers.paths import STUDIES

TINY = """
task: {name: recovery, in_features: 16, out_features: 16}
training: {epochs: 3}
search: {objectives: {rmse: minimize}}
space:
  branches:
    tt: {layer: {decomposition: tensor_train, core_order: 2, tt_ranks: [1, 2]}}
"""


def write(folder: Path, text: str = TINY) -> str:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return str(path)


def error(path: str, *overrides: str) -> str:
    with pytest.raises(ValueError) as caught:
        load_study(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_is_read_over_the_defaults(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    assert isinstance(study, Study)
    assert (study.name, study.seeds, study.workers) == ("tiny", (0,), 1)
    assert study.search.objectives == (("rmse", "minimize"),)
    points = [study.point(settings) for settings in study.space.grid()]
    assert [point.layer.ranks for point in points] == [(1, 1, 1), (1, 2, 1)]
    assert points[0].task == Recovery(in_features=16, out_features=16)


def test_replicates_are_for_tasks_that_train_them_together(tmp_path: Path) -> None:
    assert load_study(write(tmp_path), ["replicates=64"]).replicates == 64
    profile = """
task: {name: profile}
cell: {name: lstm, hidden_size: 4}
search: {objectives: {step_ms: minimize}}
space: {branches: {dense: {layer: {decomposition: dense}}}}
"""
    told = error(write(tmp_path, profile), "replicates=4")
    assert told == (
        "replicates must be 1 with task profile, got 4; "
        "tasks that train replicates together: recovery"
    )
    assert "replicates must be a positive integer, got 0" in error(write(tmp_path), "replicates=0")


def test_any_setting_can_be_overridden_in_hydras_grammar(tmp_path: Path) -> None:
    study = load_study(
        write(tmp_path),
        [
            "seeds=5",
            "task.noise=0.1",
            "training.learning_rate=0.5",
            "space.branches.tt.layer.tt_ranks=[3]",
            "space.shared.task.target=[ring,disk]",
        ],
    )
    assert study.seeds == (0, 1, 2, 3, 4)
    points = [study.point(settings) for settings in study.space.grid()]
    assert [point.task.describe()["target"] for point in points] == ["ring", "disk"]
    assert all(point.task.describe()["noise"] == 0.1 for point in points)
    assert all(point.layer.ranks == (1, 3, 1) for point in points)
    assert points[0].training is not None
    assert points[0].training.learning_rate == 0.5


@pytest.mark.parametrize(
    "override",
    [
        "+task.where={draw: a}",
        "++task.where={draw: a}",
        "task.where={draw: a}",
        "+task.where.draw=a",
        "task.where.draw=a",
        "task.where=[[draw,a]]",
    ],
)
def test_a_setting_takes_from_an_override_what_it_takes_from_the_file(override: str) -> None:
    written = load_study(str(STUDIES / "ucf11-features.yaml"), [override])
    where = written.task["where"]
    assert dict(where) == {"draw": "a"}
    bare = load_study(str(STUDIES / "ucf11-features.yaml"))
    assert bare.task["where"] == ()


def test_every_branch_can_be_deleted_at_once(tmp_path: Path) -> None:
    study = load_study(write(tmp_path), ["~space.branches", "layer.decomposition=dense"])
    assert list(study.space.branches.values()) == [{}]


def test_seeds_may_be_listed(tmp_path: Path) -> None:
    assert load_study(write(tmp_path), ["seeds=[3,1]"]).seeds == (3, 1)


def test_a_branch_can_be_deleted(tmp_path: Path) -> None:
    study = load_study(write(tmp_path), ["~space.branches.tt", "layer.decomposition=dense"])
    assert [study.point(settings).layer.name for settings in study.space.grid()] == ["dense"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.nois=0.1", "got 'nois' (did you mean 'noise'?)"),
        ("sedes=3", "(did you mean 'seeds'?)"),
        ("training=5", "training must be a mapping of epochs, batch_size"),
        ("space.branch.tt.layer.cp_rank=[1]", "(did you mean 'branches'?)"),
        ("seeds=0", "seeds must be a positive integer, got 0"),
        ("seeds=[1,1]", "seeds must be a count or distinct integers"),
        ("workers=0", "workers must be a positive integer, got 0"),
        ("device=tpu", "device must be one of: auto, cpu, cuda; got 'tpu'"),
        ("search.sampler=grd", "(did you mean 'grid'?)"),
        ("search.sampler=tpe", "search.trials (with sampler tpe) must be a positive integer"),
        ("search.objectives={rmsee: minimize}", "(did you mean 'rmse'?)"),
        ("search.objectives={rmse: least}", "one of: minimize, maximize; got 'least'"),
        ("space.branches.tt.layer.decomposition=tensor_tran", "(did you mean 'tensor_train'?)"),
        ("space.branches.tt.layer.tt_rank=[1]", "(did you mean 'tt_ranks'?)"),
        ("space.branches.tt.cell.hidden_size=[8]", "the study has no cell"),
        ("space.branches.tt.task.name=[profile]", "task.name must not vary in space"),
        (
            "space.branches.tt.model.depth=[1]",
            "one of: task, layer, cell, training, compute; got 'model'",
        ),
        ("task.noise=[", "override 'task.noise=[': no viable alternative"),
        ("seeds=[a]", "seeds must be a count or distinct integers, got ('a',)"),
        ("seeds.x=1", "overrides seeds.x=1: invalid literal for int() with base 10: 'x'"),
        ("+workers={a: 1}", "workers must be a positive integer, got {'a': 1}"),
        (
            "+seeds={a: 1}",
            "Error merging override +seeds={a: 1}: Cannot merge DictConfig with List",
        ),
        ("~task.nothing", "Could not delete from config. 'task.nothing' does not exist."),
    ],
)
def test_wrong_overrides_are_told_in_one_line(tmp_path: Path, override: str, message: str) -> None:
    assert message in error(write(tmp_path), override)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer: {decomposition: dense}", "a study needs task.name, one of: recovery"),
        ("task: {name: recover}", "(did you mean 'recovery'?)"),
        ("task: {name: recovery}\nseed: 3", "(did you mean 'seeds'?)"),
        ("task: {name: recovery, nois: 1}", "(did you mean 'noise'?)"),
        ("task: {name: recovery}\ntraining: {epoch: 1}", "(did you mean 'epochs'?)"),
        ("task: {name: recovery}\nspace: {branch: {}}", "(did you mean 'branches'?)"),
        ("task: [", "tiny.yaml"),
    ],
)
def test_wrong_files_are_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in error(write(tmp_path, text))


def test_a_missing_study_names_those_there_are() -> None:
    there_are = ", ".join(sorted(path.stem for path in STUDIES.glob("*.yaml")))
    assert f"study must be one of: {there_are}; got 'recovry-bt'" in error("recovry-bt")
    assert error("no/such.yaml") == "study file no/such.yaml does not exist"
