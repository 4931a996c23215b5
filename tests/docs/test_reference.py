"""The reference pages that are made from the code name everything there is."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rankbench.layers import LAYERS
from rankbench.store.schema import TABLES
from rankbench.study.config import PARTS, Study
from rankbench.tasks import TASKS
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import api_pages  # noqa: E402
import field_docs  # noqa: E402
import outside_links  # noqa: E402
import reference_tables  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Base:
    size: int = 1
    """Number of things.
    At least 1."""


@dataclasses.dataclass(frozen=True)
class Derived(Base):
    name: str = ""
    other: int | None = None
    """Something else."""


def test_the_string_below_a_field_is_its_meaning() -> None:
    expected = {"size": "Number of things. At least 1.", "other": "Something else."}
    assert field_docs.field_docs(Derived) == expected


def test_a_settings_class_is_a_table() -> None:
    lines = reference_tables.keys_of(Derived, "task.").splitlines()
    assert lines[-3:] == [
        "| `task.size` | integer | `1` | Number of things. At least 1. |",
        "| `task.name` | text | `''` |  |",
        "| `task.other` | integer or null | `null` | Something else. |",
    ]


def test_every_column_is_listed() -> None:
    text = reference_tables.columns()
    for table, columns in TABLES.items():
        assert f"## {table}\n" in text
        for column in columns:
            assert f"| `{column.name}` | {column.type} | " in text


def test_every_key_of_a_study_file_is_listed() -> None:
    text = reference_tables.study_keys()
    parts = {key: owner for key, owner in PARTS.items() if owner is not None}
    owners = [(f"{key}.", owner) for key, owner in parts.items()]
    owners += [("task.", task) for task in TASKS.values()]
    for prefix, owner in [("", Study), *owners]:
        for field in dataclasses.fields(owner):
            if field.init and (prefix or field.name != "name"):
                assert f"| `{prefix}{field.name}` | " in text


def test_every_decomposition_has_a_section_with_its_equation() -> None:
    page = (DOCS / "reference" / "decompositions.md").read_text()
    assert {f"## `{name}`" for name in LAYERS} <= set(page.splitlines())
    assert all(f"[`{name}`](#{name})" in reference_tables.decompositions() for name in LAYERS)
    for name in LAYERS:
        section = page.split(f"## `{name}`\n")[1].split("\n## ")[0]
        assert "$$" in section, f"{name} has no equation"
        assert "Parameters: " in section, f"{name} has no parameter count"


@pytest.mark.parametrize("name", api_pages.AREAS)
def test_every_area_of_the_api_has_modules(name: str) -> None:
    page = api_pages.area_page(api_pages.AREAS[name])
    for package in api_pages.AREAS[name].packages:
        assert f".. automodule:: {package}." in page


def test_every_page_is_in_the_contents() -> None:
    index = (DOCS / "index.md").read_text().splitlines()
    hidden = ("_build", "_generated", "_ext", "_static")
    pages = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    listed = {str(p.with_suffix("")) for p in pages if p.parts[0] not in hidden} - {"index"}
    assert listed <= set(index)
    assert not [line for line in index if Path(line).suffix == ".md"]


def test_a_link_out_of_the_documentation_is_a_download() -> None:
    app = SimpleNamespace(srcdir=str(DOCS))
    source = ["[log](../../studies/LOG.md#x) [keys](../reference/columns.md) [no](../../no.md)"]
    outside_links.read(app, "contribute/tests", source)  # type: ignore[arg-type]
    assert source == [
        "{download}`log <../../studies/LOG.md>` [keys](../reference/columns.md) [no](../../no.md)"
    ]
