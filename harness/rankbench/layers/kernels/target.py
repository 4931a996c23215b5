"""What a plan is made for: a device, a type and a number of threads, and how fast they are.

The rates are typical, not measured where a plan is made, so that a plan is the same everywhere.
Only their ratios matter to a choice; `tuned` plans measure instead.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


_KB, _MB = 1 << 10, 1 << 20
_ITEMSIZES = {"bfloat16": 2, "float16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True)
class Target:
    """Where a contraction runs: `device` cpu or cuda, torch's name of a `dtype`, `threads`."""

    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1

    @staticmethod
    def of(tensor: torch.Tensor) -> Target:
        """The target of a computation on `tensor` in this process."""
        import torch

        kind = tensor.device.type
        dtype = str(tensor.dtype).removeprefix("torch.")
        return Target(kind, dtype, torch.get_num_threads() if kind == "cpu" else 1)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return _ITEMSIZES[self.dtype]

    @property
    def speed(self) -> HardwareRates:
        """Typical rates here."""
        if self.device == "cuda":
            return _CUDA
        if self.dtype != "bfloat16":
            return _CPU
        # Without such instructions torch takes every number apart.
        return _fast_bfloat16() if multiplies_bfloat16() else replace(_CPU, gemm=5e9)


@dataclass(frozen=True)
class HardwareRates:
    """Rates of one thread, or of a whole GPU.

    `gemm`: FLOP/s of a large float32 product in torch; `native`: of the native kernel; `memory`:
    bytes/s of a copy; `call_s`: seconds of a small tensor operation; `small`: the size at which a
    dimension of a product costs half its speed; `uneven`: the share of its speed that is left when
    the columns are no multiple of 8; `chunk`: bytes of intermediates to keep at hand.
    """

    gemm: float
    native: float
    memory: float
    call_s: float
    small: float
    uneven: float
    chunk: int


# AMD EPYC (Zen 2 and 4), one thread, torch 2.13 with MKL: `rankbench bench` prints gemm and memory
# anew, `rankbench plans` shows whether the others lead to good choices.
_CPU = HardwareRates(
    gemm=67e9, native=86e9, memory=15e9, call_s=6e-6, small=8.0, uneven=0.6, chunk=4 * _MB
)
# Order of magnitude of an H100 in float32; not measured.
_CUDA = HardwareRates(
    gemm=40e12, native=0.0, memory=2e12, call_s=6e-6, small=64.0, uneven=0.8, chunk=512 * _MB
)


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions for products in bfloat16."""
    import torch

    # Not in every torch that this runs with.
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return able.get("avx512_bf16", False) or able.get("amx_bf16", False)


def _fast_bfloat16() -> HardwareRates:
    """Of Zen 4: `rankbench plans --dtype bfloat16`."""
    return replace(_CPU, gemm=134e9, memory=10e9, call_s=7e-6, small=10.0, uneven=0.8)
