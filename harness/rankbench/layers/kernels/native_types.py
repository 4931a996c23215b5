"""What kernel.c takes: its structures, and the types of its functions."""

from __future__ import annotations

import ctypes
import functools

from rankbench.layers.kernels.compiler import library


class NativeStage(ctypes.Structure):
    """A stage as kernel.c sees it."""

    _fields_ = (
        *((name, ctypes.c_long) for name in ("H", "F", "K", "M", "run")),
        *((name, ctypes.c_void_p) for name in ("ho", "fo", "ko", "W", "Wt")),
    )


class NativeProgram(ctypes.Structure):
    """A chain of stages as kernel.c sees it."""

    _fields_ = (
        *(
            (name, ctypes.c_long)
            for name in ("stages", "split", "tiles", "in_size", "out_size", "widest", "narrow")
        ),
        *((name, ctypes.c_void_p) for name in ("to", "uo", "yo", "count")),
        ("stage", ctypes.POINTER(NativeStage)),
    )


@functools.cache
def kernel(dtype: str) -> ctypes.CDLL:
    """The functions of kernel.c, compiled for `dtype`.

    Raises ValueError where there are none, with the reason.
    """
    found = library(dtype)
    program, pointer, size = ctypes.POINTER(NativeProgram), ctypes.c_void_p, ctypes.c_long
    found.scratch_size.argtypes = [program]
    found.scratch_size.restype = size
    found.forward.argtypes = [program, pointer, pointer, pointer, size, size, pointer]
    found.forward.restype = None
    found.backward.argtypes = [
        program, pointer, pointer, pointer, size, size, pointer, ctypes.POINTER(pointer), pointer,
    ]  # fmt: skip
    found.backward.restype = None
    return found
