"""The modules of recurrent cells whose input map is any layer.

Shapes: batch, time, in_features of x; hidden = hidden_size. The input map has gates * hidden
outputs, one gate after the other.
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
    """A recurrent cell: W x_t + b_ih is computed for all steps at once, U h + b_hh step by step.

    The gates, their order, the biases and the initialisation are those of a one-layer
    `torch.nn.RNN`, `GRU` or `LSTM`. Only W differs: it is the compressed `input_map`. A subclass
    states the number of gates (`GATES`), the parts of its state (`STATES`) and one step (`step`).

    Args:
        cell: Name and hidden size.
        layer: The input map; it must have gates * hidden_size outputs.
        seed: Seed of the initial weights. A seed draws the same weights on every device.
        dtype: Type of the parameters and of the outputs.
        device: Device of the parameters; None for torch's default.
        recurrent_dropout: Probability of dropping a hidden unit in front of U in training, 0 to
            0.99. The same units of a sequence are dropped at every step.
        precision: Type in which the products with W and U are computed; None for `dtype`.

    Raises:
        ValueError: If the layer does not have gates * hidden_size outputs, or
            `recurrent_dropout` is not from 0 to 0.99.
    """

    GATES: ClassVar[int]
    """Number of gates."""
    STATES: ClassVar[tuple[str, ...]] = ("h",)
    """Names of the parts of the state."""

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
        """Run the cell over all steps, like `torch.nn.LSTM` with batch_first=True.

        Args:
            x: The input.
            state: The first state, h or (h, c) for an LSTM, each (batch, hidden); None for zeros.
                Unlike torch's, it has no dimension for the number of layers.

        Returns:
            The outputs h of all steps, and the last state.

        Raises:
            ValueError: If `x` is not (batch, time, in_features) with at least one step, or `state`
                has the wrong parts or shapes.
        """
        if x.ndim != 3 or not x.shape[1]:
            raise ValueError(
                f"x must be (batch, time, in_features) with at least one step, got {list(x.shape)}"
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
        """Compute the outputs and the last state from W x_t of all steps, one step after the other.

        Args:
            gates: W x_t of every step, without biases.
            state: The first state.
            mask: Factors of h in front of U (dropout), or None.
        """
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
        """Compute the next state.

        Args:
            from_input: W x_t + b_ih.
            from_state: U h + b_hh.
            state: The state before the step.
        """

    def _recurrent(self, h: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch gates*hidden"]:
        """Compute U h + b_hh."""
        if self.precision == h.dtype:
            return F.linear(h, self.weight_hh, self.bias_hh)
        # U is cast at every step, so that its gradients are summed in its own type.
        product = F.linear(h.to(self.precision), self.weight_hh.to(self.precision))
        return product.to(h.dtype) + self.bias_hh

    def _zeros(self, gates: Float[Tensor, "batch time gates*hidden"]) -> State:
        h = gates.new_zeros(len(gates), self.hidden_size)
        # h and c are separate tensors, because torch.compile cannot trace a function that gets the
        # same tensor twice.
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
        """Draw one dropout mask for each sequence, scaled so that the expectation of h is kept."""
        if not self.training or self.recurrent_dropout == 0.0:
            return None
        ones = gates.new_ones(gates.shape[0], self.hidden_size)
        return F.dropout(ones, self.recurrent_dropout)


class RNN(RecurrentCell):
    """A plain RNN: h = tanh(W x + b_ih + U h + b_hh)."""

    GATES = CELLS["rnn"]

    def step(self, from_input: Tensor, from_state: Tensor, state: State) -> State:
        return torch.tanh(from_input + from_state)


class GRU(RecurrentCell):
    """A GRU: h = (1 - z) n + z h with n = tanh(W_n x + b_in + r (U_n h + b_hn)); gates r, z, n."""

    GATES = CELLS["gru"]

    def step(self, from_input: Tensor, from_state: Tensor, state: State) -> State:
        r_x, z_x, n_x = from_input.chunk(3, dim=-1)
        r_h, z_h, n_h = from_state.chunk(3, dim=-1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        return (1 - z) * n + z * _hidden(state)


class LSTM(RecurrentCell):
    """An LSTM: c = f c + i g, h = o tanh(c); gates i, f, g, o (BT Eq. 1-6, TR Eq. 10)."""

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
    """Build the module of a recurrent cell whose input map is a layer.

    Args:
        cell: Name and hidden size.
        layer: The input map; it must have gates * hidden_size outputs.
        seed: Seed of the initial weights. A seed draws the same weights on every device.
        dtype: Type of the parameters and of the outputs.
        device: Device of the parameters; None for torch's default.
        recurrent_dropout: Probability of dropping a hidden unit in front of U in training, 0 to
            0.99.
        precision: Type in which the products with W and U are computed; None for `dtype`.

    Raises:
        ValueError: If the layer does not have gates * hidden_size outputs, or
            `recurrent_dropout` is not from 0 to 0.99.

    Example:
        >>> from rankbench.layers.settings import LayerSettings
        >>> cell = Cell(name="lstm", hidden_size=8)
        >>> settings = LayerSettings(decomposition="tensor_train", core_order=2, tt_ranks=2)
        >>> layer = settings.resolve(64, cell.hidden_size, gates=cell.gates)
        >>> outputs, (h, c) = build_cell(cell, layer, seed=0)(torch.zeros(3, 5, 64))
        >>> outputs.shape, h.shape
        (torch.Size([3, 5, 8]), torch.Size([3, 8]))
    """
    kind = MODULES[cell.name]
    return kind(cell, layer, seed, dtype, device, recurrent_dropout, precision)


def _hidden(state: State) -> Tensor:
    return state[0] if isinstance(state, tuple) else state
