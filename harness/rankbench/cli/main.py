"""The command line: what can be asked, and who answers."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rankbench.cli.data_options import add_data
from rankbench.common.address import redact_password
from rankbench.common.exit_codes import DONE, FAILED, USAGE
from rankbench.common.terminal import Screen
from rankbench.common.text import plain
from rankbench.common.version import VERSION
from rankbench.store.location import study_folder

STUDY_COMMANDS = {
    "run": "measure what a study has not measured yet",
    "work": "join a study that machines share in PostgreSQL, until nothing is left",
    "plan": "show what run would measure, and for how long",
    "status": "show how far a study is",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns 0 done, 1 some runs failed, 2 usage."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except ValueError as error:
        print(f"rankbench: error: {plain(redact_password(str(error)))}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"rankbench: error: {plain(redact_password(str(error)))}", file=sys.stderr)
        return FAILED


def study_command(arguments: argparse.Namespace) -> int:
    """Run, work, plan or status."""
    # They import torch, which takes seconds: the other commands answer without.
    commands = importlib.import_module("rankbench.cli.study")
    return int(getattr(commands, arguments.name)(arguments))


def data_command(arguments: argparse.Namespace) -> int:
    """Store a data set, or list what is stored."""
    commands = importlib.import_module("rankbench.cli.data")
    return int(getattr(commands, arguments.ask)(arguments))


def doctor_command(arguments: argparse.Namespace) -> int:
    """Check stored results, and mend them where asked."""
    return int(importlib.import_module("rankbench.cli.doctor").doctor(arguments))


def export_command(arguments: argparse.Namespace) -> int:
    """Write results for other tools."""
    return int(importlib.import_module("rankbench.cli.export").export(arguments))


def bench_command(arguments: argparse.Namespace) -> int:
    """Measure our layers and every installed peer."""
    return int(importlib.import_module("rankbench.cli.bench").bench(arguments))


def query_command(arguments: argparse.Namespace) -> int:
    """Answer SQL over every study's tables."""
    return int(importlib.import_module("rankbench.cli.query").answer(arguments))


def figures(arguments: argparse.Namespace) -> int:
    """Draw every figure a study's rows allow, as PNG, PDF and CSV, or those of every study."""
    if (arguments.study is None) != arguments.all:
        raise ValueError("figures needs either a STUDY or --all")
    # The analysis stands above the harness: it is looked up by name, only when asked for.
    if arguments.all:
        return _all_figures(arguments)
    drawing = importlib.import_module("rankbench.analysis.figures.catalog")
    with importlib.import_module("rankbench.analysis.figures.media").shown_on(arguments.style):
        drawn = drawing.draw(arguments.study, root=arguments.results)
    folder = arguments.out or study_folder(arguments.results, arguments.study) / "figures"
    for path in drawing.save(drawn, Path(folder)):
        print(path)
    return DONE


def _all_figures(arguments: argparse.Namespace) -> int:
    redrawn = importlib.import_module("rankbench.analysis.redraw")
    folder, code = arguments.out or Path("figures"), DONE
    asked = (arguments.results, folder, arguments.workers, arguments.style)
    for study, (paths, why) in redrawn.redraw(*asked):
        code = code if paths else FAILED
        print("; ".join([f"{study}: {len(paths)} files in {folder / study}", *why]), flush=True)
    return code


def tables(arguments: argparse.Namespace) -> int:
    """Print a study's tables beside the published numbers, or write them to a file."""
    written = importlib.import_module("rankbench.analysis.tables.writers")
    found = written.tables_of(arguments.study, arguments.only, root=arguments.results)
    if arguments.out is None:
        written.show(found, Screen())
    else:
        written.write(found, arguments.out)
        print(arguments.out)
    return DONE


def claims_command(arguments: argparse.Namespace) -> int:
    """Put every claim of the papers beside the results present."""
    judged = importlib.import_module("rankbench.analysis.claims.evaluate").claims(
        arguments.results, arguments.only
    )
    written = importlib.import_module("rankbench.analysis.claims.writers")
    written.write(judged, arguments.format, Screen())
    if arguments.figure is not None:
        for path in written.draw(judged, arguments.figure):
            print(path, file=sys.stderr)
    return DONE


