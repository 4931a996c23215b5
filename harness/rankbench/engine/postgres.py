"""Optuna storage on PostgreSQL, extended with what many concurrent workers need.

Optuna's own calls are too slow for many workers. The SQL statements in this file therefore work
directly on Optuna's tables (the schema of releases 3 to 5): one statement claims a trial, and one
transaction adds 2 000 trials. All timestamps come from the server's clock, in UTC.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from rankbench.common.address import redact_password

REPEATED = "repeated"  # User attribute: the trial's point has been started before.
DEATHS = "deaths"  # User attribute: the number of workers that died while running the point.
_SETUP_LOCK = 7246  # Advisory lock held while creating the tables; the number is arbitrary.

TABLES_THERE = "SELECT to_regclass('trial_heartbeats')"  # NULL until Optuna has created its tables.
_INDEX = """CREATE INDEX IF NOT EXISTS rankbench_open_trials ON trials (study_id, state, trial_id)
WHERE state IN ('WAITING', 'RUNNING')"""
_CLAIM = """WITH taken AS (
  UPDATE trials SET state = 'RUNNING', datetime_start = localtimestamp
  WHERE trial_id = (SELECT trial_id FROM trials WHERE study_id = :study AND state = 'WAITING'
                    ORDER BY trial_id LIMIT 1 FOR UPDATE SKIP LOCKED)
  RETURNING trial_id)
INSERT INTO trial_heartbeats (trial_id, heartbeat) SELECT trial_id, localtimestamp FROM taken
ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat RETURNING trial_id"""
_OPEN = """SELECT EXISTS (SELECT 1 FROM trials
WHERE study_id = :study AND state IN ('WAITING', 'RUNNING'))"""
_BEAT = "UPDATE trial_heartbeats SET heartbeat = localtimestamp WHERE trial_id = ANY(:ids)"
_STALE = """SELECT trial_id FROM trials LEFT JOIN trial_heartbeats USING (trial_id)
WHERE study_id = :study AND state = 'RUNNING'
AND coalesce(heartbeat, datetime_start) < localtimestamp - make_interval(secs => :grace)"""
_FAIL = """UPDATE trials SET state = 'FAIL', datetime_complete = localtimestamp
WHERE trial_id = ANY(:ids) AND state = 'RUNNING' RETURNING trial_id"""
_RELEASE = """WITH freed AS (UPDATE trials SET state = 'WAITING', datetime_start = NULL
  WHERE trial_id = ANY(:ids) AND state = 'RUNNING' RETURNING trial_id)
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT trial_id, :key, 'true' FROM freed ON CONFLICT DO NOTHING"""
_TRIALS = f"""SELECT t.trial_id, t.state::text, p.value_json, coalesce(d.value_json, '0')
FROM trials t
LEFT JOIN trial_user_attributes p ON p.trial_id = t.trial_id AND p.key = 'point_id'
LEFT JOIN trial_user_attributes d ON d.trial_id = t.trial_id AND d.key = '{DEATHS}'
WHERE t.study_id = :study ORDER BY t.trial_id"""
_ADD = """INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
SELECT n + (SELECT coalesce(max(number) + 1, 0) FROM trials WHERE study_id = :study), :study,
  CAST(state AS trialstate),
  CASE WHEN state <> 'WAITING' THEN localtimestamp END,
  CASE WHEN state <> 'WAITING' THEN localtimestamp END
FROM unnest(CAST(:numbers AS int[]), CAST(:states AS text[])) AS new(n, state)
RETURNING number, trial_id"""
_COPIES = {
    "trial_params": ("param_name, param_value, distribution_json", ""),
    "trial_user_attributes": ("key, value_json", f"WHERE key NOT IN ('{DEATHS}', '{REPEATED}')"),
    "trial_system_attributes": ("key, value_json", "WHERE key = 'fixed_params'"),
}
_PARTS = {
    "trial_params": ("param_name text", "param_value float8", "distribution_json text"),
    "trial_user_attributes": ("key text", "value_json text"),
    "trial_system_attributes": ("key text", "value_json text"),
    "trial_values": ("objective int", "value float8", "value_type trialvaluetype"),
    "trial_intermediate_values": (
        "step int",
        "intermediate_value float8",
        "intermediate_value_type trialintermediatevaluetype",
    ),
}


@dataclass(frozen=True)
class Stored:
    """A stored trial."""

    trial_id: int
    """Optuna's id of the trial."""
    state: TrialState
    """State of the trial."""
    point_id: str | None
    """Id of its point; None if no parameters have been drawn yet."""
    deaths: int
    """Number of workers that died while running the point."""


