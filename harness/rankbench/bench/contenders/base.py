"""What every contender of a bench can say and do.

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
    """One implementation of an input map: ours, a peer's, or a reference.

    `title`: how tables name it. `distribution` and `package`: what has to be installed, and the
    package in it that holds the layers; None for what needs neither.
    """

    title: str
    distribution: str | None = None
    package: str | None = None

    def missing(self) -> str | None:
        """Why it cannot run here, None where it can."""
        if self.distribution is None:
            return None
        try:
            version(self.distribution)
            self.load(self.package)
        except PackageNotFoundError:
            return "not installed"
        except Exception as error:  # whatever a foreign package raises, the bench goes on
            return f"cannot be imported: {_one_line(error)}"
        return None

    def version(self) -> str:
        """The version that is installed."""
        return version(self.distribution) if self.distribution else VERSION

    def load(self, package: str | None) -> Any:
        """Import a package of the distribution, quietly."""
        with quiet():
            return importlib.import_module(str(package))

    @abstractmethod
    def supports(self, layer: Layer) -> bool:
        """Whether it has something to compare with `layer`."""

    def computes(self, layer: Layer) -> str:
        """`SAME`, or in words how its map differs from `layer`."""
        return SAME

    @abstractmethod
    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        """The bare map x (rows, in_features) -> (rows, out_features), with cores of its own."""

    @abstractmethod
    def dense_weight(self, module: nn.Module) -> Float[Tensor, "out_features in_features"]:
        """W of a module that `build` made, from its cores by the definition, in their dtype."""

    def recurrent(
        self, layer: Layer, module: nn.Module, seed: int, dtype: torch.dtype
    ) -> nn.Module:
        """An LSTM around `module`: x (batch, time, in_features) -> outputs (batch, time, hidden).

        Here the recurrence of `rankbench.cells`, which maps all rows of a clip at once.
        """
        hidden = layer.out_features // GATES
        stub = Dense(in_modes=(1,), out_modes=(layer.out_features,))
        cell = build_cell(Cell(name="lstm", hidden_size=hidden), stub, seed, dtype)
        cell.add_module("input_map", OverRows(module))
        return cell


class OverRows(nn.Module):
    """A map of rows applied to any leading dimensions."""

    def __init__(self, rows_map: nn.Module) -> None:
        super().__init__()
        self.rows_map = rows_map

    def forward(self, x: Float[Tensor, "*lead in_features"]) -> Float[Tensor, "*lead out_features"]:
        """W x for every row."""
        y: Tensor = self.rows_map(x.flatten(0, -2))
        return y.reshape(*x.shape[:-1], y.shape[-1])


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's global generator as seeded, and leave it as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what a foreign package prints and warns of off the screen."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _one_line(error: Exception) -> str:
    first = (str(error) or type(error).__name__).strip().splitlines()[0]
    return f"{type(error).__name__}: {first}"
