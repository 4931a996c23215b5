"""Declare the structures and function signatures of kernel.c for ctypes."""

from __future__ import annotations

import ctypes
import functools

from rankbench.layers.kernels.compiler import library


class NativeStage(ctypes.Structure):
    """`Stage` of kernel.c."""

    _fields_ = (
        *((name, ctypes.c_long) for name in ("H", "F", "K", "M", "run")),
        *((name, ctypes.c_void_p) for name in ("ho", "fo", "ko", "W", "Wt")),
    )


class NativeProgram(ctypes.Structure):
    """`Program` of kernel.c: a chain of stages."""

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
    """Return the native library for `dtype` with the signatures of kernel.c's functions set.

    Raises:
        ValueError: If there is no library; the error gives the reason.
    """
    native = library(dtype)
    program, pointer, size = ctypes.POINTER(NativeProgram), ctypes.c_void_p, ctypes.c_long
    native.scratch_size.argtypes = [program]
    native.scratch_size.restype = size
    native.forward.argtypes = [program, pointer, pointer, pointer, size, size, pointer]
    native.forward.restype = None
    native.backward.argtypes = [
        program, pointer, pointer, pointer, size, size, pointer, ctypes.POINTER(pointer), pointer,
    ]  # fmt: skip
    native.backward.restype = None
    return native
