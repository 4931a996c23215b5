"""Every dependency has its reason on the documentation's page, and its pin in constraints.txt."""

from __future__ import annotations

import re
import tomllib

from tests.helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_dependency_has_a_reason_and_a_pin() -> None:
    page = (ROOT / "docs" / "contribute" / "dependencies.md").read_text()
    named = set(re.findall(r"`([\w-]+)`", page))
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = {re.match(r"[\w-]+", item)[0] for items in lists for item in items}  # type: ignore[index]
    assert wanted <= named, f"no reason for {wanted - named}"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {_plain(line.partition("==")[0]) for line in lines}
    assert {_plain(name) for name in wanted} <= pinned


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
