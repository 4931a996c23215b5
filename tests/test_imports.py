"""Imports between folders and files run one way, exactly as the documentation's picture says."""

from __future__ import annotations

import ast
import itertools
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.paths import PACKAGE

# Bottom to top: what stands between two `<` imports from what stands left of it, and nothing of
# its own floor. Names are folders or files, below the folder that the line begins with.
PICTURE = """
rankbench: common < layers, store < cells, training < measure < data < tasks < study, bench
  < engine, analysis < doctor, validate < cli < __main__
layers: modes, derivatives < network < base
  < block_term, cp, dense, low_rank, tensor_ring, tensor_train, tucker
  < contraction < kernels < planning < settings, init < linear, stacked, enumerate
store: schema, location < parquet_file < reader < object_store, local < artifacts, store < sources
  < query < export
data: where, clips, split < sets < video < features < images
tasks: base < facts, compatibility, learning, permuting < profile < recovery, clips, draw, caption
bench: maps, dense < contenders < interleave, floor < workload < contest, plans < rows, plan_rows
  < report, plan_report, session
analysis: names, metrics, published < stats < summaries < tables < figures < claims < recommend
  < report, redraw
"""
# Tables of plugins name the files of their folder, and the front door names whatever is public.
TABLES = ("rankbench", "rankbench.layers", "rankbench.tasks", "rankbench.bench.contenders")
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_IN_A_FOLDER, MOST_LINES = 12, 400
# Folders of one kind of file: figures, tables, decompositions, commands, ...
ONE_KIND = ("analysis/figures", "analysis/summaries", "analysis/tables", "layers", "cli")


class Import(NamedTuple):
    """Module `of` imports module `what` in this line of its file."""

    of: str
    what: str
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE.parent)}:{self.line} imports {self.what}"


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path) -> list[Import]:
    """Every import of our own modules in a file, those for type checks and in functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in inner]
        found += [(name, getattr(node, "lineno", 0)) for name in names if name in MODULES]
    own = module_of(path)
    return [Import(own, what, path, line) for what, line in dict.fromkeys(found) if what != own]


IMPORTS = [found for path in FILES for found in imports_of(path)]


def floors() -> dict[str, dict[str, int]]:
    """Folder -> name of a part of it -> its floor."""
    lines = re.sub(r"\n\s+", " ", PICTURE.strip()).splitlines()
    pictured = {}
    for line in lines:
        folder, _, rest = line.partition(": ")
        levels = enumerate(rest.split(" < "))
        pictured[folder] = {name: n for n, level in levels for name in level.split(", ")}
    return pictured


FLOORS = floors()


def parts_in(module: str, folder: str) -> str | None:
    """The part of `folder` that a module belongs to; None for the folder's own __init__."""
    prefix = "rankbench" if folder == "rankbench" else f"rankbench.{folder}"
    rest = module.removeprefix(prefix).strip(".") if (module + ".").startswith(prefix + ".") else ""
    return rest.split(".")[0] or None


@pytest.mark.parametrize("folder", FLOORS)
def test_the_picture_names_every_part_of_a_folder(folder: str) -> None:
    root = PACKAGE if folder == "rankbench" else PACKAGE / folder
    there = {path.stem for path in root.glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in root.glob("*/__init__.py")}
    assert set(FLOORS[folder]) == there


@pytest.mark.parametrize("folder", FLOORS)
def test_imports_run_one_way(folder: str) -> None:
    wrong = []
    for found in IMPORTS:
        mine, theirs = parts_in(found.of, folder), parts_in(found.what, folder)
        if mine is None or theirs is None or mine == theirs:
            continue
        if FLOORS[folder][theirs] >= FLOORS[folder][mine]:
            wrong.append(f"{found}, which is not below {mine}")
    assert not wrong, "\n".join(wrong)


def test_only_tables_import_the_files_of_their_folder() -> None:
    """An __init__ that imports its files would put every one of them below all the others."""
    wrong = [
        str(found)
        for found in IMPORTS
        if found.path.name == "__init__.py" and found.of not in TABLES
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = {name: set[str]() for name in MODULES}
    for found in IMPORTS:
        if found.of not in TABLES:
            graph[found.of].add(found.what)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
        steps = [
            str(found)
            for a, b in itertools.pairwise(circle)
            for found in IMPORTS
            if (found.what, found.of) in ((a, b), (b, a))
        ]
        pytest.fail("\n".join(steps))


def test_folders_stay_small() -> None:
    counts = dict.fromkeys({path.parent for path in FILES}, 0)
    for path in FILES:
        counts[path.parent] += path.name != "__init__.py"
    names = {folder.relative_to(PACKAGE).as_posix(): count for folder, count in counts.items()}
    large = {name: count for name, count in names.items() if count > MOST_IN_A_FOLDER}
    assert set(large) <= set(ONE_KIND), large


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES
