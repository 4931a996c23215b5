"""Compare the Optuna journal of a study with its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from rankbench.doctor.findings import Finding
from rankbench.engine.queue import JOURNAL

__all__ = ["JOURNAL", "check_journal", "read_trials"]


def read_trials(path: Path) -> list[FrozenTrial]:
    """Read all trials of a journal file.

    Raises:
        ValueError: The journal is damaged.
    """
    lines = path.read_bytes().split(b"\n")
    if lines.pop():
        raise ValueError("its last line is cut off")
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except ValueError:
            raise ValueError(f"its line {number} is not JSON") from None
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        studies = storage.get_all_studies()
        return [trial for study in studies for trial in storage.get_all_trials(study._study_id)]
    except Exception as error:  # Optuna raises various exceptions for inconsistent lines.
        raise ValueError(f"Optuna cannot read it: {type(error).__name__}: {error}") from error


def check_journal(folder: Path, points: set[str]) -> Iterator[Finding]:
    """Check the journal of a study that is not being run.

    Args:
        folder: Folder of the study.
        points: Ids of the points that have rows.
    """
    path = folder / JOURNAL
    if not path.is_file():
        return
    try:
        trials = read_trials(path)
    except ValueError as error:
        yield Finding(kind="torn journal", path=path, what=str(error))
        return
    for trial in trials:
        finished = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        point = trial.user_attrs.get("point_id")
        if trial.state is TrialState.RUNNING:
            what = f"trial {trial.number} is running, but no process runs the study"
            yield Finding(kind="zombie trial", path=path, what=what)
        elif finished and point is not None and point not in points:
            what = f"trial {trial.number} is finished, but point {point} has no row"
            yield Finding(kind="trial without rows", path=path, what=what)
