"""Replace, delete and create files durably: what has returned survives a crash."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def publish(temporary: Path, path: Path) -> None:
    """Rename a staged file to `path` durably.

    Raises:
        OSError: If it cannot be renamed; the error names `path`.
    """
    try:
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def remove(paths: Iterable[Path]) -> None:
    """Delete files durably; files that do not exist are ignored.

    Raises:
        OSError: If a file cannot be deleted; the error names it.
    """
    folders = set()
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error
        folders.add(path.parent)
    for folder in folders:
        _sync_folder(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents durably."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> OSError:
    """Return an error whose message says in one line which results cannot be written, and why."""
    why = error.strerror or str(error).partition("\n")[0]
    return OSError(error.errno, f"results cannot be written: {why}", str(path))
