"""The Slurm job: run a worker, stop it shortly before the time limit, and requeue."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rankbench.common.exit_codes import USAGE
from rankbench.common.prctl import end_with_parent

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_STOP_S = 20.0  # Seconds to stop the worker; submitit signals at least 30 s before the limit.


class WorkerJob:
    """A job that runs `rankbench work`, and that submitit can stop and requeue.

    The worker is a separate process, because submitit calls `checkpoint` from a signal handler and
    requeues the job as soon as that returns. By then, the worker must have stopped its run, which
    leaves a checkpoint, and released its trial.
    """

    def __init__(self) -> None:
        self._worker: SpawnProcess | None = None

    def __call__(self, arguments: list[str]) -> int:
        """Run `rankbench` with `arguments` until it ends.

        Args:
            arguments: The command line, without the name of the program.

        Returns:
            The exit code: 0, or 1 if some runs failed.

        Raises:
            ValueError: The worker rejected its arguments.
            RuntimeError: The worker was killed.
        """
        worker = self._start(arguments)
        try:
            worker.join()
        finally:  # A cancelled job receives SIGINT.
            _stop(worker)
        code = worker.exitcode
        if code == USAGE:
            raise ValueError("rankbench work refused its arguments; see the job's standard error")
        if code is None or code < 0:
            raise RuntimeError(f"rankbench work was ended by signal {code and -code}")
        return code

    def checkpoint(self, arguments: list[str]) -> Any:
        """Stop the worker, and return the submission with which submitit requeues this job."""
        from submitit.helpers import DelayedSubmission

        if self._worker is not None:
            _stop(self._worker)
        return DelayedSubmission(type(self)(), arguments)

    def run(self, arguments: list[str]) -> int:
        """Run `rankbench` with `arguments` in the worker's process, and return its exit code."""
        # Imported by name, because the command line itself imports this package.
        return int(importlib.import_module("rankbench.cli.main").main(arguments))

    def _start(self, arguments: list[str]) -> SpawnProcess:
        """Start the worker with submitit's signal blocked, which its child processes inherit.

        Some Slurm clusters send the signal to every process of a job, which would kill a process
        that neither handles nor blocks it. It is also blocked here until the worker is known.
        """
        from submitit import JobEnvironment

        ending = {signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]}
        worker = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self.run, arguments, os.getpid())
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        try:
            worker.start()
            self._worker = worker
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)
        return worker


def _work(run: Callable[[list[str]], int], arguments: list[str], parent: int) -> None:
    end_with_parent(parent, signal.SIGTERM)
    sys.exit(run(arguments))


def _stop(worker: SpawnProcess) -> None:
    """Let the worker end its run and release its trial; kill it if that takes too long."""
    worker.terminate()
    worker.join(_STOP_S)
    if worker.exitcode is None:
        worker.kill()  # Another worker gets its trial when the heartbeats stop.
        worker.join()