def report_command(arguments: argparse.Namespace) -> int:
    """Write studies and claims as one HTML page."""
    pages = importlib.import_module("rankbench.cli.report")
    print(pages.write(arguments.studies, arguments.results, arguments.out))
    return DONE


def recommend_command(arguments: argparse.Namespace) -> int:
    """Say which layers to choose for a map, by what is measured and what they cost."""
    importlib.import_module("rankbench.analysis.recommend.writers").answer(arguments)
    return DONE


def plans_command(arguments: argparse.Namespace) -> int:
    """Compare the planner's choices with the fastest measured."""
    return int(importlib.import_module("rankbench.cli.plans").plans(arguments))


def validate_command(arguments: argparse.Namespace) -> int:
    """Fit the exponents of time and memory, and compare with those the papers claim."""
    return int(importlib.import_module("rankbench.cli.validate").validate(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rankbench", description="Benchmarks and studies of tensor-compressed RNNs."
    )
    parser.add_argument("--version", action="version", version=f"rankbench {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, what in STUDY_COMMANDS.items():
        _add_study(commands.add_parser(name, help=what), name)
    checked = commands.add_parser("doctor", help="check stored results, and mend them")
    checked.add_argument("results", nargs="?", default="results", help="results folder or URL")
    checked.add_argument("--storage", default="", help="its trials too: postgresql://HOST/DATABASE")
    checked.add_argument("--mend", action="store_true", help="mend what can be without a loss")
    checked.set_defaults(command=doctor_command)
    _add_export(commands.add_parser("export", help="write results for other tools"))
    data = commands.add_parser("data", help="store a data set's frames, or list what is stored")
    add_data(data)
    data.set_defaults(command=data_command)
    asked = commands.add_parser("query", help="answer SQL over every study's tables")
    asked.add_argument("sql", help='e.g. "select decomposition, avg(rmse) from runs group by 1"')
    asked.add_argument("--format", choices=("table", "csv", "parquet"), default="table")
    asked.add_argument("--out", type=Path, help="file to write, for csv and parquet")
    asked.set_defaults(command=query_command)
    drawn = commands.add_parser("figures", help="draw every figure a study's rows allow")
    _add_figures(drawn)
    listed = commands.add_parser("tables", help="put a study beside the published numbers")
    listed.add_argument("study")
    listed.add_argument("--only", metavar="TABLE", help="one table by name, e.g. accuracy")
    listed.add_argument("--out", type=Path, help="file to write, .md or .csv")
    listed.set_defaults(command=tables)
    claimed = commands.add_parser("claims", help="judge every claim of the papers by the results")
    claimed.add_argument("--only", metavar="ID|PAPER", help="one claim, or BT, or TR")
    claimed.add_argument("--format", choices=("table", "csv", "json"), default="table")
    claimed.add_argument("--figure", type=Path, metavar="FOLDER", help="draw them there, too")
    claimed.add_argument("--results", default="results/reference", help="results folder")
    claimed.set_defaults(command=claims_command)
    reported = commands.add_parser("report", help="write studies and claims as one HTML page")
    reported.add_argument("studies", nargs="+", metavar="STUDY")
    reported.add_argument("--out", type=Path, default=Path("report.html"), help="file to write")
    reported.set_defaults(command=report_command)
    _add_recommend(commands.add_parser("recommend", help="say which layers to choose for a map"))
    timed = commands.add_parser("bench", help="time our layers and every installed peer")
    _add_bench(timed)
    judged = commands.add_parser("plans", help="compare the planner's choices with the fastest")
    _add_plans(judged)
    fitted = commands.add_parser("validate", help="test the papers' orders of time and memory")
    _add_validate(fitted)
    for command in (asked, drawn, listed, reported, timed, judged, fitted):
        command.add_argument("--results", default="results", help="folder or URL of the results")
    return parser


def _add_study(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument("study", help="a name in studies/ or a path to a YAML file")
    command.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. task.noise=0.1")
    command.set_defaults(command=study_command, name=name)
    if name == "status":
        command.add_argument("--dashboard", action="store_true", help="serve it to a browser")
        command.add_argument("--port", type=int, default=8080, help="of the dashboard")


def _add_figures(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", nargs="?")
    command.add_argument("--all", action="store_true", help="every study, its tables, the claims")
    command.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="for --all")
    command.add_argument(
        "--out", type=Path, help="folder (default: figures, in the study's results without --all)"
    )
    command.add_argument(
        "--style", default="screen", help="screen, paper (one column or two) or slide (16:9)"
    )
    command.set_defaults(command=figures)


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("studies", nargs="+", metavar="STUDY", help="and overrides, for optuna")
    command.add_argument("--to", required=True, help="a file, .csv or .parquet, or optuna")
    command.add_argument(
        "--table", default="runs", help="runs, epochs, samples, weights, beams or sentences"
    )
    command.add_argument("--columns", type=lambda text: text.split(","), help="e.g. run_id,rmse")
    command.add_argument("--storage", help="for optuna: sqlite:///study.db, or a journal's path")
    command.add_argument("--results", help="results folder (default: the study's)")
    command.set_defaults(command=export_command)


def _add_recommend(command: argparse.ArgumentParser) -> None:
    command.add_argument("--in", type=int, required=True, dest="inputs", help="input features")
    command.add_argument(
        "--out",
        type=int,
        required=True,
        dest="outputs",
        help="output features: of all gates of the cell together (4 x hidden of an lstm), or bare",
    )
    command.add_argument("--max-params", type=int, required=True, help="most parameters of the map")
    command.add_argument("--max-step-ms", type=float, help="most ms of its two passes, predicted")
    command.add_argument("--task", help="recovery, action, ... (default: of the nearest results)")
    command.add_argument("--cell", help="rnn, gru, lstm or none (default: lstm, if the task has)")
    command.add_argument("--batch", type=int, default=16, help="samples of a step")
    command.add_argument("--time-steps", type=int, help="of a sample (default: 6 with a cell)")
    command.add_argument("--top", type=int, default=10, help="layers of the shortlist")
    command.add_argument("--format", choices=("table", "csv", "json"), default="table")
    command.add_argument(
        "--study", type=Path, metavar="FILE", help="write the settling study there"
    )
    command.add_argument("--results", default="results/reference", help="results folder")
    command.set_defaults(command=recommend_command)


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("maps", nargs="*", metavar="MAP", help="e.g. bt_r1 tt_r4 (default: all)")
    command.add_argument("--batch", nargs="+", type=int, default=[16, 64], help="clips of 6 frames")
    command.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    command.add_argument("--threads", type=int, default=1, help="threads torch uses")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument(
        "--budget", type=float, default=20.0, help="seconds for a map, batch and dtype, roughly"
    )
    command.add_argument("--contenders", nargs="+", help="default: all that are installed")
    command.add_argument("--study", default="bench", help="name of the results")
    command.set_defaults(command=bench_command)


def _add_plans(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", default="", help="part of a shape's name, e.g. tensor_ring")
    command.add_argument("--threads", type=int, default=1, help="threads torch uses")
    command.add_argument("--budget", type=float, default=1.5, help="seconds for a shape, roughly")
    command.add_argument("--dtype", default="float32", help="float32 or bfloat16")
    command.add_argument("--study", default="plans", help="name of the results")
    command.set_defaults(command=plans_command)


def _add_validate(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", metavar="METHOD", help="e.g. tensor_ring (default: all)")
    command.add_argument(
        "--measure",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="time and memory too, not FLOPs and sizes alone",
    )
    command.add_argument("--budget", type=float, default=6.0, help="seconds for a sweep, roughly")
    command.set_defaults(command=validate_command)


if __name__ == "__main__":
    sys.exit(main())
