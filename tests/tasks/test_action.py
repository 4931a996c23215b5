"""The video task: it learns, streams what it measures, splits as told, and refuses clearly."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from rankbench.cells.settings import CELLS, Cell
from rankbench.data.clips import Clips
from rankbench.data.sets.catalog import SetSpec, SetWriter
from rankbench.data.sets.reader import load_stored
from rankbench.data.split import Sides
from rankbench.data.video.frame_files import FrameClips
from rankbench.layers import LAYERS
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.planning.choice import cost
from rankbench.layers.settings import LayerSettings
from rankbench.tasks import TASKS, Context
from rankbench.tasks.base import Point
from rankbench.tasks.clips.action import NORMALISE, Action
from rankbench.tasks.clips.base import UNITS
from rankbench.tasks.clips.classifier import ClassifierTrainer, ClipClassifier
from rankbench.training.settings import Diverged, Training
from tests.helpers.clips import HEIGHT, WIDTH, clip_rows, write_clips, write_rows
from tests.helpers.stored import write_frames

FEATURES = HEIGHT * WIDTH * 3
MODES = {"in_modes": (8, 9, 8), "out_modes": (2, 2, 2)}
LAYER_SETTINGS: dict[str, dict[str, Any]] = {
    "dense": {},
    "low_rank": {"rank": 3},
    "cp": {"cp_rank": 3, **MODES},
    "tucker": {"tucker_rank": 2, **MODES},
    "block_term": {"tucker_rank": 2, "cp_rank": 2, **MODES},
    "tensor_train": {"tt_ranks": 3, **MODES},
    "tensor_ring": {"tr_ranks": 3, "in_modes": (8, 9, 8), "out_modes": (4, 2)},
}
Rows = list[tuple[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def quiet_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_clips(tmp_path / "frames.parquet")


def action(frames: Path | str = "", **settings: Any) -> Action:
    small = {"height": HEIGHT, "width": WIDTH, "classes": 3, "folds": 4}
    return Action(frames=str(frames), **{**small, **settings})


def point(
    task: Action,
    decomposition: str = "block_term",
    cell: str = "lstm",
    dtype: str = "float32",
    **training: Any,
) -> Point:
    kind = Cell(name=cell, hidden_size=8)
    settings = LayerSettings(decomposition=decomposition, **LAYER_SETTINGS[decomposition])
    return Point(
        task=task,
        layer=settings.resolve(task.sizes()[0], 8, gates=kind.gates),
        cell=kind,
        training=Training(**{"epochs": 3, "batch_size": 5, "learning_rate": 1e-2, **training}),
        dtype=dtype,
    )


def run(point: Point, seed: int = 0) -> Rows:
    return list(point.task.run(point, Context(seed=seed)))


def merged(rows: Rows) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for table, row in rows:
        if table == "runs":
            facts.update(row)
    return facts


def curve(rows: Rows) -> list[dict[str, Any]]:
    """The epochs, without the clock."""
    kept = [dict(row) for table, row in rows if table == "epochs"]
    for row in kept:
        assert row.pop("seconds") >= 0
    return kept


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


# Learning. Twelve clips are tested on: ten right by chance has a probability below 0.001.


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    return write_clips(tmp_path / "larger.parquet", groups=8)


@pytest.mark.parametrize("decomposition", LAYERS)
def test_every_layer_learns_to_tell_clips_apart(larger: Path, decomposition: str) -> None:
    # A step of Adam moves every weight: what a dense map takes in adds up over all pixels.
    rate = 1e-3 if decomposition == "dense" else 1e-2
    rows = run(point(action(larger), decomposition, epochs=30, learning_rate=rate))
    assert merged(rows)["top_accuracy"] >= 10 / 12
    losses = [row["train_loss"] for row in curve(rows)]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(
    ("cell", "dtype"), [("rnn", "float32"), ("gru", "float64"), ("lstm", "bfloat16")]
)
def test_every_cell_and_type_learns(larger: Path, cell: str, dtype: str) -> None:
    assert cell in CELLS
    rows = run(point(action(larger), cell=cell, dtype=dtype, epochs=30))
    assert merged(rows)["top_accuracy"] >= 10 / 12


def test_labels_that_pictures_do_not_show_are_not_learned(tmp_path: Path) -> None:
    rows = clip_rows(groups=8)
    labels = [label for label in range(3) for _ in range(16)]
    random.Random(0).shuffle(labels)
    rows = [{**row, "label": labels[k // 3]} for k, row in enumerate(rows)]
    path = write_rows(tmp_path / "f.parquet", rows)
    assert merged(run(point(action(path, split="clip"), epochs=30)))["accuracy"] < 10 / 12


def test_a_seed_repeats_and_another_differs(file: Path) -> None:
    chosen = point(action(file), input_dropout=0.2, recurrent_dropout=0.2)
    first, again, other = (curve(run(chosen, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_the_order_of_rows_in_the_file_does_not_matter(tmp_path: Path, file: Path) -> None:
    rows = clip_rows()
    random.Random(0).shuffle(rows)
    shuffled = write_rows(tmp_path / "shuffled.parquet", rows)
    assert curve(run(point(action(shuffled)))) == curve(run(point(action(file))))


# What is yielded.


def test_facts_come_before_training_and_metrics_after_every_epoch(file: Path) -> None:
    rows = run(point(action(file)))
    assert [table for table, _ in rows] == ["runs", *["epochs", "runs"] * 3]
    facts, epochs = rows[0][1], [row for table, row in rows if table == "epochs"]
    layer = point(action(file)).layer
    contracted = CompressedLinear(layer, 0).facts(15)
    hidden = 4 * 8 * 8 + 2 * 4 * 8
    assert facts == {
        "split": "group",
        "dataset": "frames",
        "fold": 0,
        "folds": 4,
        "sampling": "even",
        "time_steps": 3,
        "ordered": True,
        "train_size": 18,
        "validation_size": 0,
        "test_size": 6,
        "data_hash": facts["data_hash"],
        **contracted,
        "model_params": layer.num_params + hidden + 8 * 3 + 3,
    }
    assert re.fullmatch("[0-9a-f]{16}", facts["data_hash"])
    for count, (epoch, (_, kept)) in enumerate(zip(epochs, rows[2::2], strict=True), 1):
        assert list(epoch) == ["epoch", "train_loss", "seconds", "train_accuracy", "accuracy"]
        assert epoch["epoch"] == kept["epochs"] == count
        assert kept["accuracy"] == epoch["accuracy"]
        assert kept["train_loss"] == epoch["train_loss"]
        assert kept["top_accuracy"] == max(e["accuracy"] for e in epochs[:count])
        assert kept["accuracy_low"] < kept["accuracy"] + 1e-12 < kept["accuracy_high"] + 2e-12


def test_top_accuracy_is_the_highest_not_the_last(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.25, 0.75, 0.5])
    made = {"train_accuracy": 1.0}
    monkeypatch.setattr(
        ClassifierTrainer, "evaluate", lambda _: {**made, "accuracy": next(accuracies)}
    )
    facts = merged(run(point(action(file))))
    assert facts["top_accuracy"] == 0.75
    assert facts["accuracy"] == 0.5


def test_a_record_every_so_many_epochs(file: Path) -> None:
    rows = run(point(action(file), epochs=5, evaluate_every=2))
    assert [row["epoch"] for row in curve(rows)] == [2, 4, 5]
    assert merged(rows)["epochs"] == 5
    assert all(0 <= row["train_accuracy"] <= 1 for row in curve(rows))


def test_a_diverged_run_keeps_what_was_measured(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def breaking(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        loss = torch.logsumexp(logits, 1).mean() - logits.gather(1, labels[:, None]).mean()
        return loss * float("nan") if len(steps) > 4 else loss

    monkeypatch.setattr(F, "cross_entropy", breaking)
    rows: Rows = []
    chosen = point(action(file))
    with pytest.raises(Diverged, match=r"^training loss is nan in epoch 2$"):
        rows.extend(chosen.task.run(chosen, Context(seed=0)))
    # `extend` keeps what came before the error.
    assert [row["epoch"] for row in curve(rows)] == [1]
    assert merged(rows)["epochs"] == 1
    assert merged(rows)["train_size"] == 18


# The model.


def build(task: Action, **training: Any) -> tuple[ClipClassifier, torch.Tensor, Point]:
    chosen = point(task, "dense", dtype="float64", **training)
    model = ClipClassifier(chosen, Context(seed=0), 3, NORMALISE[task.normalise])
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (4, 3, FEATURES), generator=generator, dtype=torch.uint8)
    return model, frames, chosen


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [("minus_128", -128, 127), ("over_128", 0, 255 / 128), ("centred", -1, 127 / 128),
     ("unit", 0, 1)],
)  # fmt: skip
def test_the_model_is_a_cell_on_normalised_pixels_with_a_head_on_its_last_state(
    name: str, black: float, white: float
) -> None:
    model, frames, _ = build(action(normalise=name))
    pixels = black + frames.double() / 255 * (white - black)
    lstm = torch.nn.LSTM(FEATURES, 8, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(model.cell.input_map.to_dense())
        lstm.weight_hh_l0.copy_(model.cell.weight_hh)
        lstm.bias_ih_l0.copy_(model.cell.bias_ih)
        lstm.bias_hh_l0.copy_(model.cell.bias_hh)
        expected = model.head(lstm(pixels)[0][:, -1])
        torch.testing.assert_close(model(frames), expected, rtol=1e-9, atol=1e-9)


def test_normalise_lists_what_is_tested() -> None:
    assert list(NORMALISE) == ["minus_128", "over_128", "centred", "unit"]


@pytest.mark.parametrize("name", ["input_dropout", "recurrent_dropout"])
def test_dropout_acts_in_training_only(name: str) -> None:
    model, frames, _ = build(action(), **{name: 0.5})
    assert not torch.equal(model.train()(frames), model(frames))
    assert torch.equal(model.eval()(frames), model(frames))


def test_the_seed_draws_every_weight() -> None:
    chosen = point(action())

    def weights(seed: int) -> dict[str, torch.Tensor]:
        model = ClipClassifier(chosen, Context(seed=seed), 3, NORMALISE["centred"])
        return model.state_dict()

    for name, weight in weights(0).items():
        assert torch.equal(weights(0)[name], weight), name
        assert not torch.equal(weights(1)[name], weight), name


def test_head_l2_adds_the_squared_norm_of_the_heads_matrix() -> None:
    model, frames, chosen = build(action(), head_l2=0.3)
    labels = torch.tensor([0, 1, 2, 0])
    trainer = lesson_of(model, frames, labels, chosen)
    expected = F.cross_entropy(model(frames), labels) + 0.3 * model.head.weight.pow(2).sum()
    torch.testing.assert_close(trainer.loss((frames, labels)), expected)


def lesson_of(
    model: ClipClassifier,
    frames: torch.Tensor,
    labels: torch.Tensor,
    chosen: Point,
    shown: int | None = None,
) -> ClassifierTrainer:
    sides = Sides(train=np.array([0, 2, 3]), test=np.array([1]), validation=np.array([], int))
    assert chosen.training is not None
    clips = FrameClips(frames=frames.numpy(), index=pd.DataFrame(), data_hash="")
    drawn = {"shown": shown or frames.shape[1], "random": shown is not None}
    return ClassifierTrainer(model, clips, labels, sides, chosen.training, Context(seed=0), **drawn)


def test_accuracies_are_fractions_of_each_side() -> None:
    model, frames, chosen = build(action(), batch_size=2)
    labels = model(frames).argmax(1)
    labels[3] = (labels[3] + 1) % 3
    trainer = lesson_of(model, frames, labels, chosen)
    for _ in range(2):  # counts start afresh with every epoch
        for batch in trainer.batches():
            trainer.loss(batch)
        assert trainer.evaluate() == {"train_accuracy": 2 / 3, "accuracy": 1.0}


def test_an_epoch_shows_every_training_clip_once_in_a_new_order() -> None:
    model, frames, chosen = build(action(), batch_size=2)
    trainer = lesson_of(model, frames, torch.arange(4) % 3, chosen)
    epochs = [[batch[0] for batch in trainer.batches()] for _ in range(6)]
    assert [[len(batch) for batch in epoch] for epoch in epochs] == [[2, 1]] * 6
    firsts = [torch.cat(epoch)[:, 0, :8].tolist() for epoch in epochs]
    assert all(sorted(first) == sorted(frames[[0, 2, 3], 0, :8].tolist()) for first in firsts)
    assert any(first != firsts[0] for first in firsts)


# Splits.


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("split", [*UNITS, "leave_one_group_out"])
def test_nothing_is_on_two_sides(tmp_path: Path, split: str, validation: bool) -> None:
    rows = clip_rows(groups=8)
    for row in rows:  # supergroups of two
        row["supergroup"] = f"{row['group'][:4]}{int(row['group'][-2:]) // 2}"
    file = write_rows(tmp_path / "frames.parquet", rows)
    tested: list[int] = []
    folds = 8 if split == "leave_one_group_out" else 4
    for fold in range(folds):
        task = action(file, split=split, fold=fold, validation=validation)
        clips = task.clips()
        sides = task.sides(clips)
        column = clips.column(UNITS.get(split, "group"))
        parts = [sides.train, sides.test, sides.validation][: 2 + validation]
        for side, other in itertools.combinations(parts, 2):
            assert not set(column[side]) & set(column[other])
        for side in parts:
            assert {*clips.column("label")[side]} == {0, 1, 2}
        assert sum(map(len, parts)) == len(clips)
        tested.extend(sides.test.tolist())
    assert sorted(tested) == list(range(48))


def test_a_group_out_is_the_one_of_its_number_in_every_class(file: Path) -> None:
    task = action(file, split="leave_one_group_out", fold=2)
    clips = task.clips()
    assert {*clips.column("group")[task.sides(clips).test]} == {"c0_g02", "c1_g02", "c2_g02"}
    assert merged(run(point(task)))["folds"] is None


def test_the_official_splits_leave_out_what_they_do_not_list(tmp_path: Path) -> None:
    rows = clip_rows()
    for row in rows:
        row["hmdb_split2"] = int(row["group"][-1]) % 3
    file = write_rows(tmp_path / "frames.parquet", rows)
    task = action(file, split="official", fold=1)
    clips = task.clips()
    sides = task.sides(clips)
    assert {group[-1] for group in clips.column("group")[sides.train]} == {"1"}
    assert {group[-1] for group in clips.column("group")[sides.test]} == {"2"}
    columns = "clip_id, label, group, slot, side, hmdb_split2"
    with refused(f"the frames file has no column 'hmdb_split1'; its columns: {columns}"):
        action(file, split="official").sides(clips)


def alone(rows: list[dict[str, Any]], **columns: Any) -> list[dict[str, Any]]:
    """`rows` with each clip a group and a supergroup of its own, as where no group is known."""
    return [
        {**row, "group": row["clip_id"], "supergroup": row["clip_id"], **columns} for row in rows
    ]


def needs_groups(asked: str, instead: str, unit: str = "group") -> str:
    return (
        f"{asked} needs data with groups, but in frames each clip is a {unit} of its own: set"
        f" {instead}, or use data in which several clips share a {unit}"
    )


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("split", ["group", "supergroup", "leave_one_group_out"])
def test_a_split_by_groups_needs_groups_that_are_known(
    tmp_path: Path, split: str, validation: bool
) -> None:
    file = write_rows(tmp_path / "frames.parquet", alone(clip_rows()))
    unit = UNITS.get(split, "group")
    with refused(needs_groups(f"task.split={split}", "task.split=clip", unit)):
        run(point(action(file, split=split, validation=validation)))


@pytest.mark.parametrize("split", ["group", "supergroup"])
def test_a_split_by_groups_of_one_clip_each_is_one_by_clip(tmp_path: Path, split: str) -> None:
    rows = alone(clip_rows(clips=1))
    for row in rows:
        row["group"] = row["supergroup"] = f"of_{row['clip_id']}"
    file = write_rows(tmp_path / "frames.parquet", rows)
    unit = UNITS.get(split, "group")
    with refused(needs_groups(f"task.split={split}", "task.split=clip", unit)):
        run(point(action(file, split=split)))
    numbered = write_clips(tmp_path / "numbered.parquet", clips=1)  # UCF11's: c0_g00, c1_g00, ..
    task = action(numbered, split="leave_one_group_out")
    assert len(task.sides(task.clips()).test) == 3


def test_one_group_of_two_clips_makes_a_split_by_groups(tmp_path: Path) -> None:
    rows = alone(clip_rows())
    for row in rows[:6]:
        row["group"] = "pair"
    task = action(write_rows(tmp_path / "frames.parquet", rows))
    clips = task.clips()
    sides = task.sides(clips)
    groups = clips.column("group")
    assert not set(groups[sides.train]) & set(groups[sides.test])


def test_a_split_by_clip_asks_for_no_groups(tmp_path: Path) -> None:
    known = write_clips(tmp_path / "known.parquet")
    file = write_rows(tmp_path / "frames.parquet", alone(clip_rows()))
    for validation in (False, True):
        chosen = [action(f, split="clip", validation=validation) for f in (known, file)]
        one, other = (task.sides(task.clips()) for task in chosen)
        for side in ("train", "test", "validation"):
            assert np.array_equal(getattr(one, side), getattr(other, side))


@pytest.mark.parametrize(
    "split", [{"split": "official"}, {"split": "column", "split_column": "side"}]
)
def test_validation_by_group_needs_groups_that_are_known(
    tmp_path: Path, split: dict[str, str]
) -> None:
    rows = clip_rows()
    for row in rows:
        row["hmdb_split1"] = 2 if row["side"] == "test" else 1
    file = write_rows(tmp_path / "frames.parquet", alone(rows))
    assert len(action(file, **split).sides(action(file).clips()).test) == 6
    asked = f"task.validation=true with task.split={split['split']}"
    with refused(needs_groups(asked, "task.validation=false")):
        run(point(action(file, validation=True, **split)))
    known = write_rows(tmp_path / "known.parquet", rows)
    task = action(known, validation=True, **split)
    assert len(task.sides(task.clips()).validation) == 6


def test_validation_chooses_an_epoch_without_the_test_side(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = merged(run(point(action(file, validation=True))))
    assert (facts["train_size"], facts["validation_size"], facts["test_size"]) == (12, 6, 6)
    seen = iter([(0.2, 0.5), (0.6, 0.25), (0.6, 0.75)])

    def evaluate(_: ClassifierTrainer) -> dict[str, float]:
        validated, tested = next(seen)
        made = {"train_accuracy": 1.0, "validation_accuracy": validated}
        return {**made, "accuracy": tested}

    monkeypatch.setattr(ClassifierTrainer, "evaluate", evaluate)
    facts = merged(run(point(action(file, validation=True))))
    assert facts["validation_accuracy"] == 0.6
    assert facts["selected_accuracy"] == 0.25
    assert facts["epochs_to_70"] == 3
    assert "epochs_to_80" not in facts


# Sampling of frames.


def test_random_frames_are_drawn_afresh_and_ascend() -> None:
    model, _, chosen = build(action(), batch_size=2)
    frames = torch.arange(5, dtype=torch.uint8)[None, :, None].repeat(4, 1, FEATURES)
    trainer = lesson_of(model, frames, torch.arange(4) % 3, chosen, shown=3)
    epochs = [torch.cat([batch[0] for batch in trainer.batches()])[:, :, 0] for _ in range(20)]
    assert all(epoch.shape == (3, 3) for epoch in epochs)
    assert all((epoch.diff(dim=1).int() > 0).all() for epoch in epochs)
    assert {tuple(row) for epoch in epochs for row in epoch.tolist()} == set(
        itertools.combinations(range(5), 3)
    )
    ((tested, _),) = trainer._load(trainer.sides["test"], 8)
    assert tested[:, :, 0].tolist() == [[0, 2, 4]]


def test_random_sampling_is_told_and_repeats(tmp_path: Path) -> None:
    file = write_clips(tmp_path / "five.parquet", frames=5)
    chosen = point(action(file, sampling="random", time_steps=3))
    facts = merged(run(chosen))
    assert (facts["sampling"], facts["time_steps"], facts["rows"]) == ("random", 3, 15)
    assert curve(run(chosen))[-1]["train_loss"] == facts["train_loss"]
    assert facts["train_loss"] != merged(run(point(action(file, time_steps=3))))["train_loss"]
    with refused("task.time_steps must be at most 5, the number of frames of clip c0_g00_0; got 6"):
        run(point(action(file, sampling="random", time_steps=6)))


def test_frames_of_unknown_order_are_told(tmp_path: Path) -> None:
    for known, frame in ((False, -1), (True, 7)):
        rows = [{**row, "true_frame": frame} for row in clip_rows()]
        file = write_rows(tmp_path / f"{known}.parquet", rows)
        assert merged(run(point(action(file))))["ordered"] is known


def test_a_clip_split_separates_clips_of_one_group(file: Path) -> None:
    task = action(file, split="clip")
    clips = task.clips()
    sides, groups = task.sides(clips), clips.column("group")
    assert set(groups[sides.train]) & set(groups[sides.test])


def test_a_column_says_which_side(file: Path) -> None:
    task = action(file, split="column", split_column="side")
    sides = task.sides(task.clips())
    assert (len(sides.train), len(sides.test)) == (18, 6)
    assert {group[-2:] for group in task.clips().column("group")[sides.test]} == {"00"}
    assert task.describe() == {"split": "column:side"}
    assert merged(run(point(task)))["test_size"] == 6


def test_a_split_column_that_is_not_in_the_file(file: Path) -> None:
    task = action(file, split="column", split_column="sides")
    message = (
        "the frames file has no column 'sides'; its columns: clip_id, label, group, slot, side"
    )
    with refused(message):
        run(point(task))


# Settings, and planning without data.


def test_it_is_in_the_table() -> None:
    assert TASKS["action"] is Action


def test_planning_needs_no_data() -> None:
    task = Action(frames="nowhere.parquet")
    cell = Cell(name="lstm", hidden_size=256)
    settings = LayerSettings(
        decomposition="tensor_train",
        in_modes=(8, 20, 20, 18),
        out_modes=(4, 4, 4, 4),
        tt_ranks=4,
    )
    layer = settings.resolve(57600, 256, gates=4)
    chosen = Point(task=task, layer=layer, cell=cell, training=Training(epochs=400))
    work = task.run_cost(chosen)
    assert task.sizes() == (57600, None)
    assert work.steps == 400 * 80
    assert work.flops == (3 + 1 / 4) * cost(layer, 16 * 6).flops  # a fourth is tested, not learned
    assert work.calls > Action(time_steps=5).run_cost(chosen).calls  # planned with 6 steps
    assert task.describe() == {"split": "group"}
    assert task.missing() == "frames file nowhere.parquet does not exist"


def test_missing_frames_are_one_line(tmp_path: Path, file: Path) -> None:
    unset = (
        "task.frames is not set: give the name of a set (`rankbench data list` shows them) or the"
        " path of a Parquet file of JPEG frames, such as task.frames=PATH"
    )
    assert Action().missing() == unset
    assert action(tmp_path).missing() == f"frames file {tmp_path} does not exist"
    assert action(file).missing() is None
    with refused(unset):
        run(point(action()))


def test_a_point_is_the_same_wherever_its_file_lies(file: Path) -> None:
    here, there = (point(action(f"{folder}/frames.parquet")) for folder in ("a", "b"))
    assert here.point_id == there.point_id
    assert here.config()["task"]["frames"] == "frames.parquet"
    assert point(action("a/other.parquet")).point_id != here.point_id


def test_where_is_read_from_a_mapping_and_hashes(file: Path) -> None:
    mapping = action(file, where={"side": "train", "label": 1})
    pairs = action(file, where=[["label", 1], ("side", "train")])
    assert mapping == pairs
    assert hash(mapping) == hash(pairs)
    assert len(mapping.clips()) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 0}, "task.height must be a positive integer, got 0"),
        ({"width": 1.5}, "task.width must be a positive integer, got 1.5"),
        ({"channels": 2}, "task.channels must be one of: 1, 3; got 2"),
        ({"classes": 0}, "task.classes must be a positive integer, got 0"),
        ({"time_steps": 0}, "task.time_steps must be a positive integer, got 0"),
        ({"folds": 1}, "task.folds must be an integer of at least 2, got 1"),
        ({"fold": 5, "folds": 5}, "task.fold must be less than task.folds, got 5 of 5"),
        ({"fold": -1}, "task.fold must be an integer of at least 0, got -1"),
        ({"split_seed": 0.5}, "task.split_seed must be an integer of at least 0, got 0.5"),
        (
            {"normalise": "centered"},
            "task.normalise must be one of: minus_128, over_128, centred, unit;"
            " got 'centered' (did you mean 'centred'?)",
        ),
        (
            {"split": "groups"},
            "task.split must be one of: group, clip, supergroup, leave_one_group_out,"
            " official, column; got 'groups' (did you mean 'group'?)",
        ),
        (
            {"split": "column"},
            "task.split=column needs task.split_column, a column of the data",
        ),
        ({"where": "draw=a"}, "task.where must map columns to single values, got 'draw=a'"),
        (
            {"where": {"draw": ["a", "b"]}},
            "task.where must map columns to single values, got {'draw': ['a', 'b']}",
        ),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with refused(message):
        action(**settings)


def test_a_path_must_be_text() -> None:
    with refused("task.frames must be the name of a set or the path of a file, got 5"):
        Action(frames=5)


def test_a_point_needs_a_cell_training_and_a_layer_that_fits() -> None:
    whole = point(action())
    with refused("task action needs a cell, such as cell.name=lstm cell.hidden_size=256; got none"):
        Point(task=whole.task, layer=whole.layer, training=whole.training)
    with refused("task action needs training settings, got none"):
        Point(task=whole.task, layer=whole.layer, cell=whole.cell)
    with refused(
        "task action with this cell needs a layer from 576 to 24 features (gates included),"
        " got one from 576 to 32"
    ):
        cell = Cell(name="gru", hidden_size=8)
        Point(task=whole.task, layer=whole.layer, cell=cell, training=whole.training)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_is_named(tmp_path: Path, label: int) -> None:
    rows = [{**row, "label": label if row["label"] == 2 else row["label"]} for row in clip_rows()]
    path = write_rows(tmp_path / "f.parquet", rows)
    with refused(f"label {label} of clip c2_g00_0 is not in 0..2; task.classes is 3"):
        run(point(action(path)))


# Stored sets.


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clips:
    """The set "tiny": clips of the file, each with another number of frames."""
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    settings = {"height": HEIGHT, "width": WIDTH, "channels": 3}
    spec = SetSpec(name="tiny", kind="frames", features=FEATURES, settings=settings)
    rows, rng = clip_rows(frames=1), np.random.default_rng(0)
    with SetWriter(spec) as writer:
        for number, row in enumerate(rows):
            known = {name: row[name] for name in ("clip_id", "label", "group", "side")}
            more = {"cls": str(row["label"]), "ordered": True, "clip_len": 9}
            source = {"source": row["clip_id"], "source_hash": "0" * 16}
            frames = rng.integers(0, 256, (3 + number % 4, FEATURES), dtype=np.uint8)
            frames[:, :2] = [[number, step] for step in range(len(frames))]
            writer.append({**known, **more, **source}, frames)
        writer.finish()
    return action("tiny", time_steps=3).clips()


def test_a_stored_set_is_read_by_its_name(stored: Clips) -> None:
    assert len(stored) == 24
    assert stored.count.tolist() == [3, 4, 5, 6] * 6
    for clip, (first, count) in enumerate(zip(stored.first, stored.count, strict=True)):
        frames = stored.rows[first : first + count]
        assert frames[:, :2].tolist() == [[clip, step] for step in range(count)]


def test_a_set_is_found_whatever_its_name_and_the_files_here(
    stored: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frames("tiny-1.5")
    monkeypatch.chdir(tmp_path)
    write_clips(tmp_path / "tiny")
    dotted = action("tiny-1.5", height=6, width=8)
    assert (dotted.missing(), dotted.dataset(), len(dotted.clips())) == (None, "tiny-1.5", 6)
    assert action("tiny").clips().data_hash == stored.data_hash
    assert action("./tiny").clips().data_hash != stored.data_hash
    assert action("~nobody-is-named-so/x").missing() == (
        "frames file ~nobody-is-named-so/x does not exist"
    )


@pytest.mark.parametrize("sampling", ["even", "random"])
def test_a_stored_set_is_trained_on(stored: Clips, sampling: str) -> None:
    facts = merged(run(point(action("tiny", time_steps=3, sampling=sampling))))
    assert (facts["dataset"], facts["time_steps"], facts["rows"]) == ("tiny", 3, 15)
    assert facts["data_hash"] == stored.data_hash
    assert facts["train_size"] + facts["test_size"] == 24


def test_the_frames_shown_are_those_of_the_clip(stored: Clips) -> None:
    model, _, chosen = build(action(), batch_size=4)
    sides = Sides(train=np.arange(24), test=np.arange(4), validation=np.array([], int))
    assert chosen.training is not None
    labels = torch.arange(24) % 3
    trainer = ClassifierTrainer(
        model, stored, labels, sides, chosen.training, Context(seed=0), shown=3, random=True
    )
    ((frames, _),) = trainer._load(trainer.sides["test"], 8)
    assert frames[:, :, 0].tolist() == [[clip] * 3 for clip in range(4)]
    assert frames[:, :, 1].tolist() == [[0, 1, 2], [0, 1, 3], [0, 2, 4], [0, 2, 5]]
    for shown, classes in trainer.batches():
        assert torch.equal(shown[:, 0, 0] % 3, classes)
        assert (shown[:, :, 0] == shown[:, :1, 0]).all()
        assert (shown[:, :, 1].int().diff(dim=1) > 0).all()


def test_where_chooses_clips_of_a_set(stored: Clips) -> None:
    clips = action("tiny", where={"side": "test"}).clips()
    assert {group[-2:] for group in clips.column("group")} == {"00"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "task.time_steps must be at most 3, the number of frames of clip c0_g00_0; got None"),
        (
            {"time_steps": 4},
            "task.time_steps must be at most 3, the number of frames of clip c0_g00_0; got 4",
        ),
        (
            {"time_steps": 3, "where": {"side": "x"}},
            "the set tiny has no row with task.where side=x",
        ),
        (
            {"time_steps": 3, "split": "supergroup"},
            "the set tiny has no column 'supergroup'; its columns: clip_id, cls, label, group,"
            " first, frames, ordered, clip_len, source, source_hash, frames_hash, side",
        ),
    ],
)
def test_what_a_set_cannot_give_is_told(
    stored: Clips, settings: dict[str, Any], message: str
) -> None:
    with refused(message):
        run(point(action("tiny", **settings)))


def test_a_set_of_another_size_or_kind_is_told(stored: Clips) -> None:
    with refused("task.height must be 12, as in the set tiny, got 5"):
        action("tiny", height=5).clips()
    with refused("the set tiny must contain features, it contains frames"):
        load_stored("tiny", "features", {}, ())


def test_a_set_that_is_not_there_is_told(stored: Clips) -> None:
    assert action("tiny").missing() is None
    told = action("ucf11").missing()
    assert told is not None
    assert told.startswith("no set 'ucf11' is cached (cached: tiny); `rankbench data ucf11 PATH`")
