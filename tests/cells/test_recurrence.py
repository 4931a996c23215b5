"""The LSTM's recurrence: lstm.c, the torch path and torch.nn.LSTM are one map with one gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rankbench.cells import lstm_native as native_recurrence
from rankbench.cells.lstm import _LSTMSequence, lstm_sequence
from rankbench.cells.lstm_native import native_sequence, serves
from rankbench.layers.kernels import compiler as native
from rankbench.layers.kernels.compiler import unavailable

needs_native = pytest.mark.skipif(
    unavailable("float64") is not None, reason=f"no native library: {unavailable('float64')}"
)
TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-10}
every_dtype = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)


@dataclass
class Case:
    """Inputs of a recurrence, and the directions that its results are differentiated along."""

    gates: Tensor
    U: Tensor
    h: Tensor
    c: Tensor
    mask: Tensor | None

    @classmethod
    def draw(
        cls, batch: int, steps: int, hidden: int, dtype: torch.dtype, masked: bool = False
    ) -> Case:
        source = torch.Generator().manual_seed(batch + steps + hidden)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=source, dtype=torch.float64).to(dtype)

        mask = (normal(batch, hidden) > 0).to(dtype) * 2 if masked else None
        U = normal(4 * hidden, hidden) / math.sqrt(hidden)
        return cls(
            normal(steps, batch, 4 * hidden), U, normal(batch, hidden), normal(batch, hidden), mask
        )

    def results(self, run: Any) -> list[Tensor]:
        """Outputs, the last c, and the gradients of gates, U, h and c."""
        leaves = [t.clone().requires_grad_() for t in (self.gates, self.U, self.h, self.c)]
        outputs, last = run(*leaves, self.mask)
        toward = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype)
        loss = (outputs.flatten() * toward).sum() + last.square().sum()
        return [outputs.detach(), last.detach(), *torch.autograd.grad(loss, leaves)]


def by_lstm_c(gates: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    outputs, last = native_sequence(gates.transpose(0, 1), *others)
    return outputs.transpose(0, 1), last


def in_torch(*given: Any) -> tuple[Tensor, Tensor]:
    run: Any = _LSTMSequence.apply
    outputs, last = run(*given)
    return outputs, last


def by_torchs_lstm(
    gates: Tensor, U: Tensor, h: Tensor, c: Tensor, mask: None
) -> tuple[Tensor, Tensor]:
    """nn.LSTM whose W is the identity."""
    size, hidden = U.shape
    given = {
        "weight_ih_l0": torch.eye(size, dtype=U.dtype),
        "weight_hh_l0": U,
        "bias_ih_l0": U.new_zeros(size),
        "bias_hh_l0": U.new_zeros(size),
    }
    module = nn.LSTM(size, hidden, dtype=U.dtype)
    outputs, (_, last) = torch.func.functional_call(module, given, (gates, (h[None], c[None])))
    return outputs, last[0]


def assert_same(found: list[Tensor], expected: list[Tensor], atol: float) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=atol, atol=atol)


@needs_native
@every_dtype
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 7), st.integers(1, 5), st.integers(1, 21), st.booleans(), st.integers(1, 3))
def test_lstm_c_is_the_torch_path(
    dtype: torch.dtype, batch: int, steps: int, hidden: int, masked: bool, threads: int
) -> None:
    case = Case.draw(batch, steps, hidden, dtype, masked)
    expected = case.results(in_torch)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_same(case.results(by_lstm_c), expected, TOLERANCES[dtype])
    finally:
        torch.set_num_threads(before)


@every_dtype
@pytest.mark.parametrize("run", [pytest.param(by_lstm_c, marks=needs_native), in_torch])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 8), (30, 11, 17), (3, 2, 80)], ids=str)
def test_it_is_torchs_lstm(shape: tuple[int, int, int], run: Any, dtype: torch.dtype) -> None:
    """Also over more sequences and steps than lstm.c takes at a time, and wider than its slices."""
    case = Case.draw(*shape, dtype)
    assert_same(case.results(run), case.results(by_torchs_lstm), TOLERANCES[dtype])


@needs_native
@every_dtype
def test_a_first_state_of_zeros_gives_the_same(dtype: torch.dtype) -> None:
    """Its products are left out, of some sequences or of all."""
    case = Case.draw(4, 3, 9, dtype)
    case.h[1:] = 0
    assert_same(case.results(by_lstm_c), case.results(in_torch), TOLERANCES[dtype])
    case.h[:] = 0
    assert_same(case.results(by_lstm_c), case.results(in_torch), TOLERANCES[dtype])


@needs_native
def test_states_that_need_no_gradient_get_none() -> None:
    case = Case.draw(3, 2, 5, torch.float64)
    whole = case.results(by_lstm_c)
    gates = case.gates.clone().requires_grad_()
    outputs, last = by_lstm_c(gates, case.U, case.h, case.c, None)
    toward = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64)
    ((outputs.flatten() * toward).sum() + last.square().sum()).backward()
    torch.testing.assert_close(gates.grad, whole[2], rtol=0, atol=1e-14)


@needs_native
@every_dtype
@pytest.mark.parametrize("size", [100.0, 1e4, math.inf])
def test_extreme_gates_saturate(size: float, dtype: torch.dtype) -> None:
    case = Case.draw(3, 4, 10, dtype)
    case.gates = torch.where(case.gates > 0, size, -size).to(dtype)
    found = case.results(by_lstm_c)
    assert all(result.isfinite().all() for result in found)
    assert_same(found, case.results(in_torch), TOLERANCES[dtype])


@needs_native
@every_dtype
def test_nan_stays_nan(dtype: torch.dtype) -> None:
    case = Case.draw(2, 3, 10, dtype)
    case.gates[1, 0, 25] = math.nan  # g of unit 5, second step
    outputs, last, *_ = case.results(by_lstm_c)
    assert outputs[1, 0].isnan().nonzero().flatten().tolist() == [5]
    assert outputs[2, 0].isnan().all()
    assert last[0].isnan().all()
    assert not outputs[:, 1].isnan().any()


@needs_native
@every_dtype
@pytest.mark.parametrize(("gate", "function"), [(0, torch.sigmoid), (2, torch.tanh)])
def test_sigmoid_and_tanh_are_exact_to_a_few_roundings(
    gate: int, function: Any, dtype: torch.dtype
) -> None:
    """With the other gates at 1 and c at 0 the last c is one of the functions of one gate."""
    size = torch.logspace(-12, 1.9, 200, dtype=torch.float64).to(dtype)
    x = torch.cat([-size.flip(0), torch.zeros(1, dtype=dtype), size])
    gates = torch.full((4, len(x)), 1e3, dtype=dtype)
    gates[gate] = x
    zeros, U = torch.zeros(1, len(x), dtype=dtype), torch.zeros(4 * len(x), len(x), dtype=dtype)
    _, last = by_lstm_c(gates.reshape(1, 1, -1), U, zeros, zeros, None)
    exact = function(x.double())
    error = (last[0].double() - exact).abs() / exact.abs().clamp_min(1e-300)
    assert error.max() < 8 * torch.finfo(dtype).eps


def test_without_the_library_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_NATIVE", "0")
    native._library.cache_clear()
    try:
        case = Case.draw(3, 4, 6, torch.float64, masked=True)
        assert not serves(case.gates, case.U, case.h, case.c, case.mask)
        for mine, theirs in zip(case.results(lstm_sequence), case.results(in_torch), strict=True):
            assert torch.equal(mine, theirs)
    finally:
        native._library.cache_clear()


@needs_native
@pytest.mark.parametrize("masked", [False, True])
def test_bfloat16_is_computed_in_float32(masked: bool) -> None:
    low = Case.draw(3, 4, 10, torch.bfloat16, masked)
    parts = (low.gates, low.U, low.h, low.c, low.mask)
    plain = Case(*(part if part is None else part.float() for part in parts))
    for mine, exact in zip(low.results(by_lstm_c), plain.results(by_lstm_c), strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine.float() - exact).norm() < 1e-2 * exact.norm()


@needs_native
def test_lstm_c_serves_one_type_of_number_on_a_cpu() -> None:
    case = Case.draw(2, 3, 4, torch.float32)
    given = (case.gates, case.U, case.h, case.c)
    assert serves(*given, None)
    assert serves(*given, torch.ones_like(case.h))
    assert not serves(*given, torch.ones_like(case.h[:1]))
    assert not serves(case.gates, case.U.bfloat16(), case.h, case.c, None)
    assert not serves(*(part.to("meta") for part in given), None)
    assert not serves(case.gates[:1].expand(1 << 23, 2, 16), *given[1:], None)


@needs_native
@pytest.mark.parametrize("able", [False, True])
def test_bfloat16_stays_in_torch_where_the_cpu_multiplies_it(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_recurrence, "multiplies_bfloat16", lambda: able)
    case = Case.draw(2, 3, 4, torch.bfloat16)
    assert serves(case.gates, case.U, case.h, case.c, None) != able
