"""rankbench export: results as CSV or Parquet, or studies for Optuna's own tools."""

from __future__ import annotations

import argparse
from pathlib import Path

import optuna

from rankbench.common.exit_codes import DONE
from rankbench.engine.runner import StudyRun
from rankbench.engine.trials import copy_to, open_storage
from rankbench.store.export import export_table
from rankbench.study.config import load_study


def export(arguments: argparse.Namespace) -> int:
    """Write what is asked of the studies named; what has a = is an override."""
    names = [item for item in arguments.studies if "=" not in item]
    overrides = [item for item in arguments.studies if "=" in item]
    if not names:
        raise ValueError("export needs the name of a study")
    if arguments.to == "optuna":
        return _to_optuna(arguments, names, overrides)
    if overrides or arguments.storage:
        raise ValueError("overrides and --storage need --to optuna")
    path = Path(arguments.to)
    count = export_table(
        [Path(name).stem if name.endswith((".yaml", ".yml")) else name for name in names],
        path,
        table=arguments.table,
        columns=arguments.columns,
        root=arguments.results or "results",
    )
    print(f"{count} rows in {path}")
    return DONE


def _to_optuna(arguments: argparse.Namespace, names: list[str], overrides: list[str]) -> int:
    if not arguments.storage:
        raise ValueError("--to optuna needs --storage: sqlite:///study.db, or a journal's path")
    if arguments.columns or arguments.table != "runs":
        raise ValueError("--to optuna takes no --table and no --columns")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if arguments.results:
        overrides = [*overrides, f"results={arguments.results}"]
    storage = open_storage(arguments.storage)
    for name in names:
        study = load_study(name, overrides)
        print(f"{study.name}: {copy_to(storage, StudyRun(study))} trials")
    return DONE
