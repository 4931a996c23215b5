"""Pages of the Python reference: a page for each area, a section for each module in it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass

import rankbench


@dataclass(frozen=True)
class Area:
    """One page: its packages, of which `deep` ones include the packages within."""

    title: str
    about: str
    packages: tuple[str, ...]
    deep: bool = False


AREAS = {
    "layers": Area(
        "Layers",
        "Decompositions, their settings and the modules built from them.",
        ("rankbench.layers", "rankbench.layers.contraction", "rankbench.layers.planning"),
    ),
    "cells": Area("Cells", "RNN, GRU and LSTM around any layer.", ("rankbench.cells",)),
    "training": Area(
        "Training",
        "The training loop, its settings, checkpoints and how a step is computed.",
        ("rankbench.training",),
    ),
    "tasks": Area(
        "Tasks", "What is learned or measured, and the point that identifies it.",
        ("rankbench.tasks",), deep=True,
    ),
    "store": Area(
        "Results", "The schema, reading and writing Parquet, SQL.", ("rankbench.store",)
    ),
    "figures": Area(
        "Figures", "A frame goes in, a Matplotlib figure comes out.",
        ("rankbench.analysis.figures",),
    ),
    "tables": Area(
        "Tables", "Tables of a study beside the published numbers.",
        ("rankbench.analysis.tables",),
    ),
}  # fmt: skip


def front_door() -> str:
    """The names that `import rankbench` offers."""
    blocks = [
        f".. auto{_kind(name)}:: rankbench.{name}\n   :no-index:"
        for name in rankbench.__all__
        if name != "__version__"
    ]
    return _eval_rst("\n\n".join(blocks))


def area_page(area: Area) -> str:
    """The page of one area."""
    names = [name for package in area.packages for name in modules(package, area.deep)]
    sections = [f"## `{name}`\n\n{_eval_rst(f'.. automodule:: {name}')}" for name in names]
    return "\n\n".join([f"# {area.title}", area.about, *sections]) + "\n"


def modules(package: str, deep: bool) -> list[str]:
    """The modules of a package that define something public, by name."""
    found = importlib.import_module(package)
    names = [package]
    for module in pkgutil.iter_modules(found.__path__, f"{package}."):
        if not module.ispkg:
            names.append(module.name)
        elif deep:
            names += modules(module.name, deep)
    return [name for name in names if _has_public(name)]


def _has_public(name: str) -> bool:
    module = importlib.import_module(name)
    return any(
        getattr(value, "__module__", None) == name and not key.startswith("_")
        for key, value in vars(module).items()
        if inspect.isclass(value) or inspect.isfunction(value)
    )


def _kind(name: str) -> str:
    return "class" if inspect.isclass(getattr(rankbench, name)) else "function"


def _eval_rst(text: str) -> str:
    return f"```{{eval-rst}}\n{text}\n```"
