"""`rankbench export`: export results as CSV or Parquet, or studies as Optuna trials."""

from __future__ import annotations

import argparse
from pathlib import Path

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_results, add_study_name
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE


def export(arguments: argparse.Namespace) -> int:
    """Export a table of some studies, or their trials. Arguments with "=" are overrides."""
    from rankbench.store.export import export_table

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
    import optuna

    from rankbench.cli.parsing.options import study_with
    from rankbench.engine.runner import StudyRun
    from rankbench.engine.trials import copy_to, open_storage

    if not arguments.storage:
        raise ValueError("--to optuna needs --storage: sqlite:///study.db, or a journal's path")
    if arguments.columns or arguments.table != "runs":
        raise ValueError("--to optuna takes no --table and no --columns")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(arguments.storage)
    for name in names:
        study = study_with(name, overrides, arguments.results)
        print(f"{study.name}: {copy_to(storage, StudyRun(study))} trials")
    return DONE


def _add_options(command: CommandParser) -> None:
    add_study_name(command, "studies", nargs="+", help="studies; for optuna, overrides as well")
    command.add_argument(
        "--to", required=True, metavar="FILE|optuna", help="a .csv or .parquet file, or optuna"
    )
    command.add_argument(
        "--table", default="runs", help="runs, epochs, samples, weights, beams or sentences"
    )
    command.add_argument(
        "--columns",
        type=lambda text: text.split(","),
        metavar="A,B",
        help="columns to write, as run_id,rmse (default: all)",
    )
    command.add_argument(
        "--storage", metavar="URL", help="for optuna: sqlite:///study.db, or a journal's path"
    )
    add_results(command, default=None)


COMMAND = Command(
    name="export",
    help="Write results for other tools: CSV, Parquet or Optuna.",
    examples=(
        "rankbench export smoke --to smoke.csv --columns run_id,decomposition,rmse",
        "rankbench export smoke budget --table epochs --to epochs.parquet",
        "rankbench export pareto --to optuna --storage sqlite:///pareto.db",
    ),
    add_options=_add_options,
    execute=export,
)
