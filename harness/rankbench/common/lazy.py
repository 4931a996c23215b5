"""Defer the import of slow packages until one of their attributes is first used."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class _DeferredModule(ModuleType):
    """A module whose code runs when one of its attributes is first read."""

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        assert spec is not None
        assert spec.loader is not None
        self.__path__ = spec.submodule_search_locations or []
        spec.loader.exec_module(self)
        return getattr(self, name)


def lazily(name: str) -> None:
    """Make every later `import name` return a placeholder that loads the package on first use.

    Commands such as `rankbench list` never touch a tensor, and torch takes longer to load than
    everything else together. `importlib.util.LazyLoader` does not serve: it loads the package at
    the second import statement.

    Args:
        name: A top-level package. Nothing happens if it is loaded already or not installed.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    deferred = _DeferredModule(name)
    deferred.__spec__, deferred.__file__ = spec, spec.origin
    deferred.__loader__, deferred.__package__ = spec.loader, name
    sys.modules[name] = deferred
