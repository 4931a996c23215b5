"""The trial queue of a study that many machines work on, in PostgreSQL.

It is never written anew: what is missing is added, whoever finds it, and the trial of a worker
whose heart stops beating waits again. Parquet stays the truth.
"""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from rankbench.common.address import redact_password
from rankbench.engine.postgres import REPEATED, Postgres, Stored, is_lost
from rankbench.engine.queue import Grid, Row, T, TrialQueue, waiting_trial
from rankbench.engine.shared_folder import check_reach
from rankbench.study.config import Study
from rankbench.study.pruning import Curve, build_pruner
from rankbench.study.space import Range, Settings
from rankbench.tasks.base import digest

# A server that restarts or a machine that swaps misses one or two.
GRACE_BEATS = 4
MOST_DEATHS = 5  # a trial that outlived so many workers may be what kills them
PATIENCE_S = 60.0  # how long a worker waits for a server that is gone
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_LIVE = (TrialState.WAITING, TrialState.RUNNING)
_MEASURED = (TrialState.COMPLETE, TrialState.PRUNED)

Known = tuple[Mapping[str, Row], Mapping[str, Curve]]  # rows and curves by run_id


class SharedTrial(Trial):
    """A trial that may be lost while it runs: its server gone, or the trial given to another."""

    def report(self, value: float, step: int) -> None:
        """Report a value of the curve, where there is somebody to tell."""
        with _unless_lost():
            super().report(value, step)

    def should_prune(self) -> bool:
        """Whether the pruner gives it up; a trial that is lost goes on."""
        behind = False
        with _unless_lost():
            behind = super().should_prune()
        return behind


class SharedQueue(TrialQueue):
    """The queue of one study in PostgreSQL: any process may join, fill, claim and leave.

    `stop`: set it, and nobody waits for a server or for the trials of others any more.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        super().__init__(study, folder)
        self.stop = threading.Event()
        self._mine: set[int] = set()
        self._studies: dict[BaseSampler, optuna.Study] = {}

    @contextmanager
    def joined(self, grid: Grid | None) -> Iterator[None]:
        """Open the storage, and let the hearts of this process's trials beat.

        What is still claimed at the end waits again, for others. Raises OSError where the server
        cannot be reached.
        """
        directions = [direction for _, direction in self.study.search.objectives]
        self._postgres = Postgres(
            self.study.storage, storage_name(self.study, grid), directions, self.study.workers
        )
        ended = threading.Event()
        pulse = threading.Thread(target=self._beat, args=(ended,), name="pulse", daemon=True)
        pulse.start()
        try:
            yield
        finally:
            ended.set()
            pulse.join()
            with _unless_lost():
                self._postgres.release(sorted(self._mine))
            self._postgres.close()

    def sync(self, grid: Grid | None, read: Callable[[], Known], *, again: bool) -> None:
        """Add what is missing: points that nobody has, what Parquet knows, what Parquet lost.

        `read` what Parquet knows now: it is asked once the trials are known, so that it knows more
        than they do. `again`: failed points are measured again, too.
        """
        with self._postgres.locked() as connection:
            stored = self._postgres.trials(connection)
            self._check_reach(again and all(t.state is not TrialState.RUNNING for t in stored))
            rows, self._curves = read()
            self._waiting: list[FrozenTrial] = []
            self._fill(grid, rows)
            wanted = [*self._create.get_trials(deepcopy=False), *self._waiting]
            self._postgres.add(connection, _missing(wanted, stored, again=again))
            if grid is None:
                ids = {trial.user_attrs["point_id"] for trial in wanted}
                lost = _lost(ids, stored)
                self._postgres.repeat(connection, lost, died=False)
                drawn = len(wanted) + len(lost) + _drawn_besides(ids, stored)
                assert self.study.search.trials is not None
                waiting = create_trial(state=TrialState.WAITING)
                self._postgres.add(connection, [waiting] * (self.study.search.trials - drawn))

    def claim(self, sampler: BaseSampler) -> Trial | None:
        """Take a waiting trial; wait while others run some, None once none is left or `stop`."""
        wait = _FIRST_WAIT_S
        while not self.stop.is_set():
            trial_id = self.with_retry(self._postgres.claim)
            if trial_id is not None:
                self._mine.add(trial_id)
                return self._trial(trial_id, sampler)
            if not self.with_retry(self._postgres.is_open):
                return None
            self.stop.wait(wait * random.uniform(0.5, 1.5))  # so that workers do not ask in step
            wait = min(2 * wait, _LONGEST_WAIT_S)
        return None

    def tell(self, trial: Trial, values: Sequence[float] | None, state: TrialState) -> None:
        """End a trial; one that was given to another worker is that one's to tell."""

        def tell() -> None:
            with suppress(UpdateFinishedTrialError):
                trial.study.tell(trial, values, state, skip_if_finished=True)

        self.with_retry(tell)
        self._mine.discard(trial._trial_id)

    def identify(self, trial: Trial, point_id: str) -> None:
        """Say which point a trial is, where a sampler drew it."""

        def identify() -> None:
            with suppress(UpdateFinishedTrialError):
                trial.set_user_attr("point_id", point_id)

        if trial.user_attrs.get("point_id") != point_id:
            self.with_retry(identify)

    def is_repeated(self, trial: Trial) -> bool:
        """Whether others may have measured runs of a trial's point since the rows were read."""
        return bool(trial.user_attrs.get(REPEATED))

    def with_retry(self, call: Callable[[], T]) -> T:
        """Call, again and again for a minute while the server is gone. Then raises OSError."""
        start, wait = time.monotonic(), _FIRST_WAIT_S
        while True:
            try:
                return call()
            except Exception as error:
                if not is_lost(error):
                    raise
                if self.stop.is_set() or time.monotonic() - start > PATIENCE_S:
                    raise OSError(
                        f"storage {redact_password(self.study.storage)} is gone; what was measured"
                        " is stored, and the study goes on once it is back"
                    ) from error
            self.stop.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def sampler(self, worker: int, finished: int) -> BaseSampler:
        """A worker's sampler, of a seed that no worker of another process has."""
        return super().sampler(secrets.randbits(32), finished)

    def _check_reach(self, free: bool) -> None:
        if "://" not in self.study.results:  # every machine reaches an object store by its name
            check_reach(self._postgres.optuna, self._postgres.study_id, self.folder, free=free)

    def _trial(self, trial_id: int, sampler: BaseSampler) -> Trial:
        def load() -> Trial:
            study = self._study(sampler)
            if self.study.search.sampler != "grid":
                study.get_trials(deepcopy=False)  # Optuna sets parameters of trials it has read
            return SharedTrial(study, trial_id)

        return self.with_retry(load)

    def _study(self, sampler: BaseSampler) -> optuna.Study:
        """Optuna's study of a worker; it keeps the trials it has read."""
        if sampler not in self._studies:
            self._studies[sampler] = optuna.load_study(
                study_name=self._postgres.name,
                storage=self._postgres.optuna,
                sampler=sampler,
                pruner=build_pruner(self.study.search),
            )
        return self._studies[sampler]

    def _enqueue(
        self,
        params: dict[str, Any],
        distributions: Mapping[str, BaseDistribution],
        attributes: dict[str, Any],
    ) -> None:
        """Let a point wait; not in memory, where each choice of each trial is copied."""
        self._waiting.append(waiting_trial(params, distributions, attributes))

    def _beat(self, ended: threading.Event) -> None:
        """Beat until `ended`, and look after the trials of others."""
        well = False
        while not ended.wait(self.study.heartbeat_s if well else _FIRST_WAIT_S):
            try:
                self._postgres.beat(sorted(self._mine))
                # After an outage every heart seems to have stopped: the others get a beat's time.
                if well:
                    self._postgres.reap(GRACE_BEATS * self.study.heartbeat_s, MOST_DEATHS)
                well = True
            except Exception as error:
                if not is_lost(error):
                    raise
                well = False


