"""Clips decoded in processes of their own: one that crashes or hangs costs that clip alone."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import av.logging
import numpy as np

from rankbench.data.video.framing import Framing, framed
from rankbench.data.video.media import Media

# The server imports av once; a worker then starts as its fork, in milliseconds.
_processes = multiprocessing.get_context("forkserver")
_PRELOAD = ["rankbench.data.video.decoders"]
_AHEAD = 3  # clips a worker may be ahead of the one that is waited for
_POLL_S = 0.5
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A clip to decode into a file of rows at `target`."""

    media: Media
    target: Path


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What came of a job: `frames` rows of the `clip_len` the source has, or what went wrong.

    `full`: it went wrong for want of space, which is no fault of the clip.
    """

    frames: int = 0
    clip_len: int = 0
    problem: str = ""
    full: bool = False


def decode_in_order(
    jobs: Sequence[Job], framing: Framing, *, workers: int, time_limit_s: float
) -> Iterator[Decoded]:
    """What came of each job, in the order of `jobs`, whichever worker was first.

    A job that takes longer than `time_limit_s` or ends its process is a problem; the others go on.
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
                ready.update(_collected(crew))
            yield ready.pop(position)
    finally:
        for worker in crew:
            worker.stop()


def _collected(crew: Sequence[_Worker]) -> dict[int, Decoded]:
    """What came of jobs that ended, once one has or a moment passed."""
    busy = [worker for worker in crew if not worker.idle]
    now = time.monotonic()
    patience = min(worker.deadline - now for worker in busy)
    wait([worker.pipe for worker in busy], timeout=max(0.0, min(patience, _POLL_S)))
    ended = {}
    for worker in busy:
        outcome = worker.outcome()
        if outcome is not None:
            ended[worker.job] = outcome
            worker.idle = True
    return ended


class _Worker:
    """A process that decodes one job after the other, and is started anew when it died."""

    pipe: Connection
    deadline: float
    job: int

    def __init__(self, framing: Framing, time_limit_s: float) -> None:
        self._framing, self._time_limit_s = framing, time_limit_s
        self._process: multiprocessing.process.BaseProcess | None = None
        self._leash: Connection | None = None
        self.idle = True

    def start(self, number: int, job: Job) -> None:
        if self._process is not None and not self._process.is_alive():
            self.stop()
        if self._process is None:
            self._begin()
        self.job, self.idle = number, False
        self.deadline = time.monotonic() + self._time_limit_s
        with contextlib.suppress(OSError):  # it died just now: outcome() says so
            self.pipe.send(job)

    def outcome(self) -> Decoded | None:
        """What came of the job, None while it is at work."""
        try:
            if self.pipe.poll():
                answer: Decoded = self.pipe.recv()
                return answer
        except (EOFError, OSError):
            return self._lost(f"the decoder died, {self._exit()}")
        if time.monotonic() < self.deadline:
            return None
        return self._lost(f"it did not end within {self._time_limit_s:g} s")

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None and self._leash is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
            self.pipe.close()
            self._leash.close()

    def _begin(self) -> None:
        self.pipe, theirs = _processes.Pipe()
        leash, self._leash = _processes.Pipe(duplex=False)
        arguments = (theirs, leash, self._framing)
        process = _processes.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        self._process = process
        theirs.close()
        leash.close()

    def _exit(self) -> str:
        assert self._process is not None
        self._process.join(_POLL_S)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"by signal {-code} ({signal.Signals(-code).name})"
        return f"with exit code {code}"

    def _lost(self, problem: str) -> Decoded:
        self.stop()
        return Decoded(problem=problem)


def _serve(pipe: Connection, leash: Connection, framing: Framing) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what happens to a clip.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(leash,), daemon=True).start()
    av.logging.set_level(None)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(decode(job, framing))


def _die_with_parent(leash: Connection) -> None:
    """The parent never sends: a pipe that ends says it is gone, however it went."""
    try:
        leash.recv()
    except (EOFError, OSError):
        os._exit(1)


def decode(job: Job, framing: Framing) -> Decoded:
    """Decode a clip into its file; a source that cannot be used is a problem, never an error."""
    try:
        kept, seen = _write(job, framing)
        if not kept:
            return Decoded(problem="it holds no frame")
        return Decoded(frames=_choose(job.target, framing, kept), clip_len=seen)
    except OSError as error:
        reason, full = error.strerror or str(error), error.errno in _FULL
        return Decoded(problem=reason if full else f"it cannot be read: {reason}", full=full)
    except (ValueError, MemoryError) as error:
        return Decoded(problem=str(error) or "there is not enough memory for it")


def _write(job: Job, framing: Framing) -> tuple[int, int]:
    """Write each K-th picture; how many there are, and how many the source has."""
    kept = seen = 0
    with job.target.open("wb") as file:
        for seen, (picture, pixel) in enumerate(job.media.shots(), 1):
            if (seen - 1) % framing.every == 0:
                file.write(framed(picture(), framing, pixel))
                kept += 1
    return kept, seen


def _choose(target: Path, framing: Framing, have: int) -> int:
    """Leave only the chosen rows in the file; how many they are."""
    chosen = framing.chosen(have)
    if len(chosen) < have:
        rows = np.memmap(target, np.uint8, "r", shape=(have, framing.features))
        np.array(rows[list(chosen)]).tofile(target)
    return len(chosen)
