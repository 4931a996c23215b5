"""Decode clips in worker processes, so that a decoder that crashes or hangs costs only one clip."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import av.logging
import numpy as np

from rankbench.common.orphan import end_with_parent
from rankbench.data.video.framing import Framing, framed
from rankbench.data.video.media import Media

# The fork server imports av once; workers are forked from it within milliseconds.
_processes = multiprocessing.get_context("forkserver")
_PRELOAD = ["rankbench.data.video.decoders"]
_AHEAD = 3  # Clips per worker that may be decoded before they are needed.
_POLL_S = 0.5
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A clip to decode."""

    media: Media
    """The pictures of the clip."""
    target: Path
    """The file to write, one row of pixels per stored frame."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The result of a job."""

    frames: int = 0
    """Frames written."""
    clip_len: int = 0
    """Frames of the source."""
    problem: str = ""
    """Why the clip could not be decoded; empty on success."""
    full: bool = False
    """Whether the problem is a full or read-only disk, not the clip."""


def decode_in_order(
    jobs: Sequence[Job], framing: Framing, *, workers: int, time_limit_s: float
) -> Iterator[Decoded]:
    """Decode clips in parallel, and yield the results in the order of the jobs.

    A job that exceeds the time limit or crashes its process yields a problem; the others continue.

    Args:
        jobs: Clips to decode.
        framing: Size of a picture, and which frames are stored.
        workers: Number of processes.
        time_limit_s: Limit in seconds for each job.
    """
    _processes.set_forkserver_preload(_PRELOAD)
    waiting, ready = deque(range(len(jobs))), dict[int, Decoded]()
    crew = [_Worker(framing, time_limit_s) for _ in range(min(workers, len(jobs)))]
    try:
        for position in range(len(jobs)):
            while position not in ready:
                for worker in crew:
                    if worker.idle and waiting and waiting[0] < position + _AHEAD * len(crew):
                        number = waiting.popleft()
                        worker.start(number, jobs[number])
                ready.update(_collect_finished(crew))
            yield ready.pop(position)
    finally:
        for worker in crew:
            worker.stop()


def _collect_finished(crew: Sequence[_Worker]) -> dict[int, Decoded]:
    """Wait until a job ends or half a second has passed, and return the results of ended jobs."""
    busy = [worker for worker in crew if not worker.idle]
    now = time.monotonic()
    remaining_s = min(worker.deadline - now for worker in busy)
    wait([worker.pipe for worker in busy], timeout=max(0.0, min(remaining_s, _POLL_S)))
    finished = {}
    for worker in busy:
        outcome = worker.outcome()
        if outcome is not None:
            finished[worker.job] = outcome
            worker.idle = True
    return finished


class _Worker:
    """A process that decodes one job after the other; it is restarted if it dies."""

    pipe: Connection
    deadline: float
    job: int

    def __init__(self, framing: Framing, time_limit_s: float) -> None:
        self._framing, self._time_limit_s = framing, time_limit_s
        self._process: multiprocessing.process.BaseProcess | None = None
        self.idle = True

    def start(self, number: int, job: Job) -> None:
        if self._process is not None and not self._process.is_alive():
            self.stop()
        if self._process is None:
            self._begin()
        self.job, self.idle = number, False
        self.deadline = time.monotonic() + self._time_limit_s
        with contextlib.suppress(OSError):  # If the process has just died, outcome() reports it.
            self.pipe.send(job)

    def outcome(self) -> Decoded | None:
        """Return the result of the job, None while it is running."""
        try:
            if self.pipe.poll():
                answer: Decoded = self.pipe.recv()
                return answer
        except (EOFError, OSError):
            return self._fail(f"the decoder died, {self._exit()}")
        if time.monotonic() < self.deadline:
            return None
        return self._fail(f"it took longer than {self._time_limit_s:g} s")

    def stop(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
            self.pipe.close()

    def _begin(self) -> None:
        self.pipe, theirs = _processes.Pipe()
        arguments = (theirs, self._framing)
        process = _processes.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        self._process = process
        theirs.close()

    def _exit(self) -> str:
        assert self._process is not None
        self._process.join(_POLL_S)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"by signal {-code} ({signal.Signals(-code).name})"
        return f"with exit code {code}"

    def _fail(self, problem: str) -> Decoded:
        self.stop()
        return Decoded(problem=problem)


def _serve(pipe: Connection, framing: Framing) -> None:
    # Ctrl-C interrupts the whole process group, but the parent decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    av.logging.set_level(None)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(decode(job, framing))


def decode(job: Job, framing: Framing) -> Decoded:
    """Decode a clip into its file; a source that cannot be used gives a problem, not an exception.

    Args:
        job: The clip, and the file to write.
        framing: Size of a picture, and which frames are stored.
    """
    try:
        written, total = _write(job, framing)
        if not written:
            return Decoded(problem="it contains no frame")
        return Decoded(frames=_choose(job.target, framing, written), clip_len=total)
    except OSError as error:
        reason, full = error.strerror or str(error), error.errno in _FULL
        return Decoded(problem=reason if full else f"it cannot be read: {reason}", full=full)
    except (ValueError, MemoryError) as error:
        return Decoded(problem=str(error) or "it does not fit into memory")


def _write(job: Job, framing: Framing) -> tuple[int, int]:
    """Write every K-th picture; return the numbers of pictures written and in the source."""
    written = total = 0
    with job.target.open("wb") as file:
        for total, (picture, pixel) in enumerate(job.media.shots(), 1):
            if (total - 1) % framing.every == 0:
                file.write(framed(picture(), framing, pixel))
                written += 1
    return written, total


def _choose(target: Path, framing: Framing, have: int) -> int:
    """Keep only the chosen rows in the file, and return their number."""
    chosen = framing.chosen(have)
    if len(chosen) < have:
        rows = np.memmap(target, np.uint8, "r", shape=(have, framing.features))
        np.array(rows[list(chosen)]).tofile(target)
    return len(chosen)
