"""Benchmarks and hyperparameter studies of tensor-compressed recurrent networks.

`__all__` lists the public names. Each is imported from its module when it is first used, so that
`import rankbench` loads neither torch nor pandas.

Example:
    >>> import rankbench
    >>> settings = rankbench.LayerSettings(decomposition="block_term", tucker_rank=2, cp_rank=2,
    ...                                    in_modes=(8, 20, 20, 18), out_modes=(4, 4, 4, 4))
    >>> settings.resolve(57600, 256, gates=4).num_params
    1472
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankbench.cells.modules import build_cell
    from rankbench.cells.settings import Cell

    __version__: str
    from rankbench.layers.linear import CompressedLinear
    from rankbench.layers.settings import LayerSettings
    from rankbench.store.query import load, query

__all__ = [
    "Cell",
    "CompressedLinear",
    "LayerSettings",
    "__version__",
    "build_cell",
    "load",
    "query",
]

_HOMES = {
    "Cell": "rankbench.cells.settings",
    "CompressedLinear": "rankbench.layers.linear",
    "LayerSettings": "rankbench.layers.settings",
    "build_cell": "rankbench.cells.modules",
    "load": "rankbench.store.query",
    "query": "rankbench.store.query",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("rankbench.common.version").VERSION
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rankbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
