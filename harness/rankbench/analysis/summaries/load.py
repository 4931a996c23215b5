"""Where a notebook finds results, and what to say where there are none."""

from __future__ import annotations

import os
from pathlib import Path

from rankbench.store.location import is_remote
from rankbench.store.query import studies

# What a study needs beyond its name.
NEEDS = {"ucf11": "task.frames=PATH"}


def results_root(start: Path | None = None) -> Path | str:
    """The folder or URL in RANKBENCH_RESULTS, else the nearest `results` at or above `start`."""
    named = os.environ.get("RANKBENCH_RESULTS")
    if named:
        return named if is_remote(named) else Path(named)
    here = (start or Path.cwd()).resolve()
    folders = [folder / "results" for folder in (here, *here.parents)]
    return next((folder for folder in folders if folder.is_dir()), Path("results"))


def reference_root(start: Path | None = None) -> Path | str:
    """The folder or URL in RANKBENCH_RESULTS, else the committed results at or above `start`."""
    root = results_root(start)
    return root if os.environ.get("RANKBENCH_RESULTS") else Path(root) / "reference"


def measured(study: str, root: Path | str) -> bool:
    """Whether `study` has results in `root`; where not, print the command that makes them."""
    if study in studies(root):
        return True
    command = f"rankbench run {study} {NEEDS.get(study, '')}".strip()
    print(f"{study} has no results in {root}; make them with: {command}")
    return False
