"""Completion in a shell: the script, and what argcomplete is answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rankbench.cli.main import main
from tests.helpers.paths import ROOT


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_for_the_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "rankbench" in script
    assert ("complete --command rankbench" in script) == (shell == "fish")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rankbench rec", {"recommend"}),
        ("rankbench plan smo", {"smoke"}),
        ("rankbench status smoke --das", {"--dashboard"}),
        ("rankbench data mn", {"mnist"}),
    ],
)
def test_words_are_completed(line: str, expected: set[str], tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    program = "from rankbench.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, check=True)
    assert {word.strip() for word in answer.read_text().splitlines()} == expected
