"""Recurrent cells: torch's own with a dense layer, and equal to dense around every layer."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rankbench.cells.modules import MODULES, RecurrentCell, build_cell
from rankbench.cells.settings import CELLS, Cell
from rankbench.layers import LAYERS, Dense
from tests.helpers.layer_examples import every_way, layer_of, set_cores
from tests.helpers.paths import ROOT

TORCH: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
BATCH, TIME, HIDDEN = 3, 5, 6
IN_MODES, OUT_MODES = (2, 4), (2, 3)
every_cell = pytest.mark.parametrize("name", CELLS)


def around(name: str, decomposition: str, seed: int = 0, **settings: Any) -> RecurrentCell:
    """A float64 cell of 8 inputs and 6 hidden units around any decomposition."""
    cell = Cell(name=name, hidden_size=HIDDEN)
    out_modes = (cell.gates * OUT_MODES[0], OUT_MODES[1])
    layer = layer_of(decomposition, IN_MODES, out_modes, 2, **settings)
    return build_cell(cell, layer, seed, dtype=torch.float64)


def clips() -> Tensor:
    source = torch.Generator().manual_seed(1)
    return torch.randn(BATCH, TIME, 8, dtype=torch.float64, generator=source)


def parts(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def exactly(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def score(outputs: Tensor, state: tuple[Tensor, ...]) -> Tensor:
    """A loss that depends on every output and every part of the last state."""
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).reshape(outputs.shape)
    return (outputs * weights).sum() + sum((part.square().sum() for part in state), torch.zeros(()))


@every_cell
@pytest.mark.parametrize("given_state", [False, True], ids=["from zeros", "from a state"])
def test_dense_cell_is_torchs(name: str, given_state: bool) -> None:
    ours = around(name, "dense")
    theirs = TORCH[name](8, HIDDEN, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.input_map.to_dense())
        theirs.weight_hh_l0.copy_(ours.weight_hh)
        theirs.bias_ih_l0.copy_(ours.bias_ih)
        theirs.bias_hh_l0.copy_(ours.bias_hh)
    source = torch.Generator().manual_seed(2)
    start = tuple(
        torch.randn(BATCH, HIDDEN, dtype=torch.float64, generator=source, requires_grad=True)
        for _ in range(2 if name == "lstm" else 1)
    )
    our_start: Any = start if name == "lstm" else start[0]
    their_start: Any = tuple(s[None] for s in start) if name == "lstm" else start[0][None]
    x, their_x = clips().requires_grad_(), clips().requires_grad_()
    outputs, state = ours(x, our_start if given_state else None)
    their_outputs, their_state = theirs(their_x, their_start if given_state else None)
    exactly(outputs, their_outputs)
    for part, their_part in zip(parts(state), parts(their_state), strict=True):
        exactly(part, their_part[0])

    leaves = [x, ours.weight_hh, ours.bias_ih, ours.bias_hh, ours.input_map.cores["W"]]
    their_leaves = [their_x, theirs.weight_hh_l0, theirs.bias_ih_l0, theirs.bias_hh_l0]
    their_leaves.append(theirs.weight_ih_l0)
    if given_state:
        leaves, their_leaves = [*leaves, *start], [*their_leaves, *start]
    loss = score(outputs, parts(state))
    their_loss = score(their_outputs, tuple(part[0] for part in parts(their_state)))
    gradients = torch.autograd.grad(loss, leaves)
    their_gradients = torch.autograd.grad(their_loss, their_leaves)
    for gradient, expected in zip(gradients, their_gradients, strict=True):
        assert gradient.abs().max() > 0
        exactly(gradient.reshape(expected.shape), expected)


@every_cell
@pytest.mark.parametrize("decomposition", LAYERS)
@every_way
def test_any_layer_equals_the_cell_with_its_dense_weight(
    name: str, decomposition: str, plan: str, kernel: str
) -> None:
    ours = around(name, decomposition, plan=plan, kernel=kernel)
    dense = around(name, "dense", seed=9)
    weight = ours.input_map.to_dense()
    set_cores(dense.input_map, {"W": weight.detach()})
    with torch.no_grad():
        for key in ("weight_hh", "bias_ih", "bias_hh"):
            getattr(dense, key).copy_(getattr(ours, key))
    x, dense_x = clips().requires_grad_(), clips().requires_grad_()
    results = [ours(x), dense(dense_x)]
    exactly(results[0][0], results[1][0])
    for part, dense_part in zip(parts(results[0][1]), parts(results[1][1]), strict=True):
        exactly(part, dense_part)

    for outputs, state in results:
        score(outputs, parts(state)).backward()
    exactly(x.grad, dense_x.grad)
    for key in ("weight_hh", "bias_ih", "bias_hh"):
        exactly(getattr(ours, key).grad, getattr(dense, key).grad)
    # dL/dcores follows from dL/dW by the chain rule through to_dense.
    towards = dense.input_map.cores["W"].grad.reshape(weight.shape)
    cores = list(ours.input_map.cores.values())
    for core, expected in zip(cores, torch.autograd.grad(weight, cores, towards), strict=True):
        exactly(core.grad, expected)


@every_cell
def test_input_map_runs_once_for_all_steps(name: str) -> None:
    cell, calls = around(name, "tensor_ring"), []
    cell.input_map.register_forward_hook(lambda _, inputs, __: calls.append(inputs[0].shape))
    cell(clips())
    assert calls == [(BATCH, TIME, 8)]


@every_cell
def test_state_carries_a_sequence_on(name: str) -> None:
    cell, x = around(name, "cp"), clips()
    whole, last = cell(x)
    first, state = cell(x[:, :2])
    second, resumed = cell(x[:, 2:], state)
    exactly(torch.cat([first, second], dim=1), whole)
    for part, expected in zip(parts(resumed), parts(last), strict=True):
        exactly(part, expected)


@every_cell
def test_weights_follow_the_seed_and_torchs_range(name: str) -> None:
    one, same, other = (around(name, "tucker", seed) for seed in (3, 3, 4))
    bound = HIDDEN**-0.5
    for key, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[key])
        assert not torch.equal(value, other.state_dict()[key])
    for key in ("weight_hh", "bias_ih", "bias_hh"):
        value = getattr(one, key)
        assert value.abs().max() <= bound
        assert value.min() < -0.5 * bound
        assert value.max() > 0.5 * bound
    assert one.weight_hh.shape == (CELLS[name] * HIDDEN, HIDDEN)


@every_cell
def test_recurrent_dropout_holds_one_mask_for_a_sequence(name: str) -> None:
    """Outputs and gradients are those of single steps with the same units of h dropped."""
    model = build_cell(
        Cell(name=name, hidden_size=64),
        Dense(in_modes=(4,), out_modes=(CELLS[name] * 64,)),
        seed=0,
        dtype=torch.float64,
        recurrent_dropout=0.5,
    ).train()
    x = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    leaves = [x, *model.parameters()]
    torch.manual_seed(0)
    outputs, last = model(x)
    torch.manual_seed(0)
    mask = F.dropout(torch.ones(3, 64, dtype=torch.float64), 0.5)
    assert set(mask.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(mask[0], mask[1]), "every sequence has its own mask"

    state: Any = tuple(torch.zeros_like(mask) for _ in model.STATES)
    state = state if len(state) > 1 else state[0]
    expected = []
    for from_input in (model.input_map(x) + model.bias_ih).unbind(1):
        fed = parts(state)[0] * mask
        state = model.step(from_input, F.linear(fed, model.weight_hh, model.bias_hh), state)
        expected.append(parts(state)[0])
    exactly(outputs, torch.stack(expected, dim=1))
    toward = torch.randn(outputs.shape, dtype=torch.float64)
    gradients, theirs = (
        torch.autograd.grad((out * toward).sum() + parts(end)[-1].sum(), leaves)
        for out, end in ((outputs, last), (torch.stack(expected, dim=1), state))
    )
    for gradient, their in zip(gradients, theirs, strict=True):
        exactly(gradient, their)


@every_cell
def test_recurrent_dropout_is_off_outside_training(name: str) -> None:
    cell = Cell(name=name, hidden_size=HIDDEN)
    layer = Dense(in_modes=(8,), out_modes=(cell.gates * HIDDEN,))
    plain, dropping = (
        build_cell(cell, layer, 0, dtype=torch.float64, recurrent_dropout=p) for p in (0.0, 0.5)
    )
    x = clips()
    expected = plain(x)[0]
    assert torch.equal(dropping.eval()(x)[0], expected)
    assert not torch.equal(dropping.train()(x)[0], expected)
    assert torch.equal(plain.train()(x)[0], expected)


def test_gates_and_table() -> None:
    assert {name: Cell(name=name).gates for name in CELLS} == {"rnn": 1, "gru": 3, "lstm": 4}
    assert all(issubclass(MODULES[name], RecurrentCell) for name in TORCH)
    assert CELLS.keys() == MODULES.keys() == TORCH.keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "lstn"}, "cell.name must be one of: rnn, gru, lstm; got 'lstn'"),
        ({"hidden_size": 0}, "cell.hidden_size must be a positive integer, got 0"),
    ],
)
def test_bad_cells_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Cell(**settings)
    assert str(error.value).startswith(message)


def test_layer_must_feed_every_gate() -> None:
    with pytest.raises(ValueError) as error:
        build_cell(Cell(hidden_size=256), Dense(in_modes=(8,), out_modes=(256,)), 0)
    assert str(error.value) == (
        "the layer of cell lstm with 256 hidden units must have 4 * 256 = 1024 output features, "
        "got 256"
    )


@pytest.mark.parametrize("probability", [-0.1, 1.0, "half"])
def test_dropout_must_be_a_probability_below_1(probability: Any) -> None:
    layer = Dense(in_modes=(8,), out_modes=(24,))
    with pytest.raises(ValueError, match=r"recurrent_dropout must be a number in \[0, 0\.99\]"):
        build_cell(Cell(hidden_size=6), layer, 0, recurrent_dropout=probability)


@pytest.mark.parametrize("shape", [(8,), (3, 8), (2, 0, 8), (1, 2, 3, 8)], ids=str)
def test_input_must_be_sequences(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as error:
        around("gru", "dense")(torch.zeros(shape, dtype=torch.float64))
    assert str(error.value) == (
        f"x must be (batch, time, in_features) with at least one step, got {list(shape)}"
    )


def test_input_must_have_the_layers_features() -> None:
    with pytest.raises(ValueError, match="the last dimension of x must be in_features = 8"):
        around("gru", "dense")(torch.zeros(2, 3, 7, dtype=torch.float64))


def test_state_must_have_its_parts_and_shapes() -> None:
    h = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    wanted = f"[[{BATCH}, {HIDDEN}], [{BATCH}, {HIDDEN}]]"
    with pytest.raises(ValueError) as error:
        around("lstm", "dense")(clips(), h)
    expected = f"state must be (h, c) of shapes {wanted}, got [[{BATCH}, {HIDDEN}]]"
    assert str(error.value) == expected
    with pytest.raises(ValueError, match=r"state must be \(h\) of shapes \[\[3, 6\]\]"):
        around("rnn", "dense")(clips(), h[:1])


@every_cell
def test_empty_batch_passes_through(name: str) -> None:
    outputs, _ = around(name, "block_term")(torch.zeros(0, TIME, 8, dtype=torch.float64))
    assert outputs.shape == (0, TIME, HIDDEN)


def test_the_cell_in_the_readme_runs() -> None:
    readme = (ROOT / "README.md").read_text()
    [program] = [
        part for part in re.findall(r"```python\n(.*?)```", readme, re.S) if "lstm" in part
    ]
    made: dict[str, Any] = {}
    exec(program, made)
    assert made["layer"].num_params == 3392
    assert made["outputs"].shape == (16, 6, 256)
