"""Jobs for tests of the Slurm engine; submitit looks them up by name, in processes of its own."""

from __future__ import annotations

from rankbench.engine.clusters.slurm_job import WorkerJob


class ProbeJob(WorkerJob):
    """A job whose worker knows the task of tests/helpers/probe.py."""

    def run(self, arguments: list[str]) -> int:
        from rankbench.tasks import TASKS
        from tests.helpers.probe import Probe

        TASKS["probe"] = Probe
        return super().run(arguments)


class FailingJob(WorkerJob):
    """A job that cannot begin."""

    def __call__(self, arguments: list[str]) -> int:
        raise RuntimeError("this node has no disk")
