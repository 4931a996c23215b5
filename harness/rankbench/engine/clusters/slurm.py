"""Run the workers of a study as one Slurm job array; each job joins the study as a worker."""

from __future__ import annotations

import math
import os
import shutil
import time
from typing import Any

from rankbench.common.address import split_password
from rankbench.common.text import status_counts
from rankbench.engine.clusters.slurm_job import WorkerJob
from rankbench.engine.runner import StudyRun
from rankbench.store.schema import RETRIED
from rankbench.study.estimate import estimate
from rankbench.study.files import find_study

_POLL_S = 1.0
_RULE = "-" * 22 + "\n"  # submitit prints this before and after a job's traceback.
_HEADROOM = 3  # Estimates are rough, and made on another machine.
_SHORTEST_MIN, _LONGEST_MIN = 60, 24 * 60
# How often submitit requeues a job that ran out of time. Its local executor allows at most 5.
_REQUEUES = {"local_max_num_timeout": 5, "slurm_max_num_timeout": 100}


def place(execution: StudyRun, study: str, overrides: list[str]) -> None:
    """Submit as many identical jobs as the study has workers, and wait for them.

    A password is passed to the jobs in the environment variable PGPASSWORD, so that no file
    contains it.

    Args:
        execution: The study to run.
        study: Name or path of the study, for the command line of the jobs.
        overrides: Overrides of the study, likewise.

    Raises:
        ValueError: submitit or sbatch is missing, or `slurm` contains an invalid setting.
        OSError: Jobs failed or ran out of time before every run was measured.
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
    executor = _executor(execution, count)
    jobs = executor.map_array(WorkerJob(), [arguments] * count)
    try:
        while not all(job.done() for job in jobs):
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        execution.stop.set()
        for job in jobs:
            job.cancel()
        return
    failures = [failure for job in jobs if (failure := job.exception()) is not None]
    execution.catch_up()
    left = _left(execution)
    if failures and left:
        raise OSError(
            f"Slurm jobs ended early; measured now: {status_counts(execution.measured)}; runs left:"
            f" {left}; run the same command again to measure them, with a larger slurm.timeout_min"
            f" if jobs ran out of time ({_reason(failures[0])}; output: {executor.folder})"
        )


def default_minutes(execution: StudyRun, jobs: int) -> int:
    """Return the time limit of a job in minutes, for studies whose `slurm` settings give none.

    It is three times the estimated time, between an hour and a day. A job that needs more is
    requeued, so a day is enough for any study. The runs of a sampled search are not known in
    advance; each is assumed to take its `time_limit_s`.
    """
    limit_s = execution.study.time_limit_s
    if execution.grid is None:
        work_s, longest_s = execution.planned() * limit_s, limit_s
    else:
        points = [point for point, _ in execution.pending()]
        seconds = estimate(points, execution.threads(), execution.together())
        runs = [min(limit_s, _HEADROOM * seconds[point.point_id]) for point in points]
        work_s, longest_s = sum(runs), max(runs, default=0.0)
    # In the worst case, a job begins the longest run last.
    minutes = (work_s / jobs + longest_s) / 60
    return math.ceil(min(max(minutes, _SHORTEST_MIN), _LONGEST_MIN))


def _executor(execution: StudyRun, jobs: int) -> Any:
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
    executor = submitit.AutoExecutor(folder=execution.folder / "jobs", cluster=cluster, **_REQUEUES)
    if "timeout_min" not in settings:
        settings["timeout_min"] = default_minutes(execution, jobs)
    try:
        executor.update_parameters(name=execution.study.name, **settings)
    except (NameError, TypeError, ValueError) as error:
        raise ValueError(f"slurm: {str(error).partition(chr(10))[0]}") from error
    return executor


def _left(execution: StudyRun) -> int:
    """Return the number of runs without a result; failed runs count as having one."""
    failed = sum(row["status"] in RETRIED for row in execution.own_rows())
    return max(0, execution.planned() - failed)


def _reason(failure: Exception) -> str:
    """Return the last line of a job's traceback, or of its output if there is no traceback."""
    _, _, text = str(failure).partition(_RULE)
    lines = (text.partition(_RULE)[0] or str(failure)).strip().splitlines()
    return lines[-1].strip() if lines else type(failure).__name__
