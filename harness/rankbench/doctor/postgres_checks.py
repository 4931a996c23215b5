"""Compare the trials of a study in PostgreSQL with its rows.

Nothing is repaired here, because the next worker that joins requeues such trials itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from optuna.trial import TrialState
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rankbench.common.address import redact_password
from rankbench.doctor.findings import Finding
from rankbench.engine.postgres import TABLES_THERE, engine

SILENT_S = 600.0  # Seconds without a heartbeat, far more than a live worker can miss.
_TRIALS = """SELECT s.study_name, t.number, t.state::text, p.value_json,
  coalesce(h.heartbeat, t.datetime_start) < localtimestamp - make_interval(secs => :silent)
FROM studies s JOIN trials t USING (study_id)
LEFT JOIN trial_user_attributes p ON p.trial_id = t.trial_id AND p.key = 'point_id'
LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id
WHERE starts_with(s.study_name, :name || '-') AND length(s.study_name) = length(:name) + 17
ORDER BY s.study_name, t.number"""
_TOLD = (TrialState.COMPLETE.name, TrialState.PRUNED.name)


def check_storage(address: str, folder: Path, points: set[str]) -> Iterator[Finding]:
    """Check the trials of a study, which has one Optuna study for each search space it ever had.

    Args:
        address: URL of the PostgreSQL database.
        folder: Folder of the study.
        points: Ids of the points that have rows.

    Raises:
        OSError: The server cannot be reached.
    """
    for study, number, state, stored, silent in _trials(address, folder.name):
        point = None if stored is None else json.loads(stored)
        if state == TrialState.RUNNING.name and silent:
            what = f"trial {number} is running, but its worker has been silent for 10 minutes"
            yield Finding(kind="silent trial", path=folder / study, what=what)
        elif state in _TOLD and point is not None and point not in points:
            what = f"trial {number} is finished, but point {point} has no row"
            yield Finding(kind="told trial without rows", path=folder / study, what=what)


def _trials(address: str, name: str) -> list[tuple[str, int, str, str | None, bool]]:
    database = engine(address, threads=1)
    # The query matches the names of Optuna studies that rankbench.engine.shared_queue makes.
    parameters = {"name": name, "silent": SILENT_S}
    try:
        with database.connect() as connection:
            if connection.execute(text(TABLES_THERE)).scalar() is None:
                return []
            return [tuple(row) for row in connection.execute(text(_TRIALS), parameters)]
    except DBAPIError as error:
        why = redact_password(str(error.orig).strip().partition("\n")[0])
        raise OSError(f"storage {redact_password(address)} cannot be read: {why}") from None
    finally:
        database.dispose()
