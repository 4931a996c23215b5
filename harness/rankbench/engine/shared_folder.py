"""Whether the machines of a study write to one results folder: each finds the same mark there."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from optuna.storages import BaseStorage

MARK = ".shared"
_KEY = "results_mark"


def check_reach(storage: BaseStorage, study: int, folder: Path, *, free: bool) -> None:
    """Find the study's mark in its results `folder`; where there is none yet, leave one.

    `free`: nobody else is at work, so that this folder may become the study's.

    Raises ValueError where the study's results are another folder.
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
