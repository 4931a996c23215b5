"""The kinds of problems in the results of a study, and what `mend` does about each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rankbench.common.checks import one_of

QUARANTINE = "quarantine"

_STAYS = "nothing: it stays and is reported; a run with another results URL measures it again"

# What `mend` does about each kind of problem.
REMEDIES = {
    "damaged file": f"moved to {QUARANTINE}/; its run is measured again",
    "damaged compact file": f"moved to {QUARANTINE}/; rows that are lost are measured again",
    "misnamed file": f"renamed if its run has no other file, else moved to {QUARANTINE}/",
    "leftover file": f"moved to {QUARANTINE}/; a crash left it, and its rows never counted",
    "drifted column": f"rewritten with the right type; the old file is moved to {QUARANTINE}/",
    "double rows": f"one of each is kept; the old file is moved to {QUARANTINE}/",
    "orphaned rows": f"moved to {QUARANTINE}/; no row of runs says what they belong to",
    "wrong row": f"moved to {QUARANTINE}/ with all rows of its run, which is measured again",
    "damaged object": f"moved to {QUARANTINE}/; its run is measured again unless another has it",
    "double rows in an object": _STAYS,
    "wrong row in an object": _STAYS,
    "stale checkpoint": "deleted: its run has ended",
    "torn journal": "deleted: the next run of the study rebuilds it",
    "zombie trial": "journal deleted: the next run of the study rebuilds it",
    "trial without rows": "journal deleted: the next run of the study rebuilds it",
    "silent trial": "nothing: the next worker that joins requeues it",
    "told trial without rows": "nothing: the next rankbench run requeues its point",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem in the results of a study.

    Raises:
        ValueError: The kind is unknown.
    """

    kind: str
    """Kind of the problem; a key of REMEDIES."""
    path: Path
    """File, or folder of the table, with the problem."""
    what: str
    """One line about the problem."""
    runs: tuple[str, ...] = ()
    """Ids of the runs whose results are affected."""

    def __post_init__(self) -> None:
        one_of("kind", self.kind, REMEDIES)

    @property
    def remedy(self) -> str:
        """What `mend` does about the problem."""
        return REMEDIES[self.kind]
