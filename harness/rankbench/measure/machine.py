"""Describe the machine, the software versions and the commit of a run, as columns of `runs`."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from rankbench.common.version import VERSION

_CODE = Path(__file__).resolve()
_CPUINFO = Path("/proc/cpuinfo")
_HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
_TIMEOUT_S = 60.0  # a busy machine must not cost a row its commit
_MB = 10**6
_SMI = (
    "nvidia-smi",
    "--query-gpu=uuid,driver_version,clocks.sm",
    "--format=csv,noheader,nounits",
)


def provenance(device: str, gpu_index: int = 0) -> dict[str, Any]:
    """Return the columns of `runs` that describe where a run is measured.

    Clock rates are those at the moment of the call; the commit is that at the first call. A value
    that cannot be read is None; nothing is raised.

    Args:
        device: `cpu` or `cuda`.
        gpu_index: Number of the GPU that the run uses, as torch counts GPUs.
    """
    import torch

    commit, dirty = _commit()
    readers: dict[str, Callable[[], Any]] = {
        "threads": torch.get_num_threads,
        "host": lambda: hashlib.sha256(platform.node().encode()).hexdigest()[:12],
        "cpu": _cpu,
        "cpu_cores": cpu_cores,
        "cpu_mhz": lambda: float(psutil.cpu_freq().current) or None,
        "memory_mb": lambda: psutil.virtual_memory().total // _MB,
        "python_version": platform.python_version,
        "torch_version": lambda: str(torch.__version__),
    }
    return {
        "device": device,
        **{name: _or_null(read) for name, read in readers.items()},
        **_gpu(device, gpu_index),
        "rankbench_version": VERSION,
        "git_commit": commit,
        "git_dirty": dirty,
    }


def _or_null(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception:  # No failure to read a property of the machine may end a run.
        return None


def _cpu() -> str | None:
    text = _CPUINFO.read_text() if _CPUINFO.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.processor() or None


def cpu_cores() -> int | None:
    """Return the number of CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Only Linux reports which cores a process may use.
        return os.cpu_count()


def _gpu(device: str, index: int) -> dict[str, Any]:
    import torch

    names = ("gpu", "gpu_index", "gpu_driver", "gpu_mhz", "gpu_memory_mb")
    facts: dict[str, Any] = dict.fromkeys(names)
    gpu = _or_null(lambda: torch.cuda.get_device_properties(index)) if device == "cuda" else None
    if gpu is not None:
        memory_mb = gpu.total_memory // _MB
        facts |= {"gpu": gpu.name, "gpu_index": index, "gpu_memory_mb": memory_mb}
        answer = _or_null(lambda: _output(*_SMI))
        if answer:
            facts |= _parse_smi(answer, str(getattr(gpu, "uuid", "")))
    return facts


def _parse_smi(answer: str, uuid: str) -> dict[str, Any]:
    """Return driver and clock of a GPU from lines "GPU-uuid, driver, MHz", one for each GPU."""
    lines = [[part.strip() for part in line.split(",")] for line in answer.splitlines()]
    valid = [line for line in lines if len(line) == 3]
    # All GPUs share a driver. The clock is that of the line with this GPU's UUID; if no line has
    # it and there is more than one, the clock is None.
    clocks = [clock for name, _, clock in valid if len(valid) == 1 or (uuid and uuid in name)]
    return {
        "gpu_driver": valid[0][1] if valid else None,
        "gpu_mhz": _or_null(lambda: float(clocks[0])),
    }


@lru_cache(maxsize=1)
def _commit() -> tuple[str | None, bool | None]:
    """Return the commit of the checkout that tracks this file, and whether it has changes."""
    try:
        # Rankbench may be installed inside the checkout of another project, which must not count.
        _git("ls-files", "--error-unmatch", str(_CODE))
        # A study that writes to the checkout's results/ does not change the code it measures.
        changes = _git("status", "--porcelain", "--", ":/", ":(top,exclude)results")
        return _git("rev-parse", "HEAD"), changes != ""
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(*arguments: str) -> str:
    return _output("git", "--no-optional-locks", "-C", str(_CODE.parent), *arguments)


def _output(*command: str) -> str:
    # In a git hook these variables override -C and name the hook's checkout.
    environment = {key: value for key, value in os.environ.items() if key not in _HOOK}
    done = subprocess.run(
        command,
        capture_output=True,
        check=True,
        env=environment,
        errors="replace",
        text=True,
        timeout=_TIMEOUT_S,
    )
    return done.stdout.strip()
