"""Imports run one way (DESIGN: cli -> study -> engine -> run -> tasks -> cells -> layers)."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PACKAGES = ("harness", "analysis")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# A module may import only from its own line or the lines above it.
FLOORS = [
    [
        "address",
        "bounds",
        "cache",
        "checks",
        "compute",
        "schema",
        "modes",
        "label",
        "pareto",
        "patience",
        "exits",
        "lazy",
        "bars",
    ],
    ["screen"],
    ["native", "alone"],
    ["layers"],
    ["native_recurrence", "recurrence", "step", "admissible"],
    [
        "checkpoint",
        "dropout",
        "keeper",
        "cells",
        "recurrent",
        "train",
        "measure",
        "machine",
        "data",
        "artifacts",
        "attempts",
        "local",
        "objects",
        "places",
        "sources",
        "remote",
        "fragments",
        "merge",
        "store",
        "query",
    ],
    ["tasks"],
    ["point"],
    ["run", "space", "estimate", "study_file"],
    ["search"],
    ["config", "engine", "warden", "postgres", "reach"],
    ["placement", "pruning", "feasibility"],
    ["queue"],
    ["shared"],
    ["worker"],
    ["study", "progress", "summary", "fronts"],
    ["export", "trials"],
    ["dashboard"],
    ["bench", "on_ray", "on_slurm"],
    ["validate"],
    ["findings", "identity", "journal", "doctor", "doctor_remote", "mend", "storage_check"],
    [
        "commands",
        "doctor_command",
        "export_command",
        "query_command",
        "data_command",
        "caption_command",
        "data_progress",
        "data_options",
    ],
    ["cli"],
]
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Modules of this repo that `path` imports when it is run, not only for type checks."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        pending.extend(ast.iter_child_nodes(node))
    modules = {module_of(file) for file in FILES}
    return {name for name in found if name in modules}


def test_imports_have_no_cycle() -> None:
    graph = {module_of(path): imports_of(path) - {module_of(path)} for path in FILES}
    # A package's table imports its files, which import its base: cycles within are not asked for.
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) >= set(graph)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    package, _, rest = module_of(path).partition(".")
    for imported in imports_of(path):
        their_package, _, their_rest = imported.partition(".")
        if package == "harness":
            assert their_package == "harness", f"{module_of(path)} imports {imported}"
        if package == their_package == "harness" and rest and their_rest:
            mine, theirs = FLOOR[rest.split(".")[0]], FLOOR[their_rest.split(".")[0]]
            assert theirs <= mine, f"{module_of(path)} imports {imported}, which stands above it"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
