"""Recurrent cells whose input map is any layer.

Shapes: batch, time, in_features of x; hidden = hidden_size; gates * hidden features leave the
input map, gate after gate.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rankbench.cells.lstm import lstm_sequence
from rankbench.cells.settings import CELLS, Cell
from rankbench.common.checks import number
from rankbench.layers.base import Layer
from rankbench.layers.init import generator
from rankbench.layers.linear import CompressedLinear

State = Tensor | tuple[Tensor, Tensor]


class RecurrentCell(nn.Module, ABC):
    """A recurrence around W x_t + b_ih (all gates, all time steps at once) and U h + b_hh.

    Gates, their order, biases and their initialisation are those of torch.nn.RNN, GRU and LSTM
    of one layer, but for W, which is `input_map`. `recurrent_dropout` drops hidden units before
    U, in training only, the same ones at every step of a sequence. `precision`: the type that
    products with W and U are computed in, `dtype` if None; all else has `dtype`.
    """

    GATES: ClassVar[int]
    STATES: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        cell: Cell,
        layer: Layer,
        seed: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        recurrent_dropout: float = 0.0,
        precision: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        number("recurrent_dropout", recurrent_dropout, 0.0, 0.99)
        rows, hidden = self.GATES * cell.hidden_size, cell.hidden_size
        if layer.out_features != rows:
            raise ValueError(
                f"the layer of cell {cell.name} with {hidden} hidden units must have "
                f"{self.GATES} * {hidden} = {rows} output features, got {layer.out_features}"
            )
        self.hidden_size = hidden
        self.recurrent_dropout = recurrent_dropout
        self.precision = precision or dtype
        self.input_map = CompressedLinear(layer, seed, dtype, device, precision)
        source = generator(seed, "cell")

        def uniform(*shape: int) -> nn.Parameter:
            drawn = 2 * torch.rand(shape, generator=source, dtype=torch.float64) - 1
            return nn.Parameter((drawn / math.sqrt(hidden)).to(device=device, dtype=dtype))

        self.weight_hh = uniform(rows, hidden)
        self.bias_ih = uniform(rows)
        self.bias_hh = uniform(rows)

    def forward(
        self, x: Float[Tensor, "batch time in_features"], state: State | None = None
    ) -> tuple[Float[Tensor, "batch time hidden"], State]:
        """Outputs of every step and the last state, as torch.nn's with batch_first=True.

        The state, h or an LSTM's (h, c), has no dimension for layers: (batch, hidden); zeros
        when it is None.

        Raises ValueError when `x` is not (batch, time, in_features) with at least one step, or
        `state` has the wrong parts or shapes.
        """
        if x.ndim != 3 or not x.shape[1]:
            raise ValueError(
                f"x must be (batch, time, in_features) with a step or more, got {list(x.shape)}"
            )
        gates = self.input_map(x)
        state = self._zeros(gates) if state is None else self._checked(state, len(x))
        return self.recur(gates, state, self._mask(gates))

    def recur(
        self,
        gates: Float[Tensor, "batch time gates*hidden"],
        state: State,
        mask: Float[Tensor, "batch hidden"] | None,
    ) -> tuple[Float[Tensor, "batch time hidden"], State]:
        """Outputs and last state from W x_t of every step; `mask` multiplies h before U."""
        outputs = []
        for from_input in (gates + self.bias_ih).unbind(dim=1):
            h = _hidden(state)
            from_state = self._recurrent(h if mask is None else h * mask)
            state = self.step(from_input, from_state, state)
            outputs.append(_hidden(state))
        return torch.stack(outputs, dim=1), state

    @abstractmethod
    def step(
        self,
        from_input: Float[Tensor, "batch gates*hidden"],
        from_state: Float[Tensor, "batch gates*hidden"],
        state: State,
    ) -> State:
        """The next state from W x_t + b_ih, U h + b_hh and the state before."""

    def _recurrent(self, h: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch gates*hidden"]:
        """U h + b_hh."""
        if self.precision == h.dtype:
            return F.linear(h, self.weight_hh, self.bias_hh)
        # Cast at every step, so that the gradients of U are added up in the type of U.
        product = F.linear(h.to(self.precision), self.weight_hh.to(self.precision))
        return product.to(h.dtype) + self.bias_hh

    def _zeros(self, gates: Float[Tensor, "batch time gates*hidden"]) -> State:
        h = gates.new_zeros(len(gates), self.hidden_size)
        # Each its own tensor: torch.compile cannot trace a function that is given one twice.
        return h if self.STATES == ("h",) else (h, torch.zeros_like(h))

    def _checked(self, state: State, batch: int) -> State:
        parts = state if isinstance(state, tuple) else (state,)
        wanted = [[batch, self.hidden_size] for _ in self.STATES]
        shapes = [list(part.shape) for part in parts]
        if shapes != wanted:
            raise ValueError(
                f"state must be ({', '.join(self.STATES)}) of shapes {wanted}, got {shapes}"
            )
        return state

    def _mask(
        self, gates: Float[Tensor, "batch time gates*hidden"]
    ) -> Float[Tensor, "batch hidden"] | None:
        """One dropout mask a sequence, scaled so that expectations stay as they are."""
        if not self.training or self.recurrent_dropout == 0.0:
            return None
        ones = gates.new_ones(gates.shape[0], self.hidden_size)
        return F.dropout(ones, self.recurrent_dropout)


class RNN(RecurrentCell):
    """h = tanh(W x + b_ih + U h + b_hh)."""

    GATES = CELLS["rnn"]

    def step(self, from_input: Tensor, from_state: Tensor, state: State) -> State:
        return torch.tanh(from_input + from_state)


class GRU(RecurrentCell):
    """h = (1 - z) n + z h with n = tanh(W_n x + b_in + r (U_n h + b_hn)); gates r, z, n."""

    GATES = CELLS["gru"]

    def step(self, from_input: Tensor, from_state: Tensor, state: State) -> State:
        r_x, z_x, n_x = from_input.chunk(3, dim=-1)
        r_h, z_h, n_h = from_state.chunk(3, dim=-1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        return (1 - z) * n + z * _hidden(state)


class LSTM(RecurrentCell):
    """c = f c + i g, h = o tanh(c); gates i, f, g, o (BT Eq. 1-6, TR Eq. 10)."""

    GATES = CELLS["lstm"]
    STATES = ("h", "c")

    def recur(
        self, gates: Tensor, state: State, mask: Tensor | None
    ) -> tuple[Float[Tensor, "batch time hidden"], State]:
        U = self.weight_hh.to(self.precision)
        by_step = (gates + (self.bias_ih + self.bias_hh)).transpose(0, 1)
        outputs, c = lstm_sequence(by_step, U, state[0], state[1], mask)
        return outputs.transpose(0, 1), (outputs[-1], c)

    def step(self, from_input: Tensor, from_state: Tensor, state: State) -> State:
        i, f, g, o = (from_input + from_state).chunk(4, dim=-1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


MODULES: dict[str, type[RecurrentCell]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def build_cell(
    cell: Cell,
    layer: Layer,
    seed: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
    recurrent_dropout: float = 0.0,
    precision: torch.dtype | None = None,
) -> RecurrentCell:
    """The module of a `cell` around `layer`; the same seed draws the same weights.

    Raises ValueError when the layer's outputs are not gates * hidden_size.
    """
    kind = MODULES[cell.name]
    return kind(cell, layer, seed, dtype, device, recurrent_dropout, precision)


def _hidden(state: State) -> Tensor:
    return state[0] if isinstance(state, tuple) else state
