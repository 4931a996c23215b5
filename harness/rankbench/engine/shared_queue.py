"""The trial queue of a study that several machines share, stored in PostgreSQL.

Unlike the journal of a local study, it is never rebuilt. Any process adds the trials that it finds
missing, and a trial whose worker stops sending heartbeats is enqueued again. Parquet remains the
source of truth.
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

# A server restart or a swapping machine can delay one or two heartbeats.
GRACE_BEATS = 4
MOST_DEATHS = 5  # A trial on which this many workers died may itself be what kills them.
PATIENCE_S = 60.0  # How long a worker waits for an unreachable server.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_LIVE = (TrialState.WAITING, TrialState.RUNNING)
_MEASURED = (TrialState.COMPLETE, TrialState.PRUNED)

Known = tuple[Mapping[str, Row], Mapping[str, Curve]]  # Rows and curves by run_id.


class SharedTrial(Trial):
    """A trial that can be lost while it runs.

    It is lost if the server becomes unreachable or if the trial is given to another worker. The run
    then continues, but reports nothing.
    """

    def report(self, value: float, step: int) -> None:
        """Report a value of the validation curve; do nothing if the trial is lost."""
        with _unless_lost():
            super().report(value, step)

    def should_prune(self) -> bool:
        """Return whether the pruner stops the trial; False if the trial is lost."""
        behind = False
        with _unless_lost():
            behind = super().should_prune()
        return behind


class SharedQueue(TrialQueue):
    """The queue of one study in PostgreSQL, which processes can join and leave at any time.

    Setting the event `stop` ends all waiting, for the server as well as for trials.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        super().__init__(study, folder)
        self.stop = threading.Event()
        self._mine: set[int] = set()
        self._studies: dict[BaseSampler, optuna.Study] = {}

    @contextmanager
    def joined(self, grid: Grid | None) -> Iterator[None]:
        """Open the storage, and send heartbeats for this process's trials until the context exits.

        On exit, trials that this process still holds are set back to waiting.

        Raises:
            OSError: The server cannot be reached.
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
        """Add missing trials, so that the queue agrees with the study and with Parquet.

        This adds new points of the grid, finished points that only Parquet has, and new trials for
        points whose results are no longer in Parquet.

        Args:
            grid: The enumerated points; None for a sampled search.
            read: Reads rows and curves from Parquet. It is called after the stored trials have been
                read, so that the rows include the results of every finished trial.
            again: Whether to enqueue failed points again.
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
        """Claim a waiting trial, waiting for one while other workers still run trials.

        Returns:
            The trial, or None when no trial is left or `stop` is set.
        """
        wait = _FIRST_WAIT_S
        while not self.stop.is_set():
            trial_id = self.with_retry(self._postgres.claim)
            if trial_id is not None:
                self._mine.add(trial_id)
                return self._trial(trial_id, sampler)
            if not self.with_retry(self._postgres.is_open):
                return None
            self.stop.wait(wait * random.uniform(0.5, 1.5))  # Workers should not poll in step.
            wait = min(2 * wait, _LONGEST_WAIT_S)
        return None

    def tell(self, trial: Trial, values: Sequence[float] | None, state: TrialState) -> None:
        """Finish a trial; do nothing if another worker has already finished it."""

        def tell() -> None:
            with suppress(UpdateFinishedTrialError):
                trial.study.tell(trial, values, state, skip_if_finished=True)

        self.with_retry(tell)
        self._mine.discard(trial._trial_id)

    def identify(self, trial: Trial, point_id: str) -> None:
        """Store the point id of a trial that a sampler drew."""

        def identify() -> None:
            with suppress(UpdateFinishedTrialError):
                trial.set_user_attr("point_id", point_id)

        if trial.user_attrs.get("point_id") != point_id:
            self.with_retry(identify)

    def is_repeated(self, trial: Trial) -> bool:
        """Return whether another worker may have measured runs of the trial's point."""
        return bool(trial.user_attrs.get(REPEATED))

    def with_retry(self, call: Callable[[], T]) -> T:
        """Call a function, and retry it for up to a minute while the server is unreachable.

        Args:
            call: Called without arguments; may use the storage.

        Returns:
            What the function returns.

        Raises:
            OSError: The server is unreachable, and the minute is over or `stop` is set.
        """
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
        """Return a sampler with a random seed, because worker numbers repeat across processes."""
        return super().sampler(secrets.randbits(32), finished)

    def _check_reach(self, free: bool) -> None:
        if "://" not in self.study.results:  # An object store has one name on all machines.
            check_reach(self._postgres.optuna, self._postgres.study_id, self.folder, free=free)

    def _trial(self, trial_id: int, sampler: BaseSampler) -> Trial:
        def load() -> Trial:
            study = self._study(sampler)
            if self.study.search.sampler != "grid":
                study.get_trials(deepcopy=False)  # Optuna needs the trials to set parameters.
            return SharedTrial(study, trial_id)

        return self.with_retry(load)

    def _study(self, sampler: BaseSampler) -> optuna.Study:
        """Return the Optuna study of a worker, which caches the trials that it has read."""
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
        """Collect a waiting trial in a list.

        Optuna's in-memory storage would copy every choice of every trial.
        """
        self._waiting.append(waiting_trial(params, distributions, attributes))

    def _beat(self, ended: threading.Event) -> None:
        """Send heartbeats until `ended` is set, and reap trials of dead workers."""
        well = False
        while not ended.wait(self.study.heartbeat_s if well else _FIRST_WAIT_S):
            try:
                self._postgres.beat(sorted(self._mine))
                # After an outage all heartbeats are old, so other workers first get the time of one
                # heartbeat to report.
                if well:
                    self._postgres.reap(GRACE_BEATS * self.study.heartbeat_s, MOST_DEATHS)
                well = True
            except Exception as error:
                if not is_lost(error):
                    raise
                well = False


