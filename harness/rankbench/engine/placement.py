"""Distribute the workers of a study over this machine's GPUs and cores."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rankbench.study.config import Study

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the runs of a worker execute."""

    device: str
    """Torch device: cpu or cuda."""
    threads: int
    """Torch threads of a run."""
    gpu_index: int | None
    """Index of the GPU, as torch counts in this process; None on a CPU."""
    environment: dict[str, str]
    """Variables that a run sets before it initialises CUDA, so that it sees only its GPU."""


def device(study: Study) -> str:
    """Return the torch device of all runs of a study: cpu or cuda."""
    import torch

    if study.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return study.device


def gpus() -> list[str]:
    """Return the name in CUDA_VISIBLE_DEVICES of each GPU that torch sees, in torch's order."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    return named[:count] if named else [str(index) for index in range(count)]


def worker_count(study: Study) -> int:
    """Return the number of runs at a time: `workers`, or `workers_per_device` on each GPU."""
    if study.workers_per_device is None or device(study) != "cuda":
        return study.workers
    return study.workers_per_device * len(gpus())


def threads(study: Study) -> int:
    """Return the torch threads of one run: the study's setting, or an equal share of the cores."""
    cores = len(os.sched_getaffinity(0))
    return study.threads or max(1, cores // worker_count(study))


def place(study: Study, worker: int) -> Place:
    """Return where the runs of a worker execute; GPUs are assigned to workers in turn.

    Args:
        study: The study.
        worker: Index of the worker, from 0.
    """
    kind, index, environment = device(study), None, {}
    if kind == "cuda":
        names = gpus()
        index = worker % len(names)
        environment = {_VISIBLE: names[index]}
    return Place(device=kind, threads=threads(study), gpu_index=index, environment=environment)