class Postgres:
    """An Optuna study in a PostgreSQL database, which many processes can have open at once.

    The attribute `optuna` is the study's Optuna storage.

    Args:
        address: URL of the database.
        name: Name of the Optuna study, which is created if it does not exist.
        directions: "minimize" or "maximize" for each objective.
        threads: Number of threads of this process that use the database.

    Raises:
        OSError: The server cannot be reached.
        ValueError: The database driver is not installed.
    """

    def __init__(self, address: str, name: str, directions: Sequence[str], threads: int) -> None:
        self.shown, self.name = redact_password(address), name
        first = engine(address, threads)
        try:
            with first.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SETUP_LOCK})
                self._set_up(address, threads, directions)
                connection.execute(text(_INDEX))
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            cause = error if isinstance(error, DBAPIError) else error.__cause__
            why = str(getattr(cause, "orig", cause)).strip().partition("\n")[0]
            raise OSError(f"storage {self.shown} cannot be used: {redact_password(why)}") from None
        finally:
            first.dispose()

    def _set_up(self, address: str, threads: int, directions: Sequence[str]) -> None:
        rdb = optuna.storages.RDBStorage(
            # Optuna applies str.format to the URL, so braces are escaped.
            _url(address)
            .render_as_string(hide_password=False)
            .replace("{", "{{")
            .replace("}", "}}"),
            engine_kwargs=_options(threads),
        )
        self._engine = rdb.engine
        self.optuna = optuna.storages.get_storage(rdb)
        study = optuna.create_study(
            storage=self.optuna,
            study_name=self.name,
            directions=[StudyDirection[direction.upper()] for direction in directions],
            load_if_exists=True,
        )
        self.study_id = self.optuna.get_study_id_from_name(study.study_name)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def claim(self) -> int | None:
        """Claim the oldest waiting trial that no other worker is claiming, and mark it as running.

        Returns:
            The id of the trial, or None if no trial is waiting.
        """
        with self._engine.begin() as connection:
            found = connection.execute(text(_CLAIM), {"study": self.study_id}).scalar()
        return None if found is None else int(found)

    def is_open(self) -> bool:
        """Return whether any trial is waiting or running."""
        with self._engine.begin() as connection:
            return bool(connection.execute(text(_OPEN), {"study": self.study_id}).scalar())

    def beat(self, trial_ids: Sequence[int]) -> None:
        """Update the heartbeats of these trials."""
        with self._engine.begin() as connection:
            connection.execute(text(_BEAT), {"ids": list(trial_ids)})

    def reap(self, grace_s: float, most_deaths: int) -> int:
        """Fail running trials without a recent heartbeat, and enqueue copies of them.

        A trial on which `most_deaths` workers have died is not enqueued again, because the trial
        itself may kill them.

        Args:
            grace_s: Seconds without a heartbeat after which a trial is failed.
            most_deaths: Number of deaths from which on a trial is not enqueued again.

        Returns:
            The number of trials that were failed.
        """
        stale = {"study": self.study_id, "grace": grace_s}
        with self._engine.begin() as connection:
            ids = list(connection.execute(text(_STALE), stale).scalars())
        if not ids:
            return 0
        with self.locked() as connection:
            ids = list(connection.execute(text(_STALE), stale).scalars())
            dead = set(connection.execute(text(_FAIL), {"ids": ids}).scalars())
            failed = [trial for trial in self.trials(connection) if trial.trial_id in dead]
            again = [trial for trial in failed if trial.deaths + 1 < most_deaths]
            self.repeat(connection, again, died=True)
        return len(failed)

    def release(self, trial_ids: Sequence[int]) -> None:
        """Set running trials of a worker that is stopping back to waiting."""
        with self._engine.begin() as connection:
            connection.execute(text(_RELEASE), {"ids": list(trial_ids), "key": REPEATED})

    @contextmanager
    def locked(self) -> Iterator[Connection]:
        """Open a transaction during which no other process can add trials."""
        with self._engine.begin() as connection:
            lock = "SELECT study_id FROM studies WHERE study_id = :study FOR NO KEY UPDATE"
            connection.execute(text(lock), {"study": self.study_id})
            yield connection

    def trials(self, connection: Connection) -> list[Stored]:
        """Return all trials, oldest first."""
        rows = connection.execute(text(_TRIALS), {"study": self.study_id})
        return [
            Stored(
                trial_id, TrialState[state], None if point is None else json.loads(point), int(died)
            )
            for trial_id, state, point, died in rows
        ]

    def add(self, connection: Connection, trials: Sequence[FrozenTrial]) -> None:
        """Add trials with all their data, using one statement per table.

        The caller must hold the study's lock (`locked`).
        """
        ids = self._add(connection, [trial.state.name for trial in trials])
        for table, columns in _PARTS.items():
            rows = [
                (trial_id, *row)
                for trial_id, trial in zip(ids, trials, strict=True)
                for row in _rows(table, trial)
            ]
            if rows:
                _insert(connection, table, ("trial_id int", *columns), rows)

    def repeat(self, connection: Connection, trials: Sequence[Stored], *, died: bool) -> None:
        """Enqueue copies of trials, with their parameters but without their results.

        The caller must hold the study's lock (`locked`).

        Args:
            connection: Connection of the transaction that holds the lock.
            trials: Trials to copy.
            died: Whether to count one more dead worker in each copy.
        """
        if not trials:
            return
        ids = self._add(connection, ["WAITING"] * len(trials))
        pairs = {"old": [trial.trial_id for trial in trials], "new": ids}
        for table, (columns, where) in _COPIES.items():
            copy = (
                f"INSERT INTO {table} (trial_id, {columns}) SELECT new, {columns} FROM {table} JOIN"
                " unnest(CAST(:old AS int[]), CAST(:new AS int[])) AS pairs(old, new)"
                f" ON trial_id = old {where}"
            )
            connection.execute(text(copy), pairs)
        notes = [(new, REPEATED, "true") for new in ids]
        notes += [
            (new, DEATHS, str(trial.deaths + died)) for new, trial in zip(ids, trials, strict=True)
        ]
        table = "trial_user_attributes"
        _insert(connection, table, ("trial_id int", *_PARTS[table]), notes)

    def _add(self, connection: Connection, states: Sequence[str]) -> list[int]:
        """Create trials with consecutive numbers after the last one, and return their ids."""
        given = {
            "study": self.study_id,
            "numbers": list(range(len(states))),
            "states": list(states),
        }
        added = connection.execute(text(_ADD), given)
        return [trial_id for _, trial_id in sorted((number, key) for number, key in added)]


