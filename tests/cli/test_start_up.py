"""Who only asks what there is does not wait for torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))


def told_by(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_status_doctor_and_export_load_no_torch(tmp_path: Path) -> None:
    asked = [["status", study, f"results={tmp_path}"] for study in STUDIES]
    asked += [["doctor", str(tmp_path)], ["doctor", "results/reference"]]
    file = str(tmp_path / "rows.csv")
    asked += [["export", "params", "--results", "results/reference", "--to", file]]
    told = told_by(
        "import sys\n"
        "from rankbench.cli.main import main\n"
        f"codes = [main(arguments) for arguments in {asked!r}]\n"
        "assert not any(codes), codes\n"
        "print('torch.nn' in sys.modules)\n"
    )
    assert "runs to measure" in told
    assert told.endswith("False\n")


@pytest.mark.parametrize(
    "use",
    [
        "import torch; assert torch.ones(2).sum() == 2",
        "from torch import nn; assert nn.Linear(1, 1)",
        "import torch.nn.functional as F; assert F.relu",
        "import rankbench.cli.study; from rankbench.layers import CompressedLinear as C; assert C",
    ],
)
def test_torch_is_loaded_when_it_is_used(use: str) -> None:
    told = told_by(
        f"import sys\nfrom rankbench.common.lazy import lazily\nlazily('torch')\n{use}\n"
        "import torch; print(torch.tensor([1.5]).item(), 'torch.nn' in sys.modules)"
    )
    assert told == "1.5 True\n"


def test_what_is_loaded_or_nowhere_is_left_alone() -> None:
    told = told_by(
        "import json, sys\nfrom rankbench.common.lazy import lazily\n"
        "lazily('json')\nlazily('nowhere_at_all')\n"
        "print(json is sys.modules['json'], 'nowhere_at_all' in sys.modules)"
    )
    assert told == "True False\n"
