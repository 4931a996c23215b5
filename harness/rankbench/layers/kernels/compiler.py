"""Compile the native library with the machine's C compiler and cache it for the user.

The library holds kernel.c (contractions) and lstm.c (the LSTM's recurrence). If there is no
compiler, or if compilation fails, torch is used instead.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rankbench.common.cache_dir import cache_folder

_FOLDER = Path(__file__).parent
_SOURCES = (_FOLDER / "kernel.c", _FOLDER.parents[1] / "cells" / "lstm.c")
_HEADERS = tuple(_FOLDER / name for name in ("tiles.h", "scatter.h"))
# -fno-trapping-math lets the compiler vectorise loops with comparisons; nothing here reads
# floating-point exception flags.
_FLAGS = ("-O3", "-march=native", "-fno-trapping-math", "-std=gnu11", "-shared", "-fPIC")
_TIMEOUT_S = 600.0  # Compiling takes 10 s, and minutes on a busy machine.
_REAL = {"float32": "float", "float64": "double", "bfloat16": "float"}  # dtype -> type in C


def unavailable(dtype: str) -> str | None:
    """Return why there is no native library for `dtype` on this machine, or None if there is."""
    loaded = _library(dtype)
    return loaded if isinstance(loaded, str) else None


def library(dtype: str) -> ctypes.CDLL:
    """Return the native library for `dtype`, compiled at the first call on a machine.

    Args:
        dtype: `float32`, `float64` or `bfloat16`, which is computed in float32.

    Raises:
        ValueError: If there is no library; the error gives the reason.
    """
    loaded = _library(dtype)
    if isinstance(loaded, str):
        raise ValueError(f"the native kernel cannot be used: {loaded}; choose kernel auto or torch")
    return loaded


def parallel_for(count: int, threads: int, work: Callable[[int, int, int], None]) -> None:
    """Divide 0 .. count - 1 into one range for each thread, and process the ranges in parallel.

    Args:
        count: Number of items.
        threads: Number of threads; at most one for each item is used.
        work: Called as work(first, end, share) for items first .. end - 1, where `share` counts
            the ranges from 0. It must release the interpreter's lock to run in parallel.
    """
    threads = max(1, min(threads, count))
    if threads == 1:
        work(0, count, 0)
        return
    bounds = [count * t // threads for t in range(threads + 1)]
    shares = zip(bounds, bounds[1:], range(threads), strict=False)
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, *share) for share in shares]:
            future.result()


@functools.cache
def _library(dtype: str) -> ctypes.CDLL | str:
    if dtype not in _REAL:
        return f"dtype must be one of {', '.join(_REAL)}, got {dtype}"
    if os.environ.get("RANKBENCH_NATIVE") == "0":
        return "RANKBENCH_NATIVE=0 turns it off"
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "no C compiler (cc, gcc or $CC) was found"
    try:
        return ctypes.CDLL(str(_compile(compiler, _REAL[dtype])))
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        return f"{compiler} did not compile it: {detail.strip().splitlines()[0]}"


def _compile(compiler: str, real: str) -> Path:
    """Compile the shared library unless it is cached for these sources, compiler and CPU."""
    version = _output(compiler, "--version").splitlines()[0]
    texts = (source.read_text() for source in (*_SOURCES, *_HEADERS))
    identity = (*texts, version, str(_FLAGS), real, _cpu())
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
    path = cache_folder() / f"native-{digest}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            options = (*_FLAGS, f"-I{_FOLDER}", f"-DREAL={real}")
            _output(compiler, *options, *map(str, _SOURCES), "-o", str(made))
            made.replace(path)
    return path


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=_TIMEOUT_S)
    return done.stdout


def _cpu() -> str:
    """Describe the CPU that -march=native compiles for; machines may share the cache folder."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join([platform.machine(), platform.processor(), *model[:2]])
