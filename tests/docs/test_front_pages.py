"""README and its neighbours: short, with links that lead somewhere, and hooks that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.test_examples import PAGES
from tests.helpers.paths import ROOT


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_a_front_page_is_at_most_160_lines(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= 160


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s#]+)", page.read_text())
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing


def test_hooks_run_what_is_there() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    [local] = config["repos"]
    assert local["repo"] == "local"
    for hook in local["hooks"]:
        assert re.match(r"\.venv/bin/(ruff (format|check)|mypy|python -m pytest)", hook["entry"])
        for path in re.findall(r"tests/\S+", hook["entry"]):
            assert (ROOT / path).exists()


def test_templates_are_forms() -> None:
    for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")):
        form = yaml.safe_load(path.read_text())
        assert path.stem == "config" or {"name", "description", "body"} <= set(form)
        assert all("label" in field["attributes"] for field in form.get("body", []))
