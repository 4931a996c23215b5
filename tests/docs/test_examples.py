"""Every example of README and docs works: Python and YAML, and shell as far as it can be run."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest
from matplotlib import pyplot

from rankbench.layers import LAYERS
from rankbench.tasks import TASKS
from tests.helpers.doc_examples import parsed
from tests.helpers.layer_examples import RANKS
from tests.helpers.paths import ROOT
from tests.helpers.shell_examples import workspace

HIDDEN = ("_build", "_generated")
FRONT = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "studies/README.md")
PAGES = [
    *(ROOT / name for name in FRONT),
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if not set(HIDDEN) & set(p.parts)),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_work(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    tables = (patch.dict(table) for table in (LAYERS, TASKS, RANKS))  # a page may add to them
    with ExitStack() as stack:
        for table in tables:
            stack.enter_context(table)
        stack.enter_context(workspace(tmp_path))
        document = stack.enter_context(parsed(page))
        stack.callback(pyplot.close, "all")
        for example in document:
            try:
                example.evaluate()
            except Exception as error:  # a page's own words, not a traceback through sybil
                pytest.fail(f"{page}:{example.line}: {error!r}", pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_has_a_language(page: Path) -> None:
    fences = re.findall(r"^ *(`{3,}|:{3,})(.*)$", page.read_text(), re.M)
    opening = [said for _, said in fences[::2]]
    plain = [said for said in opening if not said.startswith("{")]
    assert set(plain) <= {"python", "text", "yaml", "console", "toml", "json", "c", "bibtex"}
