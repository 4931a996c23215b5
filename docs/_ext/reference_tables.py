"""Tables of the reference, made from the code: columns, study keys, decompositions."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from field_docs import field_docs

from rankbench.cells.settings import Cell
from rankbench.layers import LAYERS
from rankbench.layers.settings import LayerSettings
from rankbench.store.schema import TABLES
from rankbench.study.config import Study
from rankbench.study.search import Search
from rankbench.tasks import TASKS
from rankbench.training.settings import Compute, Training

# A key of a study file -> the dataclass that checks what is below it.
PARTS: dict[str, type[Any]] = {
    "layer": LayerSettings,
    "cell": Cell,
    "training": Training,
    "compute": Compute,
    "search": Search,
}
WORDS = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "None": "null",
    "Any": "any",
    "Ranks": "integer or list of integers",
    "Modes": "list of integers",
    "Space": "mapping",
    "Search": "mapping",
}


def columns() -> str:
    """Every table of results, with every column."""
    parts = []
    for table, listed in TABLES.items():
        rows = [(f"`{c.name}`", str(c.type), c.unit or "-", c.meaning) for c in listed]
        parts += [f"## {table}", markdown_table(("column", "type", "unit", "meaning"), rows)]
    return "\n\n".join(parts)


def study_keys() -> str:
    """Every key of a study file: the study's own, those of each part, those of each task."""
    parts = ["## The study", keys_of(Study, without=("name",))]  # that is the file's name
    for key, owner in PARTS.items():
        parts += [f"## {key}", keys_of(owner, f"{key}.")]
    parts += ["## task", "The keys of `task` depend on `task.name`."]
    for name, task in TASKS.items():
        parts += [f"### {name}", keys_of(task, "task.")]
    return "\n\n".join(parts)


def keys_of(owner: type[Any], prefix: str = "", without: Sequence[str] = ()) -> str:
    """The fields of a settings class as a table, below its docstring."""
    said = field_docs(owner)
    rows = [
        (f"`{prefix}{field.name}`", type_of(field), default_of(field), said.get(field.name, ""))
        for field in dataclasses.fields(owner)
        if field.init and field.name not in without
    ]
    headings = ("key", "type", "default", "meaning") if said else ("key", "type", "default")
    table = markdown_table(headings, [row[: len(headings)] for row in rows])
    return f"{docstring(owner)}\n\n{table}"


def decompositions() -> str:
    """Every decomposition: its registry name, rank settings and how it treats modes."""
    rows = [
        (
            f"[`{name}`](#{name})",
            ", ".join(f"`{rank}`" for rank in layer.RANKS) or "-",
            "paired: as many input as output modes" if layer.PAIRED else "independent",
            docstring(layer).splitlines()[0],
        )
        for name, layer in LAYERS.items()
    ]
    return markdown_table(("name", "rank settings", "modes", "in one line"), rows)


def docstring(owner: type[Any]) -> str:
    """The docstring as Markdown: what it raises is left to the Python reference."""
    paragraphs = (inspect.getdoc(owner) or "").split("\n\n")
    kept = [text for text in paragraphs if not text.startswith("Raises")]
    return "\n\n".join(kept).replace("*", r"\*")


def type_of(field: dataclasses.Field[Any]) -> str:
    """The type of a field in words of YAML."""
    return " or ".join(dict.fromkeys(_word(part.strip()) for part in str(field.type).split("|")))


def _word(kind: str) -> str:
    if kind.startswith("tuple["):
        inner = kind.removeprefix("tuple[").split(",")[0]
        return f"list of {_word(inner)}s" if inner in ("int", "float") else "list"
    return "mapping" if kind.startswith("Mapping[") else WORDS.get(kind, kind)


def default_of(field: dataclasses.Field[Any]) -> str:
    """The default as a study file would write it."""
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    elif field.default is dataclasses.MISSING:
        return "required"
    else:
        value = field.default
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if value == () or value == []:
        return "[]"
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
