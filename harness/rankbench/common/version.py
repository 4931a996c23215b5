"""The version of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("rankbench")
except PackageNotFoundError:  # The package is on sys.path as a checkout but was never installed.
    VERSION = "unknown"
