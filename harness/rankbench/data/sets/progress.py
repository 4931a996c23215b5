"""The callback by which work on a set reports its progress."""

from __future__ import annotations

from typing import Protocol


class StorageProgress(Protocol):
    """Receives progress once at the start and after every clip."""

    def __call__(self, done: int, total: int, /) -> None:
        """Take the number of frames done, those of earlier calls included, and of all frames."""


def unwatched(done: int, total: int, /) -> None:
    """Ignore progress."""
