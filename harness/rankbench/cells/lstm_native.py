"""Run the LSTM's recurrence and its backward pass in lstm.c, on a CPU.

bfloat16 is computed in float32.

Shapes: b batch, T time steps, h hidden units; 4h gates in the order i, f, g, o.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rankbench.layers.derivatives import refuse_second_derivatives
from rankbench.layers.kernels.compiler import library, parallel_for, unavailable
from rankbench.layers.kernels.target import multiplies_bfloat16

_MOST = 1 << 26  # The size of T 4h up to which offsets fit into 32 bits.
_DEPTH = 256  # DEPTH of lstm.c.
NO_SECOND_DERIVATIVES = (
    "the LSTM's recurrence",
    "use cell rnn or gru, or call RecurrentCell.recur(cell, gates, state, mask),"
    " which computes one step after the other",
)


class _Sequence(ctypes.Structure):
    """`Sequence` of lstm.c; pointers that a call does not use are null."""

    _fields_ = (
        ("steps", ctypes.c_long),
        ("hidden", ctypes.c_long),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "count", "gates", "packed", "U", "h", "c", "mask", "active", "fed", "states",
                "squashed", "outputs", "to_outputs", "to_last", "to_gates", "to_h", "to_c",
            )
        ),
    )  # fmt: skip


def serves(gates: Tensor, U: Tensor, h: Tensor, c: Tensor, mask: Tensor | None) -> bool:
    """Return whether `native_sequence` can and should compute these tensors (gates: T b 4h).

    It should not while torch compiles, which cannot trace it, nor in bfloat16 on a CPU with
    instructions for bfloat16, where torch is faster.
    """
    fast = gates.dtype == torch.bfloat16 and multiplies_bfloat16()
    if torch.compiler.is_compiling() or fast:
        return False
    steps, batch, size = gates.shape
    states = [h, c] if mask is None else [h, c, mask]
    if any(list(state.shape) != [batch, size // 4] for state in states):
        return False
    tensors = [gates, U, *states]
    if any(t.device.type != "cpu" or t.dtype != gates.dtype for t in tensors):
        return False
    return steps * size < _MOST and unavailable(_name(gates)) is None


def native_sequence(
    gates: Float[Tensor, "b T 4h"],
    U: Float[Tensor, "4h h"],
    h: Float[Tensor, "b h"],
    c: Float[Tensor, "b h"],
    mask: Float[Tensor, "b h"] | None,
) -> tuple[Float[Tensor, "b T h"], Float[Tensor, "b h"]]:
    """Compute the hidden states of all steps and the last c, like `lstm_sequence`."""
    run: Any = _Native.apply
    numbers = torch.promote_types(gates.dtype, torch.float32)
    operands = (None if tensor is None else tensor.to(numbers) for tensor in (gates, U, h, c, mask))
    outputs, last = cast(tuple[Tensor, Tensor], run(*operands))
    return outputs.to(gates.dtype), last.to(gates.dtype)


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, U: Tensor, h: Tensor, c: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        batch, steps, _ = gates.shape
        given = {"gates": gates.contiguous(), "h": h.contiguous(), "c": c.contiguous()}
        if mask is not None:
            given["mask"] = mask.contiguous()
        made = {
            name: gates.new_empty(batch, steps, h.shape[1])
            for name in ("fed", "states", "squashed", "outputs")
        }
        made["active"] = torch.empty_like(given["gates"])
        call = _Call(U, packed=_packed(U), **given, **made)
        call.each("lstm_forward", batch)
        outputs = made.pop("outputs")
        del given["gates"], given["h"]
        ctx.names = (*given, *made)
        ctx.save_for_backward(U, *given.values(), *made.values())
        return outputs, made["states"][:, -1].clone()

    @staticmethod
    def backward(ctx: Any, to_outputs: Tensor, to_last: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives(*NO_SECOND_DERIVATIVES)
        U, *saved = ctx.saved_tensors
        kept = dict(zip(ctx.names, saved, strict=True))
        made = {"to_gates": torch.empty_like(kept["active"]), "to_c": torch.empty_like(kept["c"])}
        if ctx.needs_input_grad[2]:
            made["to_h"] = torch.empty_like(kept["c"])
        given = {"to_outputs": to_outputs.contiguous(), "to_last": to_last.contiguous()}
        call = _Call(U, U=U.contiguous(), **kept, **given, **made)
        call.each("lstm_backward", len(to_outputs))
        to_U = call.weight() if ctx.needs_input_grad[1] else None
        return made["to_gates"], to_U, made.get("to_h"), made["to_c"], None


class _Call:
    """Tensors by their names in lstm.c, for calls of its functions."""

    def __init__(self, weight: Tensor, **tensors: Tensor) -> None:
        # The structure holds only addresses, so the tensors must be kept alive here.
        self.matrix, self.tensors = weight, tensors
        rows, self.hidden = weight.shape
        self.count = np.arange(max(rows, _DEPTH), dtype=np.int32)
        self.sequence = _Sequence(
            steps=tensors["fed"].shape[1],
            hidden=self.hidden,
            count=self.count.ctypes.data,
            **{name: tensor.data_ptr() for name, tensor in tensors.items()},
        )
        self.functions = _functions(_name(weight))

    def each(self, name: str, batch: int) -> None:
        """Call the function `name` of lstm.c in each thread for a share of the batch."""
        function, scratch = getattr(self.functions, name), self._scratch(batch)

        def work(first: int, end: int, share: int) -> None:
            function(self.sequence, first, end, scratch[share].data_ptr())

        parallel_for(batch, len(scratch), work)

    def weight(self) -> Tensor:
        """Compute the gradient of U; each thread computes a share of its rows."""
        scratch, to_U = self._scratch(len(self.matrix)), self.matrix.new_empty(self.matrix.shape)
        steps = self.tensors["fed"].flatten(0, 1).shape[0]

        def work(first: int, end: int, share: int) -> None:
            self.functions.lstm_weight(
                self.sequence, steps, first, end, scratch[share].data_ptr(), to_U.data_ptr()
            )

        parallel_for(len(self.matrix), len(scratch), work)
        return to_U

    def _scratch(self, most: int) -> Tensor:
        threads = max(1, min(torch.get_num_threads(), most))
        return self.matrix.new_empty(threads, self.functions.lstm_scratch(self.hidden))


def _packed(U: Tensor) -> Tensor:
    """Return U^T in the panels that the forward pass reads."""
    U, functions = U.contiguous(), _functions(_name(U))
    panels = U.new_empty(functions.lstm_packed(U.shape[1]))
    functions.lstm_pack(U.data_ptr(), U.shape[1], panels.data_ptr())
    return panels


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


@functools.cache
def _functions(dtype: str) -> ctypes.CDLL:
    native = library(dtype)
    sequence, pointer, size = ctypes.POINTER(_Sequence), ctypes.c_void_p, ctypes.c_long
    signatures: dict[str, list[Any]] = {
        "lstm_pack": [pointer, size, pointer],
        "lstm_forward": [sequence, size, size, pointer],
        "lstm_backward": [sequence, size, size, pointer],
        "lstm_weight": [sequence, size, size, size, pointer, pointer],
        "lstm_packed": [size],
        "lstm_scratch": [size],
    }
    for name, arguments in signatures.items():
        function = getattr(native, name)
        function.argtypes = arguments
        function.restype = size if name in ("lstm_packed", "lstm_scratch") else None
    return native