def storage_name(study: Study, grid: Grid | None) -> str:
    """Return the name of the Optuna study: the study's name and a hash of its points and search.

    After a change of the search space, workers use a new Optuna study and so claim only points that
    they know. Measured results are not lost, because they are in Parquet.
    """
    search = [str(study.search), list(study.seeds)]
    if grid is not None:
        points = sorted((point, sorted(params.items())) for point, params in grid.params.items())
        return f"{study.name}-{digest(json.dumps([search, points]))}"
    # The id of an example point covers the fixed settings, as far as they affect a result.
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
    """Return the `wanted` trials that must be added to the `stored` ones."""
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
        # A failed point is repeated only if `again` is set. A point whose result is missing in
        # Parquet is always repeated.
        if trial.state is TrialState.WAITING and states:
            if not (again or states.intersection(_MEASURED)):
                continue
            trial.set_user_attr(REPEATED, True)
        missing.append(trial)
    return missing


def _lost(ids: set[str], stored: Sequence[Stored]) -> list[Stored]:
    """Return the finished trials whose points (not in `ids`) Parquet no longer has."""
    live = {trial.point_id for trial in stored if trial.state in _LIVE}
    return [
        trial
        for trial in stored
        if trial.state in _MEASURED and trial.point_id not in ids and trial.point_id not in live
    ]


def _drawn_besides(ids: set[str], stored: Sequence[Stored]) -> int:
    """Count the trials of a sampled search that `ids` does not account for.

    These are live trials of other points, and finished trials that drew a point of `ids` again.
    """
    others = sum(trial.state in _LIVE and trial.point_id not in ids for trial in stored)
    told = [trial.point_id for trial in stored if trial.state in _MEASURED]
    again = [point_id for point_id in told if point_id in ids]
    return others + len(again) - len(set(again))


@contextmanager
def _unless_lost() -> Iterator[None]:
    """Suppress errors that mean that the trial or the server is lost."""
    try:
        yield
    except UpdateFinishedTrialError:
        pass
    except Exception as error:
        if not is_lost(error):
            raise