def storage_name(study: Study, grid: Grid | None) -> str:
    """Its name and a hash of its points and search: another space is another Optuna study.

    So whoever works on it claims only what it knows. What was measured is in Parquet.
    """
    search = [str(study.search), list(study.seeds)]
    if grid is not None:
        points = sorted((point, sorted(params.items())) for point, params in grid.params.items())
        return f"{study.name}-{digest(json.dumps([search, points]))}"
    # A point stands for the fixed settings, since its id knows what of them matters.
    examples = [_example(study, branch) for branch in study.space.branches]
    return f"{study.name}-{digest(json.dumps([search, str(study.space), examples]))}"


def _example(study: Study, branch: str) -> str:
    settings: Settings = {
        name: dimension.low if isinstance(dimension, Range) else dimension[0]
        for name, dimension in study.space.branches[branch].items()
    }
    try:
        return study.point(settings).point_id
    except ValueError as reason:
        return str(reason)


def _missing(
    wanted: Sequence[FrozenTrial], stored: Sequence[Stored], *, again: bool
) -> list[FrozenTrial]:
    """Those of the `wanted` trials that are to be added to the `stored` ones."""
    live = {trial.point_id for trial in stored if trial.state in _LIVE}
    ended: dict[str | None, set[TrialState]] = {}
    for known in stored:
        ended.setdefault(known.point_id, set()).add(known.state)
    missing = []
    for trial in wanted:
        point_id = trial.user_attrs["point_id"]
        states = ended.get(point_id, set())
        if point_id in live or trial.state in states:
            continue
        # A failure is final for who only joins; a result that Parquet lost is not.
        if trial.state is TrialState.WAITING and states:
            if not (again or states.intersection(_MEASURED)):
                continue
            trial.set_user_attr(REPEATED, True)
        missing.append(trial)
    return missing


def _lost(ids: set[str], stored: Sequence[Stored]) -> list[Stored]:
    """Points that were told and that Parquet does not know."""
    live = {trial.point_id for trial in stored if trial.state in _LIVE}
    return [
        trial
        for trial in stored
        if trial.state in _MEASURED and trial.point_id not in ids and trial.point_id not in live
    ]


def _drawn_besides(ids: set[str], stored: Sequence[Stored]) -> int:
    """How many live trials are of none of the points `ids`, and how many drew one of them again."""
    others = sum(trial.state in _LIVE and trial.point_id not in ids for trial in stored)
    told = [trial.point_id for trial in stored if trial.state in _MEASURED]
    again = [point_id for point_id in told if point_id in ids]
    return others + len(again) - len(set(again))


@contextmanager
def _unless_lost() -> Iterator[None]:
    """Pass over the loss of the trial or the server."""
    try:
        yield
    except UpdateFinishedTrialError:
        pass
    except Exception as error:
        if not is_lost(error):
            raise
