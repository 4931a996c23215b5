"""What can be wrong with the results of a study, as a doctor finds it and says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rankbench.common.checks import one_of

QUARANTINE = "quarantine"

_STAYS = "nothing: it stays and is told; results at another URL are measured anew"

# What is wrong -> what `mend` does about it.
REMEDIES = {
    "damaged file": f"moved to {QUARANTINE}/; its run is measured again",
    "damaged compact file": f"moved to {QUARANTINE}/; rows that are lost are measured again",
    "misnamed file": f"renamed where its run has no other, else moved to {QUARANTINE}/",
    "leftover file": f"moved to {QUARANTINE}/; a crash left it, its rows never counted",
    "drifted column": f"written again in the type it should have, the old one in {QUARANTINE}/",
    "double rows": f"one is kept, the file as it was in {QUARANTINE}/",
    "orphaned rows": f"moved to {QUARANTINE}/; nothing says what they are of",
    "wrong row": f"moved to {QUARANTINE}/ with all of its run, which is measured again",
    "damaged object": f"moved to {QUARANTINE}/; its run is measured again where no other has it",
    "double rows in an object": _STAYS,
    "wrong row in an object": _STAYS,
    "stale checkpoint": "deleted: its run has ended",
    "torn journal": "deleted: it is built anew when the study is run",
    "zombie trial": "journal deleted: it is built anew when the study is run",
    "trial without rows": "journal deleted: it is built anew when the study is run",
    "silent trial": "nothing: the next worker that joins lets it wait again",
    "told trial without rows": "nothing: the next rankbench run lets its point wait again",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong in the file or table `path`; `runs`: the ids of the runs it spoils.

    Raises ValueError for a kind without a remedy.
    """

    kind: str
    path: Path
    what: str
    runs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of("kind", self.kind, REMEDIES)

    @property
    def remedy(self) -> str:
        """What `mend` does about it."""
        return REMEDIES[self.kind]
