"""A table of all studies and their costs, for `rankbench run` without a study."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rankbench.common.cache_dir import cache_folder
from rankbench.common.table import TerminalTable
from rankbench.common.terminal import Screen
from rankbench.common.text import duration
from rankbench.common.version import VERSION
from rankbench.study.files import find_study, study_names

Cost = dict[str, Any]
_FILE = "studies.json"


def studies_table() -> TerminalTable:
    """Return a table of all studies: points, runs, estimated time on this machine, description."""
    table = TerminalTable("study", title="studies", drop=("points",))
    table.add_numbers("points", "runs", "time")
    table.add_column("what it answers", min_width=24)
    for name, cost in study_costs().items():
        if "error" in cost:
            table.add_row(name, "-", "-", "-", cost["error"])
            continue
        most = "at most " if cost["seconds"] is None else ""
        time = "-" if cost["seconds"] is None else duration(cost["seconds"])
        counts = (f"{most}{cost['points']:,}", f"{most}{cost['runs']:,}")
        table.add_row(name, *counts, time, cost["description"])
    return table


def study_costs() -> dict[str, Cost]:
    """Return the cost of each study, cached until its files or the version change."""
    cached = _cached()
    keys = {name: _key(find_study(name)) for name in study_names()}
    new = [name for name, key in keys.items() if key not in cached]
    if new:
        with Screen(stderr=True).status("reading the studies"):
            cached |= {keys[name]: _cost(name) for name in new}
        _write({key: cached[key] for key in keys.values()})
    return {name: cached[key] for name, key in keys.items()}


def _cost(name: str) -> Cost:
    from rankbench.engine.placement import threads, worker_count
    from rankbench.engine.queue import enumerate_grid
    from rankbench.study.config import load_study
    from rankbench.study.estimate import estimate

    try:
        study = load_study(name)
    except ValueError as error:
        return {"error": str(error)}
    seeds = len(study.seeds)
    if study.search.sampler != "grid":
        points, seconds = study.search.trials or 0, None
    else:
        grid = list(enumerate_grid(study).points.values())
        each = estimate(grid, threads(study), min(study.replicates, seeds))
        points, seconds = len(grid), seeds * sum(each.values()) / worker_count(study)
    return {
        "points": points,
        "runs": points * seeds,
        "seconds": seconds,
        "description": study.description,
    }


def _key(path: Path) -> str:
    """Hash everything that a cost depends on: the version, and all files that the study may use."""
    files = sorted(path.parent.glob("*.y*ml")) if b"defaults:" in path.read_bytes() else [path]
    parts = [VERSION.encode(), path.name.encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _cached() -> dict[str, Cost]:
    try:
        found = json.loads((cache_folder() / _FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(costs: dict[str, Cost]) -> None:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(costs))
    except OSError:
        return  # Without a cache the listing is only slower.