def is_lost(error: BaseException) -> bool:
    """Return whether an error means that the server is currently unreachable."""
    if isinstance(error, optuna.exceptions.StorageInternalError):
        error = error.__cause__ or error
    return isinstance(error, OperationalError | InterfaceError)


def engine(address: str, threads: int) -> sqlalchemy.Engine:
    """Create an SQLAlchemy engine for a server.

    Args:
        address: URL of the database.
        threads: Number of threads that may need a connection at the same time.

    Raises:
        ValueError: The database driver is not installed.
    """
    try:
        return sqlalchemy.create_engine(_url(address), **_options(threads))
    except ModuleNotFoundError as error:
        raise ValueError(
            f"storage {redact_password(address)} needs {error.name}:"
            " pip install 'rankbench[postgres]'"
        ) from error


def _url(address: str) -> sqlalchemy.URL:
    return sqlalchemy.make_url(address).set(drivername="postgresql+psycopg")


def _options(threads: int) -> dict[str, Any]:
    """Keep one connection open, and open more only while threads need them."""
    return {
        "pool_size": 1,
        "max_overflow": threads + 1,
        "connect_args": {"options": "-c timezone=utc", "connect_timeout": 10},
    }


def _insert(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows into a table.

    `columns` gives the name and type of each column, in the order of a row's values.
    """
    names = [column.split()[0] for column in columns]
    arrays = []
    for name, column in zip(names, columns, strict=True):
        kind = column.split()[1]
        # Values of an enumeration are sent as text, then cast.
        sent = kind if kind in ("int", "text", "float8") else "text"
        arrays.append(f"CAST(CAST(:{name} AS {sent}[]) AS {kind}[])")
    insert = f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM unnest({', '.join(arrays)})"
    values = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    connection.execute(text(insert), values)


def _rows(table: str, trial: FrozenTrial) -> list[tuple[Any, ...]]:
    match table:
        case "trial_params":
            # The internal value is an int for a choice and a float for a number, but the elements
            # of an array must have one type.
            return [
                (name, float(found.to_internal_repr(trial.params[name])), _written(found))
                for name, found in trial.distributions.items()
            ]
        case "trial_user_attributes":
            return [(key, json.dumps(value)) for key, value in trial.user_attrs.items()]
        case "trial_system_attributes":
            return [(key, json.dumps(value)) for key, value in trial.system_attrs.items()]
        case "trial_values":
            return [(n, *_number(value)) for n, value in enumerate(trial.values or ())]
        case _:
            return [(n, *_number(value)) for n, value in trial.intermediate_values.items()]


@functools.lru_cache(maxsize=256)
def _written(found: BaseDistribution) -> str:
    """Serialise a distribution; cached, because grids reuse a few large distributions."""
    return distribution_to_json(found)


def _number(value: float) -> tuple[float | None, str]:
    if math.isfinite(value):
        return float(value), "FINITE"
    return None, "NAN" if math.isnan(value) else "INF_POS" if value > 0 else "INF_NEG"
