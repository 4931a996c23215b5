"""Second derivatives: right where autograd follows, a RuntimeError everywhere else, never zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

from rankbench.cells.lstm import _LSTMSequence
from rankbench.cells.lstm_native import native_sequence
from rankbench.cells.modules import RecurrentCell, build_cell
from rankbench.cells.settings import CELLS, Cell
from rankbench.layers import LAYERS
from rankbench.layers.contraction.einsum import plan_dense
from rankbench.layers.kernels.compiler import unavailable
from rankbench.layers.kernels.target import Target
from rankbench.layers.kernels.torch_kernel import TorchKernel
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.planning.apply import apply
from rankbench.layers.stacked import StackedLinear
from tests.helpers.layer_examples import layer_of, module

needs_native = pytest.mark.skipif(
    unavailable("float64") is not None, reason=f"no native library: {unavailable('float64')}"
)
native = pytest.param("native", marks=needs_native)
every_decomposition = pytest.mark.parametrize("decomposition", LAYERS)

Function = Callable[..., Any]
LOSSES: tuple[Function, ...] = (Tensor.sum, lambda y: y.square().sum())
ROWS, IN, OUT, HIDDEN = 5, 4, 6, 2
NATIVE = r"^the native kernel has no second derivatives .*: set layer\.kernel=torch"
CHUNKED = (
    r"^the torch kernel, .* 5 rows at once has no second derivatives .*: pass at most 2 .* to_d"
)
LSTM = (
    r"^the LSTM's recurrence has no second derivatives .*: .* rnn or gru, .* RecurrentCell\.recur"
)
STACKED = r"^a stack of layers has no second derivatives .*: .* CompressedLinear"


def normal(*shape: int) -> Tensor:
    source = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=source, dtype=torch.float64, requires_grad=True)


def linear_of(decomposition: str, kernel: str = "torch") -> CompressedLinear:
    """A map of 4 to 6 features."""
    return module(layer_of(decomposition, (2, 2), (3, 2), 2, kernel=kernel), seed=1)


def of_x_and_cores(linear: CompressedLinear) -> Function:
    """The map as its kernel computes it, as a function of x and the cores."""
    choice = linear.choice(ROWS)
    assert choice.kernel == linear.layer.kernel
    return lambda x, *cores: apply(choice, x, cores)


def in_chunks(linear: CompressedLinear) -> Function:
    """The map by the torch kernel over chunks of two rows, as a function of x and the cores."""
    kernel = TorchKernel(linear.choice(ROWS).contraction, ROWS, Target(), chunk=2)
    return lambda x, *cores: kernel(x, cores)


def assert_refused(function: Function, inputs: tuple[Tensor, ...], message: str) -> None:
    """First derivatives are right; a graph of them is refused, whatever follows the function."""
    assert gradcheck(function, inputs)
    for loss in LOSSES:
        with pytest.raises(RuntimeError, match=message) as error:
            torch.autograd.grad(loss(function(*inputs)), inputs[0], create_graph=True)
        assert "\n" not in str(error.value)
        with pytest.raises(RuntimeError, match=message):
            loss(function(*inputs)).backward(create_graph=True, inputs=list(inputs))
    with pytest.raises(RuntimeError, match=message):
        gradgradcheck(function, inputs)


# The map.


@every_decomposition
def test_the_torch_kernel_has_them(decomposition: str) -> None:
    linear, x = linear_of(decomposition), normal(ROWS, IN)
    assert gradgradcheck(of_x_and_cores(linear), (x, *linear.cores.values()))
    second = []
    for y in (linear(x), x @ linear.to_dense().T):
        (g,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        second.append(torch.autograd.grad(g.square().sum(), list(linear.cores.values())))
    for mine, theirs in zip(*second, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@needs_native
@every_decomposition
def test_the_native_kernel_refuses_them(decomposition: str) -> None:
    linear, x = linear_of(decomposition, "native"), normal(ROWS, IN)
    assert_refused(of_x_and_cores(linear), (x, *linear.cores.values()), NATIVE)
    with pytest.raises(RuntimeError, match=NATIVE):
        torch.autograd.grad(linear(x).sum(), x, create_graph=True)


@every_decomposition
def test_rows_in_chunks_refuse_them(decomposition: str) -> None:
    linear, x = linear_of(decomposition), normal(ROWS, IN)
    assert_refused(in_chunks(linear), (x, *linear.cores.values()), CHUNKED)


@every_decomposition
def test_the_dense_weight_has_them(decomposition: str) -> None:
    linear, x = linear_of(decomposition), normal(ROWS, IN)

    def dense(x: Tensor, *cores: Tensor) -> Tensor:
        return x @ plan_dense(linear.layer.network).run(cores).reshape(OUT, IN).T

    assert gradgradcheck(dense, (x, *linear.cores.values()))


@every_decomposition
def test_a_stack_refuses_them(decomposition: str) -> None:
    model = StackedLinear(linear_of(decomposition).layer, (0, 1), dtype=torch.float64)
    names, cores = [f"model.cores.{name}" for name in model.cores], tuple(model.cores.values())

    def weights(*cores: Tensor) -> Tensor:
        given = dict(zip(names, cores, strict=True))
        stacked: Tensor = torch.func.functional_call(_Weights(model), given, ())
        return stacked

    if len(cores) == 1:
        assert gradgradcheck(weights, cores)
    else:
        assert_refused(weights, cores, STACKED)


class _Weights(nn.Module):
    def __init__(self, model: StackedLinear) -> None:
        super().__init__()
        self.model = model

    def forward(self) -> Tensor:
        return self.model.to_dense()


# Cells.


def cell_of(name: str, kernel: str) -> RecurrentCell:
    """A cell of 4 inputs and 2 hidden units around a tensor train."""
    gates = CELLS[name]
    layer = layer_of("tensor_train", (2, 2), (gates, 2), 2, kernel=kernel)
    return build_cell(Cell(name=name, hidden_size=HIDDEN), layer, 0, dtype=torch.float64)


def of_x(cell: RecurrentCell) -> Function:
    return lambda x: cell(x)[0]


@pytest.mark.parametrize("kernel", ["torch", native])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_has_them_or_refuses_them(name: str, kernel: str) -> None:
    cell, x = cell_of(name, kernel), normal(2, 3, IN)
    if name == "lstm":
        assert_refused(of_x(cell), (x,), LSTM)
    elif kernel == "native":
        assert_refused(of_x(cell), (x,), NATIVE)
    else:
        assert gradgradcheck(of_x(cell), (x,))


def by_lstm_c(gates: Tensor, U: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    outputs, last = native_sequence(gates.transpose(0, 1), U, h, c, None)
    return outputs.transpose(0, 1), last


def in_torch(*given: Tensor) -> tuple[Tensor, Tensor]:
    run: Any = _LSTMSequence.apply
    outputs, last = run(*given, None)
    return outputs, last


@pytest.mark.parametrize("run", [pytest.param(by_lstm_c, marks=needs_native), in_torch])
def test_both_recurrences_of_an_lstm_refuse_them(run: Function) -> None:
    gates, U = normal(3, 2, 4 * HIDDEN), normal(4 * HIDDEN, HIDDEN)
    inputs = (gates, U, normal(2, HIDDEN), normal(2, HIDDEN))
    for place in (0, 1):  # the outputs, the last c
        assert_refused(lambda *given, place=place: run(*given)[place], inputs, LSTM)


def test_an_lstm_step_by_step_has_them() -> None:
    cell = cell_of("lstm", "torch")

    def outputs(x: Tensor) -> Tensor:
        state = (x.new_zeros(2, HIDDEN), x.new_zeros(2, HIDDEN))
        return RecurrentCell.recur(cell, cell.input_map(x), state, None)[0]

    x = normal(2, 3, IN)
    torch.testing.assert_close(outputs(x), cell(x)[0], rtol=0, atol=1e-12)
    assert gradgradcheck(outputs, (x,))


# Under checkpoints and the compiler first derivatives are as they were, second ones refused.

every_kernel = pytest.mark.parametrize("kernel", ["torch", "chunked", native])
torch_warns_of_itself = pytest.mark.filterwarnings("ignore")  # while it compiles


def made_ready(kernel: str) -> CompressedLinear:
    """A map whose kernel is ready for ROWS rows; "chunked" is torch's over chunks of two."""
    linear = linear_of("block_term", "torch" if kernel == "chunked" else kernel)
    linear(normal(ROWS, IN))
    if kernel == "chunked":
        linear._ready[ROWS] = TorchKernel(linear.choice(ROWS).contraction, ROWS, Target(), chunk=2)
    return linear


