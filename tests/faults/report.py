"""Run scenarios, audit what they leave, and print what was found."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.table import Table

from tests.faults.audit import Audit, audit
from tests.faults.place import Place
from tests.faults.scenarios import SCENARIOS, SHARED
from tests.helpers.postgres import Server
from tests.helpers.processes import ending


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a scenario did and what was found after it."""

    scenario: str
    faults: int
    starts: int
    seconds: float
    audit: Audit


def judge(
    scenario: str, *, points: int, count: int, seed: int, server: Server | None = None
) -> Verdict:
    """Let a scenario happen to a new study of `points` runs, finish it, audit it.

    Those in SHARED need a PostgreSQL `server`.
    """
    with _folder() as folder, ending():
        place = Place(folder=folder, points=points, rng=random.Random(seed))
        if server is not None:
            place.share(server)
        begun = time.monotonic()
        faults = {**SCENARIOS, **SHARED}[scenario](place, count)
        starts = place.finish()
        seconds = time.monotonic() - begun
        return Verdict(
            scenario=scenario, faults=faults, starts=starts, seconds=seconds, audit=audit(place)
        )


def table(verdicts: list[Verdict]) -> Table:
    """A row a verdict."""
    shown = Table(title="faults, and what was found after them")
    for name in ("fault", "times", "runs", "lost", "double", "wrong", "open", "left", "s"):
        shown.add_column(name, justify="left" if name == "fault" else "right")
    for one in verdicts:
        found = one.audit
        counts = (one.faults, found.runs, found.lost, found.double, found.wrong, found.open)
        shown.add_row(one.scenario, *map(str, (*counts, found.left)), f"{one.seconds:.0f}")
    return shown


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rankbench-faults-"))
    try:
        yield folder
    finally:
        if any(part.mountpoint == str(folder) for part in psutil.disk_partitions(all=True)):
            subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder)
