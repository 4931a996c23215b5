"""The version of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("rankbench")
except PackageNotFoundError:  # a checkout on sys.path that was never installed
    VERSION = "unknown"
