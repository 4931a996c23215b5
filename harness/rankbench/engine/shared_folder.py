"""Check that all workers of a shared study write to the same results folder."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from optuna.storages import BaseStorage

MARK = ".shared"
_KEY = "results_mark"


def check_reach(storage: BaseStorage, study: int, folder: Path, *, free: bool) -> None:
    """Check that the results folder contains the study's mark file, and create it if allowed.

    The mark is a random token, stored both in the folder and in the study's user attributes. A
    folder with a different mark, or with none, is not the one that the other workers use.

    Args:
        storage: Optuna storage of the study.
        study: Optuna's id of the study.
        folder: Results folder on this machine.
        free: Whether no other worker is active, so that this folder may become the study's.

    Raises:
        ValueError: Other workers of the study write to another folder.
    """
    known = storage.get_study_user_attrs(study).get(_KEY)
    path = folder / MARK
    found = path.read_text().strip() if path.exists() else None
    if found is not None and found == known:
        return
    if known is not None and not free:
        raise ValueError(
            f"results {folder} on {socket.gethostname()} is not the folder that the study's other"
            " workers write to; give one that every machine mounts, or an object store"
        )
    if found is None:
        found = secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{found}\n")
    storage.set_study_user_attr(study, _KEY, found)
