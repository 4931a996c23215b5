"""Describe what a plan is made for: the device, dtype and threads, and how fast they are.

The rates are typical values, not measurements of this machine, so that a plan is the same on every
machine. Only their ratios affect a choice. `tuned` plans measure instead.
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
    """What a contraction runs on, and in which type."""

    device: str = "cpu"
    """`cpu` or `cuda`."""
    dtype: str = "float32"
    """The type of the products, by torch's name."""
    threads: int = 1
    """Number of CPU threads; 1 on a GPU."""

    @staticmethod
    def of(tensor: torch.Tensor) -> Target:
        """Return the target of a computation on `tensor` in this process."""
        import torch

        kind = tensor.device.type
        dtype = str(tensor.dtype).removeprefix("torch.")
        return Target(kind, dtype, torch.get_num_threads() if kind == "cpu" else 1)

    @property
    def itemsize(self) -> int:
        """Bytes of a number of this dtype."""
        return _ITEMSIZES[self.dtype]

    @property
    def speed(self) -> HardwareRates:
        """Typical rates of the device for this dtype."""
        if self.device == "cuda":
            return _CUDA
        if self.dtype != "bfloat16":
            return _CPU
        # Without instructions for bfloat16, torch converts every number and products are slow.
        return _fast_bfloat16() if multiplies_bfloat16() else replace(_CPU, gemm=5e9)


@dataclass(frozen=True)
class HardwareRates:
    """Typical rates of one CPU thread, or of a whole GPU."""

    gemm: float
    """FLOP/s of a large product in torch."""
    native: float
    """FLOP/s of a large float32 product in the native kernel; 0 on a GPU."""
    memory: float
    """Bytes/s of a copy in memory."""
    call_s: float
    """Seconds of a small tensor operation."""
    small: float
    """Size of a dimension of a product at which the product runs at half its rate."""
    uneven: float
    """Share of the rate that is left if the number of columns is not a multiple of 8."""
    chunk: int
    """Bytes of intermediates of one chunk of rows, for each thread."""


# AMD EPYC (Zen 2 and 4), one thread, torch 2.13 with MKL. `rankbench bench` measures gemm and
# memory; `rankbench plans` shows whether the other numbers lead to good choices.
_CPU = HardwareRates(
    gemm=67e9, native=86e9, memory=15e9, call_s=6e-6, small=8.0, uneven=0.6, chunk=4 * _MB
)
# The order of magnitude of an H100 in float32, not measured.
_CUDA = HardwareRates(
    gemm=40e12, native=0.0, memory=2e12, call_s=6e-6, small=64.0, uneven=0.8, chunk=512 * _MB
)


@functools.cache
def multiplies_bfloat16() -> bool:
    """Return whether the CPU has instructions for products in bfloat16."""
    import torch

    # Older versions of torch lack get_capabilities; they count as a CPU without the instructions.
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return able.get("avx512_bf16", False) or able.get("amx_bf16", False)


def _fast_bfloat16() -> HardwareRates:
    """Return the rates of Zen 4 in bfloat16, found with `rankbench plans --dtype bfloat16`."""
    return replace(_CPU, gemm=134e9, memory=10e9, call_s=7e-6, small=10.0, uneven=0.8)
