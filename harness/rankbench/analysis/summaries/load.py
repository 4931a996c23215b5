"""Find the results folder from a notebook, and say how to make missing results."""

from __future__ import annotations

import os
from pathlib import Path

from rankbench.store.location import is_remote
from rankbench.store.query import studies

# Study -> the overrides that it cannot run without.
NEEDS = {"ucf11": "task.frames=PATH"}


def results_root(start: Path | None = None) -> Path | str:
    """Return the results folder or URL.

    Args:
        start: The folder where the search begins; None means the working directory.

    Returns:
        $RANKBENCH_RESULTS if set, otherwise the nearest `results` folder in `start` or its parents.
    """
    named = os.environ.get("RANKBENCH_RESULTS")
    if named:
        return named if is_remote(named) else Path(named)
    here = (start or Path.cwd()).resolve()
    folders = [folder / "results" for folder in (here, *here.parents)]
    return next((folder for folder in folders if folder.is_dir()), Path("results"))


def reference_root(start: Path | None = None) -> Path | str:
    """Return the folder of the committed reference results, or $RANKBENCH_RESULTS if it is set.

    Args:
        start: The folder where the search begins; None means the working directory.
    """
    root = results_root(start)
    return root if os.environ.get("RANKBENCH_RESULTS") else Path(root) / "reference"


def measured(study: str, root: Path | str) -> bool:
    """Return whether a study has results. If it has none, print the command that makes them.

    Args:
        study: The name of the study.
        root: The results folder or URL.
    """
    if study in studies(root):
        return True
    command = f"rankbench run {study} {NEEDS.get(study, '')}".strip()
    print(f"{study} has no results in {root}; make them with: {command}")
    return False
