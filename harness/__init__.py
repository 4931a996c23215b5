"""Rankbench: the machine that measures tensor-compressed recurrent networks."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.query import load

__all__ = ["__version__", "load"]

try:
    __version__ = version("rankbench")
except PackageNotFoundError:  # a checkout on sys.path that was never installed
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    # Every worker imports this file: pandas and Arrow wait until `load` is asked for.
    if name == "load":
        from harness.query import load

        return load
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
