"""The native kernel: compiled once by the machine's own C compiler, kept in the user's cache.

Without a compiler, or where compiling fails, there is no kernel and contractions run in torch.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.cache import cache_folder

_SOURCE = Path(__file__).with_name("kernel.c")
_FLAGS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC")
_TIMEOUT_S = 120.0
TYPES = {"float32": "float", "float64": "double"}


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
            for name in ("stages", "split", "tiles", "in_size", "out_size", "widest")
        ),
        *((name, ctypes.c_void_p) for name in ("to", "uo", "yo", "count")),
        ("stage", ctypes.POINTER(NativeStage)),
    )


def unavailable(dtype: str) -> str | None:
    """Why there is no kernel for `dtype` here, None where there is one."""
    found = _library(dtype)
    return found if isinstance(found, str) else None


def library(dtype: str) -> ctypes.CDLL:
    """The compiled kernel for `dtype`.

    Raises ValueError where there is none, with the reason.
    """
    found = _library(dtype)
    if isinstance(found, str):
        raise ValueError(f"the native kernel cannot be used: {found}; choose kernel auto or torch")
    return found


@functools.cache
def _library(dtype: str) -> ctypes.CDLL | str:
    if dtype not in TYPES:
        return f"it computes in {' or '.join(TYPES)}, not in {dtype}"
    if os.environ.get("RANKBENCH_NATIVE") == "0":
        return "RANKBENCH_NATIVE=0 turns it off"
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "no C compiler (cc, gcc or $CC) was found"
    try:
        return _typed(ctypes.CDLL(str(_built(compiler, dtype))))
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        return f"{compiler} did not compile it: {detail.strip().splitlines()[0]}"


def _built(compiler: str, dtype: str) -> Path:
    """The shared library, compiled where this source, compiler and CPU have none yet."""
    version = _output(compiler, "--version").splitlines()[0]
    identity = (_SOURCE.read_text(), version, str(_FLAGS), dtype, _cpu())
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
    path = cache_folder() / f"native-{digest}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            real = f"-DREAL={TYPES[dtype]}"
            _output(compiler, *_FLAGS, real, str(_SOURCE), "-o", str(made))
            made.replace(path)
    return path


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=_TIMEOUT_S)
    return done.stdout


def _cpu() -> str:
    """What -march=native looks at: a home folder may be shared by different machines."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join([platform.machine(), platform.processor(), *told[:2]])


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    program, pointer, size = ctypes.POINTER(NativeProgram), ctypes.c_void_p, ctypes.c_long
    library.scratch_size.argtypes = [program]
    library.scratch_size.restype = size
    library.forward.argtypes = [program, pointer, pointer, pointer, size, size, pointer]
    library.forward.restype = None
    library.backward.argtypes = [
        program, pointer, pointer, pointer, size, size, pointer, ctypes.POINTER(pointer), pointer,
    ]  # fmt: skip
    library.backward.restype = None
    return library
