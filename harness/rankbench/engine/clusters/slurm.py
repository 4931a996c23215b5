"""Place the workers of a study as one Slurm job array: each job joins it like any worker."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from typing import Any

from rankbench.common.address import split_password
from rankbench.common.exit_codes import USAGE
from rankbench.engine.runner import StudyRun
from rankbench.study.config import find_study

_POLL_S = 1.0


def place(execution: StudyRun, study: str, overrides: list[str]) -> None:
    """Submit as many identical jobs as the study has workers, and wait for them.

    A password goes to the jobs in PGPASSWORD of their environment, so that no file has it.

    Raises ValueError without submitit or sbatch, OSError where no job did its part.
    """
    url, password = split_password(execution.study.storage)
    if password is not None:
        os.environ["PGPASSWORD"] = password
    arguments = [
        "work",
        str(find_study(study).resolve()),
        *(each for each in overrides if each.lstrip("+").partition("=")[0] != "storage"),
        f"storage={url!r}",
        "engine=local",
        "workers=1",
    ]
    count = max(1, min(execution.study.workers, execution.planned()))
    executor = _executor(execution)
    jobs = executor.map_array(join, [arguments] * count)
    try:
        while not all(job.done() for job in jobs):
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        execution.stop.set()
        for job in jobs:
            job.cancel()
        return
    failures = [job.exception() for job in jobs]
    if all(failure is not None for failure in failures):
        raise OSError(f"no Slurm job did its part; see {executor.folder}: {_short(failures[0])}")


def join(arguments: list[str]) -> int:
    """What each job does: `rankbench work`."""
    # The command line starts jobs, and jobs the command line, which is looked up by name.
    code = int(importlib.import_module("rankbench.cli.main").main(arguments))
    if code == USAGE:
        raise ValueError("rankbench work refused its arguments; see the job's standard error")
    return code


def _executor(execution: StudyRun) -> Any:
    settings = dict(execution.study.slurm)
    cluster = settings.pop("cluster", "slurm")
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise ValueError(
            "engine=slurm needs sbatch on this machine: start it on a login node of the cluster,"
            " or set slurm.cluster=local to run the jobs here"
        )
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise ValueError("engine=slurm needs submitit: pip install 'rankbench[slurm]'") from error
    executor = submitit.AutoExecutor(folder=execution.folder / "jobs", cluster=cluster)
    try:
        executor.update_parameters(name=execution.study.name, **settings)
    except (NameError, TypeError, ValueError) as error:
        raise ValueError(f"slurm: {str(error).partition(chr(10))[0]}") from error
    return executor


def _short(failure: Any) -> str:
    lines = [line for line in str(failure).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(failure).__name__
