"""How a long piece of work on a set tells how far it is."""

from __future__ import annotations

from typing import Protocol


class StorageProgress(Protocol):
    """Called once at the start, with what is there already, and after every clip."""

    def __call__(self, done: int, total: int, /) -> None:
        """Frames done so far, of how many."""


def unwatched(done: int, total: int, /) -> None:
    """Nobody looks."""
