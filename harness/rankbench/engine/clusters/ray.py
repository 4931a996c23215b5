"""Run the workers of a study on a Ray cluster: one actor per GPU, or per share of the CPUs."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from rankbench.engine.runner import StudyRun
from rankbench.study.config import Study
from rankbench.study.in_progress import Recorder

_POLL_S = 1.0
_GRACE_S = 30.0  # Seconds that workers get to stop.


class Member:
    """A Ray actor that runs one worker of a study."""

    def __init__(self, study: Study) -> None:
        self._execution = StudyRun(study)

    def work(self) -> str | None:
        """Measure runs until none is left.

        Returns:
            The message of the exception that stopped the worker, or None.
        """
        try:
            with Recorder(self._execution.folder) as recorder:
                self._execution.join(recorder, again=False)
        except (ValueError, OSError) as failure:
            return str(failure)
        return None

    def stop(self) -> None:
        """Stop the worker."""
        self._execution.stop.set()


def place(execution: StudyRun, study: str, overrides: list[str]) -> None:
    """Run workers on the Ray cluster at RAY_ADDRESS, or on a local one, and wait for them.

    If a node is lost, Ray restarts its worker on another node. By then, the trial that the lost
    worker was running is waiting again.

    Args:
        execution: The study to run.
        study: Not used; the signature is that of all clusters.
        overrides: Not used, likewise.

    Raises:
        ValueError: Ray is not installed.
        OSError: A worker failed.
    """
    ray = _ray()
    ray.init(address=os.environ.get("RAY_ADDRESS", "local"), log_to_driver=False)
    try:
        members = _members(ray, execution)
        jobs = {member.work.remote(): member for member in members}
        try:
            failures = _wait(ray, jobs)
        except KeyboardInterrupt:
            execution.stop.set()
            for member in jobs.values():
                member.stop.remote()
            ray.wait(list(jobs), num_returns=len(jobs), timeout=_GRACE_S)
            return
    finally:
        ray.shutdown()
    if failures:
        raise OSError(failures[0])


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Send no usage statistics.
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError("engine=ray needs Ray: pip install 'rankbench[ray]'") from error
    return ray


def _members(ray: Any, execution: StudyRun) -> list[Any]:
    """Create as many actors as the cluster has room for, but no more than the study has runs."""
    study, room = execution.study, ray.cluster_resources()
    if study.device != "cpu" and room.get("GPU", 0) >= 1:
        share: dict[str, float] = {"num_gpus": 1, "num_cpus": 1}
        count = int(room["GPU"])
    else:
        share = {"num_cpus": study.threads or 1}
        count = int(room.get("CPU", 0) // share["num_cpus"])
    count = max(1, min(count, execution.planned()))
    own = dataclasses.replace(study, workers=1, threads=study.threads or 1, engine="local")
    actor = ray.remote(Member).options(
        max_restarts=-1, max_task_retries=-1, max_concurrency=2, **share
    )
    return [actor.remote(own) for _ in range(count)]


def _wait(ray: Any, jobs: dict[Any, Any]) -> list[str]:
    """Wait for all workers, and return the messages of those that failed."""
    failures = []
    while jobs:
        ended, _ = ray.wait(list(jobs), num_returns=1, timeout=_POLL_S)
        for job in ended:
            failure = ray.get(job)
            ray.kill(jobs.pop(job))  # Make room for workers that Ray restarts.
            if failure is not None:
                failures.append(failure)
    return failures
