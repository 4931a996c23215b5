"""Each command imports only what it needs: nobody waits for torch, Optuna or matplotlib in vain."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT, STUDIES
from tests.helpers.processes import run

HEAVY = ("matplotlib", "optuna", "torch")
NAMES = sorted(path.stem for path in STUDIES.glob("*.yaml"))


def imported_by(*commands: list[str]) -> set[str]:
    """Those of HEAVY that are imported once all of these commands have run in one process."""
    program = (
        "import sys\n"
        "from rankbench.cli.main import main\n"
        f"for arguments in {list(commands)!r}:\n"
        "    try:\n"
        "        code = main(arguments)\n"
        "    except SystemExit as end:\n"
        "        code = end.code\n"
        "    assert not code, (arguments, code)\n"
        f"print(*({{*{HEAVY!r}}} & set(sys.modules)))\n"
    )
    told = run([sys.executable, "-W", "error", "-c", program], cwd=ROOT)
    return set(told.splitlines()[-1].split())


def test_the_front_door_imports_nothing_heavy() -> None:
    program = (
        "import sys, rankbench; assert rankbench.__version__; dir(rankbench)\n"
        f"print(*({{*{HEAVY!r}, 'numpy', 'pandas', 'pyarrow', 'duckdb'}} & set(sys.modules)))"
    )
    told = run([sys.executable, "-c", program])
    assert told.split() == []


def test_help_imports_nothing_heavy() -> None:
    commands = ("run", "plan", "status", "query", "figures", "recommend", "bench", "data")
    assert imported_by(["--help"], *([command, "--help"] for command in commands)) == set()


def test_data_list_query_and_export_import_nothing_heavy(tmp_path: Path) -> None:
    reference = ["--results", "results/reference"]
    file = ["--to", str(tmp_path / "rows.csv")]
    select = ["query", "select count(*) from runs", *reference]
    commands = (["data", "list"], select, ["export", "params", *reference, *file])
    assert imported_by(*commands) <= {"optuna"}
    assert imported_by(["data", "list"], select) == set()


def test_status_and_doctor_import_no_torch(tmp_path: Path) -> None:
    commands = [["status", name, f"results={tmp_path}"] for name in NAMES]
    commands += [["doctor", str(tmp_path)], ["doctor", "results/reference"]]
    assert imported_by(*commands) == {"optuna"}


def test_plan_needs_torch_once_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    plan = ["plan", "smoke", f"results={tmp_path}"]
    assert imported_by(plan) == {"optuna", "torch"}  # to measure how fast the machine is
    assert imported_by(plan) == {"optuna"}
