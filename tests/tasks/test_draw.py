"""Task draw: DRAW equals a plain version built here, its filters the equations of the paper."""

from __future__ import annotations

import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from rankbench.cells.settings import CELLS, Cell
from rankbench.data.images.digits import SHIPPED, load_digits
from rankbench.data.images.mnist import PIXELS, SIDE
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Context, Point, Row
from rankbench.tasks.draw.attention import ReadGrid, WriteGrid, filters
from rankbench.tasks.draw.model import Drawer
from rankbench.tasks.draw.task import HELD_OUT, Draw
from rankbench.tasks.draw.training import binarised
from rankbench.training.checkpoint import Checkpoint
from rankbench.training.settings import Training

SMALL = {"glimpses": 3, "latent_size": 3, "decoder_size": 5}
GRID = {**SMALL, "attention": True, "read_size": 3, "write_size": 4}
DENSE = LayerSettings(decomposition="dense")


def make_point(
    task: Draw, layer: LayerSettings = DENSE, cell: str = "lstm", **others: Any
) -> Point:
    whole = Cell(name=cell, hidden_size=6)
    training = Training(**{"epochs": 2, "batch_size": 300, "learning_rate": 5e-3, **others})
    made = layer.resolve(task.sizes()[0], 6, gates=whole.gates)
    return Point(task=task, layer=made, cell=whole, training=training)


def make_model(task: Draw, **others: Any) -> Drawer:
    """A model in float64 whose every weight is random, the learned starts too."""
    point = dataclasses.replace(make_point(task, **others), dtype="float64")
    model = task.drawer(point, Context(seed=3))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator).double()
    return model


def inputs(task: Draw, batch: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = (torch.rand(batch, PIXELS, generator=generator) < 0.3).double()
    noise = torch.randn(task.glimpses, batch, task.latent_size, generator=generator)
    return x, noise.double()


def direct_bank(centre: float, variance: float, stride: float, n: int) -> Tensor:
    """A filter bank entry by entry, as printed (Eq. 19, 20, 25, 26)."""
    bank = torch.zeros(n, SIDE, dtype=torch.float64)
    for i in range(1, n + 1):
        mean = centre + (i - n / 2 - 0.5) * stride
        for a in range(1, SIDE + 1):
            bank[i - 1, a - 1] = math.exp(-((a - mean) ** 2) / (2 * variance))
        bank[i - 1] /= bank[i - 1].sum()
    return bank


def direct(row: Tensor, n: int) -> tuple[Tensor, Tensor, float]:
    """F_Y, F_X and the intensity of the five numbers that a linear map gives (Eq. 21 to 24)."""
    x, y, log_variance, log_stride, log_intensity = row.tolist()
    stride = (SIDE - 1) / (n - 1) * math.exp(log_stride)
    centres = [(SIDE + 1) / 2 * (g + 1) for g in (y, x)]
    rows, columns = (direct_bank(g, math.exp(log_variance), stride, n) for g in centres)
    return rows, columns, math.exp(log_intensity)


# Within these no entry of a direct evaluation underflows as a whole row.
RANGES = ((-1.0, 1.0), (-1.0, 1.0), (0.0, 2.0), (-2.0, 0.0), (-1.0, 1.0))
numbers = st.tuples(*(st.floats(low, high) for low, high in RANGES))


@settings(max_examples=25, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=3), st.integers(2, 6))
def test_filter_banks_are_those_of_the_paper(rows: list[tuple[float, ...]], n: int) -> None:
    given_rows = torch.tensor(rows, dtype=torch.float64)
    found = filters(given_rows, n, SIDE)
    for place, row in enumerate(given_rows):
        vertical, horizontal, intensity = direct(row, n)
        torch.testing.assert_close(found.vertical[place], vertical)
        torch.testing.assert_close(found.horizontal[place], horizontal)
        assert found.intensity[place].item() == pytest.approx(intensity)


def plain_read(reader: ReadGrid, x: Tensor, error: Tensor, h: Tensor) -> Tensor:
    glimpses = []
    for one, lack, row in zip(x, error, reader.place(h), strict=True):
        vertical, horizontal, intensity = direct(row, reader.n)
        seen = [vertical @ p.reshape(SIDE, SIDE) @ horizontal.T for p in (one, lack)]
        glimpses.append(intensity * torch.cat([part.flatten() for part in seen]))
    return torch.stack(glimpses)


def plain_write(writer: WriteGrid, h: Tensor) -> Tensor:
    written = []
    for row, patch in zip(writer.place(h), writer.patch(h), strict=True):
        vertical, horizontal, intensity = direct(row, writer.n)
        picture = vertical.T @ patch.reshape(writer.n, writer.n) @ horizontal / intensity
        written.append(picture.flatten())
    return torch.stack(written)


def plain_encoder(model: Drawer) -> nn.LSTMCell:
    """torch's own cell with the weights of the model's encoder."""
    encoder = model.encoder
    cell = nn.LSTMCell(encoder.input_map.layer.in_features, encoder.hidden_size).double()
    cell.weight_ih.data = encoder.input_map.to_dense()
    cell.weight_hh.data, cell.bias_ih.data = encoder.weight_hh.data, encoder.bias_ih.data
    cell.bias_hh.data = encoder.bias_hh.data
    return cell


