"""The base class of the contenders of a benchmark.

Shapes: rows = batch * time; in_features, out_features of the map; hidden = hidden_size.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rankbench.bench.maps import GATES
from rankbench.cells.modules import build_cell
from rankbench.cells.settings import Cell
from rankbench.common.version import VERSION
from rankbench.layers import Dense, Layer

SAME = "the same map"


@dataclass(frozen=True, kw_only=True)
class Contender(ABC):
    """An implementation of an input map: ours, a peer's, or a reference."""

    title: str
    """Name in tables."""
    distribution: str | None = None
    """Distribution that must be installed; None if none is needed."""
    package: str | None = None
    """Package of the distribution that contains the layers."""

    def missing(self) -> str | None:
        """Return why the contender cannot run on this machine; None if it can."""
        if self.distribution is None:
            return None
        try:
            version(self.distribution)
            self.load(self.package)
        except PackageNotFoundError:
            return "not installed"
        except Exception as error:  # A package may raise anything when it is imported.
            return f"cannot be imported: {_one_line(error)}"
        return None

    def version(self) -> str:
        """Return the installed version."""
        return version(self.distribution) if self.distribution else VERSION

    def load(self, package: str | None) -> Any:
        """Import a package of the distribution, and suppress what it prints."""
        with quiet():
            return importlib.import_module(str(package))

    @abstractmethod
    def supports(self, layer: Layer) -> bool:
        """Return whether the contender has an implementation to compare with `layer`."""

    def computes(self, layer: Layer) -> str:
        """Return SAME, or a description of how its map differs from that of `layer`."""
        return SAME

    @abstractmethod
    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        """Build the map alone, (rows, in_features) to (rows, out_features), with its own cores."""

    @abstractmethod
    def dense_weight(self, module: nn.Module) -> Float[Tensor, "out_features in_features"]:
        """Rebuild W of a module from `build`, by the definition of the format, in its dtype."""

    def recurrent(
        self, layer: Layer, module: nn.Module, seed: int, dtype: torch.dtype
    ) -> nn.Module:
        """Build an LSTM with `module` as its input map.

        By default, this is the LSTM of `rankbench.cells`, which maps all rows of a clip at once.

        Returns:
            A module from x (batch, time, in_features) to outputs (batch, time, hidden) and a state.
        """
        hidden = layer.out_features // GATES
        stub = Dense(in_modes=(1,), out_modes=(layer.out_features,))
        cell = build_cell(Cell(name="lstm", hidden_size=hidden), stub, seed, dtype)
        cell.add_module("input_map", OverRows(module))
        return cell


class OverRows(nn.Module):
    """Applies a map of rows to inputs with any leading dimensions."""

    def __init__(self, rows_map: nn.Module) -> None:
        super().__init__()
        self.rows_map = rows_map

    def forward(self, x: Float[Tensor, "*lead in_features"]) -> Float[Tensor, "*lead out_features"]:
        """Return W x for every row."""
        y: Tensor = self.rows_map(x.flatten(0, -2))
        return y.reshape(*x.shape[:-1], y.shape[-1])


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator within the context, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the output and the warnings of a package."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _one_line(error: Exception) -> str:
    first = (str(error) or type(error).__name__).strip().splitlines()[0]
    return f"{type(error).__name__}: {first}"