def compiled(linear: CompressedLinear) -> Function:
    torch.compiler.reset()
    made: Function = torch.compile(linear, backend="aot_eager", dynamic=False)
    return made


def checkpointed(linear: CompressedLinear) -> Function:
    return lambda x: checkpoint(linear, x, use_reentrant=False)


def checkpointed_reentrantly(linear: CompressedLinear) -> Function:
    return lambda x: checkpoint(linear, x, use_reentrant=True)


@torch_warns_of_itself
@pytest.mark.parametrize("wrap", [checkpointed, checkpointed_reentrantly, compiled])
@every_kernel
def test_first_derivatives_are_as_they_were(kernel: str, wrap: Function) -> None:
    linear = made_ready(kernel)
    x, wrapped_x = normal(ROWS, IN), normal(ROWS, IN)
    linear(x).square().sum().backward()
    wrap(linear)(wrapped_x).square().sum().backward()
    torch.testing.assert_close(wrapped_x.grad, x.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", ["chunked", native])
def test_a_checkpointed_map_refuses_second_derivatives(kernel: str) -> None:
    run, x = checkpointed(made_ready(kernel)), normal(ROWS, IN)
    for loss in LOSSES:
        with pytest.raises(RuntimeError, match=NATIVE if kernel == "native" else CHUNKED):
            differentiate_twice(loss(run(x)), x)


@torch_warns_of_itself
@every_kernel
def test_a_compiled_map_refuses_second_derivatives(kernel: str) -> None:
    run, x = compiled(made_ready(kernel)), normal(ROWS, IN)
    told = r"no second derivatives|double backward|appears to not have been used"
    for loss in LOSSES:
        with pytest.raises(RuntimeError, match=told):  # ours, or torch's own two
            differentiate_twice(loss(run(x)), x)


def differentiate_twice(loss: Tensor, x: Tensor) -> Tensor:
    (g,) = torch.autograd.grad(loss, x, create_graph=True)
    return torch.autograd.grad(g.square().sum(), x)[0]


@pytest.mark.parametrize("kernel", ["torch", native])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_under_a_checkpoint_learns_the_same(name: str, kernel: str) -> None:
    cell, x = cell_of(name, kernel), normal(2, 3, IN)
    plain = torch.autograd.grad(of_x(cell)(x).square().sum(), x)[0]
    again = checkpoint(of_x(cell), x, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(again.square().sum(), x)[0], plain)