def plain_bounds(model: Drawer, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """-log p(x | z) (b) and the KL of each glimpse (T, b) of DRAW as printed, step by step."""
    encoder, batch = plain_encoder(model), len(x)
    attends = isinstance(model.reader, ReadGrid)
    canvas = model.canvas.repeat(batch, 1)
    h_dec, c_dec = (start.repeat(batch, 1) for start in model.first_drawn)
    h_enc, c_enc = (start.repeat(batch, 1) for start in model.first_read)
    kl = []
    for epsilon in noise:
        error = x - 1 / (1 + torch.exp(-canvas))
        seen = plain_read(model.reader, x, error, h_dec) if attends else torch.cat([x, error], 1)
        h_enc, c_enc = encoder(torch.cat([seen, h_dec], 1), (h_enc, c_enc))
        mean, log_deviation = model.latent(h_enc).split(noise.shape[2], 1)
        deviation = torch.exp(log_deviation)
        summed = (mean**2 + deviation**2 - torch.log(deviation**2)).sum(1)
        kl.append(0.5 * summed - noise.shape[2] / 2)
        h_dec, c_dec = model.decoder(mean + deviation * epsilon, (h_dec, c_dec))
        written = plain_write(model.writer, h_dec) if attends else model.writer(h_dec)
        canvas = canvas + written
    p = 1 / (1 + torch.exp(-canvas))
    return -(x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(1), torch.stack(kl)


@pytest.mark.parametrize("chosen", [SMALL, GRID], ids=["whole", "attention"])
def test_the_bound_equals_a_plain_version_step_by_step(chosen: dict[str, Any]) -> None:
    task = Draw(**chosen)
    model = make_model(task)
    x, noise = inputs(task)
    lost, kl, _ = model(x, noise)
    plain_lost, plain_kl = plain_bounds(model, x, noise)
    torch.testing.assert_close(lost, plain_lost, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(kl, plain_kl, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("chosen", [SMALL, GRID], ids=["whole", "attention"])
def test_every_weight_has_a_gradient(chosen: dict[str, Any], cell: str) -> None:
    task = Draw(**chosen)
    layer = LayerSettings(decomposition="block_term", core_order=2, tucker_rank=2, cp_rank=1)
    model = make_model(task, layer=layer, cell=cell)
    lost, kl, _ = model(*inputs(task))
    (lost + kl.sum(0)).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_what_is_generated_needs_no_encoder() -> None:
    task = Draw(**GRID)
    model, (_, noise) = make_model(task), inputs(task)
    before = model.generate(noise)
    assert before.shape == (task.glimpses, noise.shape[1], PIXELS)
    assert ((before > 0) & (before < 1)).all()
    for parameter in model.encoder.parameters():
        parameter.data.zero_()
    torch.testing.assert_close(model.generate(noise), before)


def run(task: Draw, **others: Any) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, row in task.run(make_point(task, **others), Context(seed=0)):
        tables.setdefault(table, []).append(row)
    return tables


def test_a_run_learns_and_says_what_it_used() -> None:
    tables = run(Draw(**SMALL, validation=True), epochs=4, batch_size=50)
    row = {key: value for part in tables["runs"] for key, value in part.items()}
    curve = [epoch["nelbo_nats"] for epoch in tables["epochs"]]
    assert curve[-1] < min(curve[0], PIXELS * math.log(2))  # what grey pictures have
    assert row["nelbo_nats"] == curve[-1]
    assert row["nelbo_nats"] == pytest.approx(row["reconstruction_nats"] + row["kl_nats"])
    assert row["nelbo_low_nats"] < row["nelbo_nats"] < row["nelbo_high_nats"]
    validated = [epoch["validation_nats"] for epoch in tables["epochs"]]
    assert row["validation_nats"] == min(validated)
    assert row["selected_nats"] == curve[validated.index(min(validated))]
    assert (row["dataset"], row["epochs"]) == (SHIPPED, 4)
    assert row["train_size"] + row["validation_size"] == 1438
    assert (row["validation_size"], row["test_size"]) == (1438 // HELD_OUT, 359)
    assert row["step_ms"] > 0


def test_its_pictures_are_whole_and_of_the_sizes_they_say() -> None:
    tables = run(Draw(**SMALL), epochs=1)
    files = {row["name"]: Image.open(io.BytesIO(row["content"])) for row in tables["artifacts"]}
    grids = {"samples.png": (10, 10), "canvas.png": (3, 8), "reconstructions.png": (8, 2)}
    sizes = {name: tuple(30 * count - 2 for count in counts) for name, counts in grids.items()}
    assert {name: picture.size for name, picture in files.items()} == sizes
    for picture in files.values():
        picture.load()


def test_a_seed_gives_the_same_run_twice_and_another_seed_another() -> None:
    task = Draw(**SMALL)
    rows = [
        next(row for table, row in task.run(make_point(task), Context(seed=s)) if table == "epochs")
        for s in (0, 0, 1)
    ]
    losses = [row["train_loss"] for row in rows]
    assert losses[0] == losses[1] != losses[2]


def test_a_run_goes_on_from_its_checkpoint_to_the_same_numbers(tmp_path: Path) -> None:
    task = Draw(**SMALL, validation=True)
    point = make_point(task, epochs=3)
    whole = list(task.run(point, Context(seed=0)))
    kept = Checkpoint(folder=str(tmp_path), run_id="r", every_s=0.0)
    for table, row in task.run(point, Context(seed=0, checkpoint=kept)):
        if table == "runs" and row.get("epochs") == 2:  # the checkpoint is of epoch 1 by now
            break
    again = list(task.run(point, Context(seed=0, checkpoint=kept)))
    assert {row["resumed_epoch"] for _, row in again if "resumed_epoch" in row} == {1}
    assert lasting(again) == lasting(whole)


def lasting(rows: list[Row]) -> list[Row]:
    """Rows without the times, and without what says that a run went on."""
    timed = ("seconds", "step_ms", "resumed_epoch")
    ends = ("nelbo_low_nats", "nelbo_high_nats")  # of the epochs of this attempt alone
    kept = [
        (table, {name: value for name, value in row.items() if name not in (*timed, *ends)})
        for table, row in rows
    ]
    last = [row for table, row in rows if table == "runs"][-1]
    return [*kept, ("ends", {name: last[name] for name in ends})]


@pytest.mark.parametrize("how", ["sample", "threshold"])
def test_binarisation_is_fixed_and_follows_brightness(how: str) -> None:
    pixels = np.repeat(np.array([[0, 100, 127, 128, 255]], np.uint8), 4000, axis=0)
    first, again = (binarised(pixels, how, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    means = first.double().mean(0).tolist()
    if how == "threshold":
        assert means == [0, 0, 0, 1, 1]
    else:
        assert means == pytest.approx([0, 100 / 255, 127 / 255, 128 / 255, 1], abs=0.04)
        assert means[0] == 0
        assert means[-1] == 1


def test_sides_do_not_depend_on_the_seed_of_a_run_and_share_no_image() -> None:
    digits = load_digits("")
    one, other = (Draw(data_seed=seed, validation=True).sides(digits) for seed in (0, 1))
    assert [len(side) for side in one.values()] == [len(side) for side in other.values()]
    assert not torch.equal(one["test"], other["test"])
    whole = torch.cat([one["train"], one["validation"]]).sum()
    assert whole == Draw(data_seed=0).sides(digits)["train"].sum()


def test_the_input_of_the_encoder_is_what_is_read_and_the_decoders_state() -> None:
    assert Draw().sizes() == (2 * 28 * 28 + 256, None) == (1824, None)
    assert Draw(attention=True).sizes() == (2 * 2 * 2 + 256, None)
    assert Draw(attention=True, read_size=5, decoder_size=10).sizes() == (60, None)


def test_the_published_parameters() -> None:
    layer = LayerSettings(
        decomposition="block_term",
        in_modes=(3, 4, 4, 38),
        out_modes=(4, 4, 4, 4),
        tucker_rank=4,
        cp_rank=1,
    ).resolve(Draw().sizes()[0], 256, gates=4)
    assert (layer.num_params, layer.dense_params) == (1184, 1_867_776)
    assert int(layer.compression_ratio) == 1577


WRONG = [
    ({"glimpses": 0}, "task.glimpses must be a positive integer, got 0"),
    ({"read_size": 1}, "task.read_size must be an integer of at least 2, got 1"),
    ({"binarise": "sampel"}, "task.binarise must be one of: sample, threshold; got 'sampel'"),
    ({"attention": "yes"}, "task.attention must be one of: True, False; got 'yes'"),
    ({"images": 3}, "task.images must be the name of a set, got 3"),
]


@pytest.mark.parametrize(("chosen", "message"), WRONG)
def test_wrong_settings_are_told_in_one_line(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Draw(**chosen)
    assert str(caught.value).startswith(message)


def test_parts_that_do_not_fit_are_told_in_one_line() -> None:
    point = make_point(Draw(**SMALL))
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(point, task=Draw())
    assert str(caught.value) == (
        "task draw with this cell needs a layer from 1824 to 24 features (gates included),"
        " got one from 1573 to 24"
    )
    with pytest.raises(ValueError) as caught:
        make_point(Draw(**SMALL), input_dropout=0.5)
    assert str(caught.value) == (
        "training.input_dropout must be 0 with task draw, which does not use it; got 0.5"
    )
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(point, cell=None)
    assert str(caught.value).startswith("task draw needs a cell")
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(point, dtype="bfloat16")
    assert str(caught.value).startswith("dtype must be float32 or float64 with task draw")


def test_a_set_that_is_not_there_is_missing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path))
    assert Draw().missing() is None
    told = Draw(images="mnist").missing()
    assert told is not None
    assert told.startswith("no set 'mnist' is cached (cached: none); `rankbench data mnist PATH`")
