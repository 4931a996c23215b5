"""Where the runs of a study go on this machine: workers, their devices and threads."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rankbench.study.config import Study

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker's runs execute: torch device, threads; of a GPU its index, as torch counts.

    `environment`: variables that a run sets before it looks for a GPU, so that it sees its own.
    """

    device: str
    threads: int
    gpu_index: int | None
    environment: dict[str, str]


def device(study: Study) -> str:
    """The torch device of every run of a study: cpu or cuda."""
    import torch

    if study.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return study.device


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls each GPU that torch sees, in torch's order."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    return named[:count] if named else [str(index) for index in range(count)]


def worker_count(study: Study) -> int:
    """Runs at a time: `workers`, or `workers_per_device` on each GPU where there are any."""
    if study.workers_per_device is None or device(study) != "cuda":
        return study.workers
    return study.workers_per_device * len(gpus())


def threads(study: Study) -> int:
    """Torch threads of one run: those the study sets, or its share of the cores."""
    cores = len(os.sched_getaffinity(0))
    return study.threads or max(1, cores // worker_count(study))


def place(study: Study, worker: int) -> Place:
    """Where the runs of a worker execute; workers take turns with the GPUs."""
    kind, index, environment = device(study), None, {}
    if kind == "cuda":
        found = gpus()
        index = worker % len(found)
        environment = {_VISIBLE: found[index]}
    return Place(device=kind, threads=threads(study), gpu_index=index, environment=environment)
