"""The documentation shows the picture that is tested, and names files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.test_examples import PAGES
from tests.helpers.paths import ROOT
from tests.test_imports import PICTURE

HOUSE = ROOT / "docs" / "contribute" / "the-house.md"
TOP = ("analysis/", "docs/", "harness/", "results/reference", "studies/", "tests/")


def test_the_picture_is_the_one_that_is_tested() -> None:
    assert f"```text\n{PICTURE.strip()}\n```" in HOUSE.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`([\w./*-]+)`", page.read_text())
    named = [f"harness/{name}" if name.startswith("rankbench/") else name for name in named]
    wrong = [name for name in named if name.startswith(TOP) and not list(ROOT.glob(name))]
    assert set(wrong) <= {"harness/rankbench/layers/separate_tucker.py"}  # which a reader makes
