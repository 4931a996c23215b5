"""A training that was stopped goes on as if it had not been, or starts anew; never in between."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rankbench.layers import LAYERS
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.settings import LayerSettings
from rankbench.training.checkpoint import Checkpoint
from rankbench.training.execution import Execution
from rankbench.training.loop import train
from rankbench.training.resume import Checkpointer
from rankbench.training.settings import Training
from tests.helpers.layer_examples import RANKS

TRAINING = Training(epochs=6, learning_rate=0.1, schedule="cosine")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(folder=str(tmp_path / "checkpoints"), run_id="a" * 16, every_s=0.0)


def records(
    checkpoint: Checkpoint | None,
    model: nn.Module | None = None,
    training: Training = TRAINING,
    data: str = "",
) -> Iterator[dict[str, Any]]:
    """Fit x to itself: x drawn from a generator of its own, through dropout of torch's."""
    torch.manual_seed(0)
    model = model or CompressedLinear(
        LayerSettings(decomposition="cp", **RANKS["cp"]).resolve(12, 12), 0
    )
    draws, dropout = torch.Generator().manual_seed(1), nn.Dropout(0.5)

    def loss(x: Tensor) -> Tensor:
        return (model(dropout(x)) - x).square().mean()

    found = train(
        model,
        training,
        batches=lambda: [torch.randn(4, 12, generator=draws) for _ in range(2)],
        loss=loss,
        evaluate=lambda: {"norm": sum(p.square().sum().item() for p in model.parameters())},
        execution=Execution(),
        checkpointer=Checkpointer(checkpoint, data=data, draws=draws),
        monitor=("norm", "minimize"),
    )
    for record in found:
        assert record.pop("seconds") >= 0
        yield record


def files(checkpoint: Checkpoint) -> list[str]:
    return [path.suffix for path in checkpoint.files()]


# A record is yielded before its epoch is kept: asking for the next one keeps it.
@pytest.mark.parametrize("stops", [(2,), (1, 3), (2, 3, 4, 5, 6), (1, 1, 6)])
def test_a_stopped_training_ends_as_if_it_had_not_been(
    checkpoint: Checkpoint, stops: tuple[int, ...]
) -> None:
    whole = list(records(None))
    for stop in stops:
        assert list(islice(records(checkpoint), stop)) == whole[:stop]
    assert list(records(checkpoint)) == whole
    assert files(checkpoint) == [".json", ".safetensors"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_brought_back_exactly(
    checkpoint: Checkpoint, name: str, dtype: torch.dtype
) -> None:
    layer = LayerSettings(decomposition=name, **RANKS[name]).resolve(12, 16)

    def run(kept: Checkpoint | None, epochs: int) -> CompressedLinear:
        model, x = CompressedLinear(layer, 0, dtype), torch.ones(3, 12, dtype=dtype)
        found = train(
            model,
            TRAINING,
            batches=lambda: [x],
            loss=lambda x: model(x).float().square().mean(),
            evaluate=dict,
            checkpointer=Checkpointer(kept),
        )
        assert len(list(islice(found, epochs))) == epochs
        return model

    run(checkpoint, 4)
    resumed, whole = run(checkpoint, 6), run(None, 6)
    for core, expected in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(core, expected)


def test_epochs_without_a_record_are_kept_too(checkpoint: Checkpoint) -> None:
    training = Training(epochs=7, evaluate_every=3)
    whole = list(records(None, training=training))
    assert list(islice(records(checkpoint, training=training), 2)) == whole[:2]
    assert checkpoint.read()[1]["epoch"] == 5
    assert list(records(checkpoint, training=training)) == whole


def test_early_stopping_remembers_what_was_seen_before(checkpoint: Checkpoint) -> None:
    training = Training(epochs=40, learning_rate=0.1, patience=4)
    whole = list(records(None, training=training))
    assert 4 < len(whole) < 40
    for stop in range(2, len(whole)):
        assert list(islice(records(checkpoint, training=training), stop)) == whole[:stop]
    assert list(records(checkpoint, training=training)) == whole


def test_nothing_is_kept_before_its_time_or_without_a_checkpoint(checkpoint: Checkpoint) -> None:
    patient = Checkpoint(folder=checkpoint.folder, run_id=checkpoint.run_id, every_s=3600.0)
    assert list(records(patient)) == list(records(None))
    assert files(checkpoint) == []


def test_a_run_says_where_it_went_on(checkpoint: Checkpoint) -> None:
    list(islice(records(checkpoint), 4))
    model = CompressedLinear(LayerSettings(decomposition="cp", **RANKS["cp"]).resolve(12, 12), 0)
    checkpointer = Checkpointer(checkpoint, draws=torch.Generator())
    assert checkpointer.facts() == {}
    reached = checkpointer.resume(model, Execution().adam(model.parameters(), 1.0))
    assert checkpointer.facts() == {"resumed_epoch": 3}
    assert (reached.epoch, len(reached.records)) == (3, 3)


def test_what_cannot_be_written_costs_no_run(
    checkpoint: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    assert list(records(checkpoint)) == list(records(None))
    assert "cannot be written" in caplog.text


def tear_weights(checkpoint: Checkpoint) -> None:
    path = checkpoint.files()[1]
    path.write_bytes(path.read_bytes()[:-1])


def lose_weights(checkpoint: Checkpoint) -> None:
    checkpoint.files()[1].unlink()


def flip_a_bit(checkpoint: Checkpoint) -> None:
    path = checkpoint.files()[1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def tear_json(checkpoint: Checkpoint) -> None:
    checkpoint.path.write_text(checkpoint.path.read_text()[:-9])


def change_json(checkpoint: Checkpoint) -> None:
    checkpoint.path.write_text(checkpoint.path.read_text().replace('"epoch": 3', '"epoch": 4'))


def empty_json(checkpoint: Checkpoint) -> None:
    checkpoint.path.write_text("[]")


def another_format(checkpoint: Checkpoint) -> None:
    checkpoint.path.write_text(json.dumps({**json.loads(checkpoint.path.read_text()), "format": 0}))


@pytest.mark.parametrize(
    "damage",
    [tear_weights, lose_weights, flip_a_bit, tear_json, change_json, empty_json, another_format],
)
def test_a_damaged_checkpoint_is_told_and_the_run_starts_anew(
    checkpoint: Checkpoint, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    list(islice(records(checkpoint), 4))
    damage(checkpoint)
    with caplog.at_level(logging.WARNING):
        assert list(records(checkpoint)) == list(records(None))
    (told,) = caplog.messages
    assert told.startswith(f"checkpoint {checkpoint.path} is not used: ")
    assert files(checkpoint) == [".json", ".safetensors"]


def test_a_checkpoint_of_another_model_or_other_data_is_not_used(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    list(islice(records(checkpoint), 4))
    dense = [nn.Linear(12, 12), nn.Linear(12, 12)]
    dense[1].load_state_dict(dense[0].state_dict())
    before = checkpoint.path.read_text()
    assert next(records(checkpoint, dense[0])) == next(records(None, dense[1]))
    assert next(records(checkpoint, data="other")) == next(records(None))
    assert checkpoint.path.read_text() == before
    assert "adam.0.exp_avg is torch.float32" in caplog.messages[0]
    assert "it was trained on other data" in caplog.messages[1]


def test_files_of_other_runs_stay(checkpoint: Checkpoint) -> None:
    other = Checkpoint(folder=checkpoint.folder, run_id="b" * 16, every_s=0.0)
    list(records(checkpoint))
    list(records(other))
    checkpoint.drop()
    assert (files(checkpoint), files(other)) == ([], [".json", ".safetensors"])
