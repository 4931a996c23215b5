"""Modules that are loaded when something of them is first used."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Waiting(ModuleType):
    """A module that is not executed before an attribute of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        assert spec is not None
        assert spec.loader is not None
        self.__path__ = spec.submodule_search_locations or []
        spec.loader.exec_module(self)
        return getattr(self, name)


def lazily(name: str) -> None:
    """Put the loading of package `name` off, whoever imports it, until something of it is used.

    Torch takes longer to load than all else together, and who only asks what there is needs none
    of it. `importlib.util.LazyLoader` would load at the second import statement.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    waiting = _Waiting(name)
    waiting.__spec__, waiting.__file__ = spec, spec.origin
    waiting.__loader__, waiting.__package__ = spec.loader, name
    sys.modules[name] = waiting
