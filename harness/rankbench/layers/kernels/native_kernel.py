"""Apply a contraction, and compute its gradients, with the native kernel (kernel.c).

lowering.py makes the tables of offsets that the kernel reads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from rankbench.layers.contraction.einsum import plan_merge
from rankbench.layers.contraction.stages import Contraction
from rankbench.layers.derivatives import refuse_second_derivatives
from rankbench.layers.kernels.compiler import parallel_for
from rankbench.layers.kernels.lowering import Chain, Lowered, Offsets, lower
from rankbench.layers.kernels.native_types import NativeProgram, NativeStage, kernel


def apply_native(contraction: Contraction, x: Tensor, cores: Sequence[Tensor]) -> Tensor:
    """Compute W x for every row of x on the CPU.

    The computation has the type of x; for bfloat16 it is float32, and only x, y and their
    gradients are rounded.

    Args:
        contraction: The contraction.
        x: The rows, (b, in_features).
        cores: The cores, in the order of the network.

    Returns:
        The rows W x, (b, out_features).
    """
    chain = lower(contraction)
    numbers = torch.promote_types(x.dtype, torch.float32)
    weights = [
        _padded(plan_merge(contraction.network, stage.group, step.weight).run(
            [cores[place].to(numbers) for place in stage.group]
        ), step)
        for stage, step in zip(contraction.stages, chain.stages, strict=True)
    ]  # fmt: skip
    run: Any = _Native.apply
    return cast(Tensor, run(chain, x, *weights)).to(x.dtype)


def _padded(weight: Tensor, step: Lowered) -> Tensor:
    h, _, k, m = step.sizes
    weight = weight.reshape(h, k, m)
    return torch.nn.functional.pad(weight, (0, step.width - m)) if step.width > m else weight


class _Native(torch.autograd.Function):
    """Autograd function of the native kernel: y = W x, and the gradients of x and the weights."""

    @staticmethod
    def forward(ctx: Any, chain: Chain, x: Tensor, *weights: Tensor) -> Tensor:
        x = x.contiguous()
        y = weights[0].new_empty(len(x), len(chain.yo))
        keep = chain.keep and any(ctx.needs_input_grad[2:])
        kept = y.new_empty(len(x), chain.joined) if keep else None
        ctx.chain = chain
        ctx.save_for_backward(x, kept, *weights)
        call = _Call(chain, weights, x)
        call.each(lambda first, end, scratch: call.kernel.forward(
            call.program, x.data_ptr(), y.data_ptr(), _pointer(kept), first, end, scratch
        ))  # fmt: skip
        return y

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives(
            "the native kernel", 'set layer.kernel=torch, or kernel="torch" of the layer in Python'
        )
        x, kept, *weights = ctx.saved_tensors
        gy = gy.contiguous()
        gx = gy.new_empty(x.shape) if ctx.needs_input_grad[1] else None
        call = _Call(ctx.chain, weights, x)
        sums: list[list[Tensor]] = []

        def work(first: int, end: int, scratch: int) -> None:
            gradients = [weight.new_zeros(weight.shape) for weight in weights]
            sums.append(gradients)
            pointers = (ctypes.c_void_p * len(gradients))(*(g.data_ptr() for g in gradients))
            call.kernel.backward(
                call.program, x.data_ptr(), gy.data_ptr(), _pointer(kept), first, end, scratch,
                pointers, _pointer(gx),
            )  # fmt: skip

        call.each(work)
        totals = sums[0]
        for gradients in sums[1:]:
            for total, gradient in zip(totals, gradients, strict=True):
                total += gradient
        return None, None if gx is None else gx.to(x.dtype), *totals


class _Call:
    """A chain and its weights as the structures that kernel.c takes, for calls over the rows of x.

    It holds every array that the structures point to.
    """

    def __init__(self, chain: Chain, weights: Sequence[Tensor], x: Tensor) -> None:
        self.kernel = kernel(str(x.dtype).removeprefix("torch."))
        self.x = x
        self.weights = [weight.contiguous() for weight in weights]
        self.flipped = [weight.mT.contiguous() for weight in self.weights]
        widest = max(max(step.sizes[2], step.width) for step in chain.stages)
        self.count = np.arange(widest, dtype=np.int32)
        self.stages = (NativeStage * len(chain.stages))(
            *(
                NativeStage(
                    *step.sizes[:3], step.width, step.run, *(_address(o) for o in step.offsets),
                    weight.data_ptr(), flipped.data_ptr(),
                )
                for step, weight, flipped in zip(
                    chain.stages, self.weights, self.flipped, strict=True
                )
            )
        )  # fmt: skip
        self.program = NativeProgram(
            len(chain.stages), chain.split, len(chain.tiles), x.shape[1], len(chain.yo), widest,
            x.dtype == torch.bfloat16, _address(chain.tiles), _address(chain.uo),
            _address(chain.yo), _address(self.count), self.stages,
        )  # fmt: skip

    def each(self, work: Any) -> None:
        """Divide the rows among threads and call work(first, end, scratch) in each.

        `scratch` is the address of the thread's scratch memory.
        """
        threads = max(1, min(torch.get_num_threads(), len(self.x)))
        scratch = self.weights[0].new_empty(threads, self.kernel.scratch_size(self.program))

        def part(first: int, end: int, share: int) -> None:
            work(first, end, scratch[share].data_ptr())

        parallel_for(len(self.x), threads, part)


def _address(array: Offsets) -> int:
    return int(array.ctypes.data)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
