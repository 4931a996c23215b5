"""Folders of this checkout that tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "harness" / "rankbench"
STUDIES = ROOT / "studies"
REFERENCE = ROOT / "results" / "reference"
