"""The native library: C compiled once by the machine's own compiler, kept in the user's cache.

kernel.c contracts, lstm.c recurs. Without a compiler, or where compiling fails, torch runs.
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
# A comparison may raise a flag that nobody reads: without it a loop with one is not vectorised.
_FLAGS = ("-O3", "-march=native", "-fno-trapping-math", "-std=gnu11", "-shared", "-fPIC")
_TIMEOUT_S = 120.0
_REAL = {"float32": "float", "float64": "double", "bfloat16": "float"}  # what each is computed in


def unavailable(dtype: str) -> str | None:
    """Why there is no native library for `dtype` here, None where there is one."""
    found = _library(dtype)
    return found if isinstance(found, str) else None


def library(dtype: str) -> ctypes.CDLL:
    """The library that computes `dtype`: bfloat16 in float32.

    Raises ValueError where there is none, with the reason.
    """
    found = _library(dtype)
    if isinstance(found, str):
        raise ValueError(f"the native kernel cannot be used: {found}; choose kernel auto or torch")
    return found


def parallel_for(count: int, threads: int, work: Callable[[int, int, int], None]) -> None:
    """Call work(first, end, share) for shares of 0 .. count - 1, one a thread."""
    threads = max(1, min(threads, count))
    if threads == 1:
        work(0, count, 0)
        return
    bounds = [count * t // threads for t in range(threads + 1)]
    shares = zip(bounds, bounds[1:], range(threads), strict=False)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, *share) for share in shares]:
            done.result()


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
        return ctypes.CDLL(str(_built(compiler, _REAL[dtype])))
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        return f"{compiler} did not compile it: {detail.strip().splitlines()[0]}"


def _built(compiler: str, real: str) -> Path:
    """The shared library, compiled where these sources, compiler and CPU have none yet."""
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
    """What -march=native looks at: a home folder may be shared by different machines."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join([platform.machine(), platform.processor(), *told[:2]])
