"""Options and arguments that several commands share."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rankbench.cli.parsing.parser import CommandParser
from rankbench.study.files import study_names

if TYPE_CHECKING:
    from rankbench.study.config import Study

STUDY_DETAILS = """\
STUDY is the name of a study (a file in ./studies, or one that Rankbench ships)
or the path of a YAML file. Without one, the studies are listed with what each
costs.

OVERRIDES change settings of the study, in Hydra's grammar:
  task.noise=0.1              set a setting
  seeds=[0,1,2]               set a list
  '+task.where={draw: a}'     add a key (quote what the shell would read)
  '~space.branches.cp'        remove a key"""

REFERENCE = "results/reference"


def add_results(command: CommandParser, default: str | None = "results") -> None:
    """Add the option `--results`."""
    text = "folder or URL of the results"
    text += "" if default else " (default: the study's setting `results`, which is results)"
    command.add_argument("--results", default=default, metavar="PATH", help=text)


def add_json(command: argparse._ActionsContainer) -> None:
    """Add the option `--json`."""
    command.add_argument(
        "--json",
        action="store_true",
        help="print JSON (docs/reference/json.md) and nothing else on standard output",
    )


def add_study(command: CommandParser) -> None:
    """Add arguments for a study and its overrides, and the option `--results`."""
    add_study_name(command, nargs="?", help="a study's name, or the path of a YAML file")
    command.add_argument(
        "overrides", nargs="*", metavar="OVERRIDES", help="changed settings, as task.noise=0.1"
    )
    add_results(command, default=None)


def add_study_name(command: CommandParser, name: str = "study", **options: Any) -> None:
    """Add an argument for the name of a study, with shell completion."""
    argument = command.add_argument(name, metavar="STUDY", **options)
    argument.completer = _complete_study  # type: ignore[attr-defined]


def _complete_study(prefix: str = "", **_: Any) -> list[str]:
    """Return the names of studies that begin with `prefix`, for argcomplete."""
    return [name for name in study_names() if name.startswith(prefix)]


def read_study(arguments: argparse.Namespace) -> Study:
    """Load the study that a command line names, with its overrides and `--results`."""
    return study_with(arguments.study, arguments.overrides, arguments.results)


def study_with(name: str, overrides: Sequence[str], results: str | None) -> Study:
    """Load a study with overrides.

    Args:
        name: Name of the study, or path of its file.
        overrides: Changed settings, such as task.noise=0.1.
        results: Value of `--results`; None uses the setting of the study.

    Raises:
        ValueError: The study or an override is invalid, or `results=` and `--results` differ.
    """
    from rankbench.study.config import load_study

    study = load_study(name, overrides)
    if results is None:
        return study
    overridden = any(text.lstrip("+").partition("=")[0] == "results" for text in overrides)
    if overridden and study.results != results:
        raise ValueError(
            f"--results and results= must agree, got {results!r} and {study.results!r};"
            " give one of them"
        )
    return dataclasses.replace(study, results=results)
