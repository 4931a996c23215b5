"""The parser: help that says everything, and errors that suggest the nearest spelling."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rankbench.cli.main import GROUPS, build_parser, main
from rankbench.cli.parsing.parser import CommandParser, HelpFormatter, parse
from tests.helpers.paths import ROOT


def parsers(parser: argparse.ArgumentParser) -> Iterator[CommandParser]:
    """Every command of a parser, and the commands below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield below
                yield from parsers(below)


# Options that do nothing where they are not given.
OPTIONAL = {"out", "figure", "study", "storage", "splits", "ids", "side", "captions", "extractor"}
OPTIONAL |= {"file", "features", "images", "results"}

PARSERS = {parser.prog: parser for parser in parsers(build_parser())}


def refusal(line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a wrong command line is told: one line on standard error, exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_help_groups_the_commands_with_a_sentence_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    titles = [line.rstrip(":") for line in lines if line.endswith(":")]
    assert titles == ["Study", "Results", "Layers", "Data", "Check", "Shell", "Options"]
    assert "  run         Measure the runs of a study that are still missing." in lines
    for group in GROUPS.values():
        for command in group:
            assert command.help.endswith(".")
            assert command.help.count(". ") == 0
            assert any(command.name in line and command.help in line for line in lines)


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_every_command_has_examples_and_every_option_a_text(
    parser: CommandParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = parser.format_help()
    assert "Examples:\n  rankbench" in told
    assert max(map(len, told.partition("Examples:")[0].splitlines())) <= 80
    flat = " ".join(told.split())
    for action in parser._actions:
        assert action.help, f"{parser.prog} {action.dest}"
        if isinstance(action.default, int | float) and type(action.default) is not bool:
            assert f"(default: {action.default})" in flat or "(default: " in action.help
        elif action.option_strings and not action.required and action.nargs != 0:
            optional = action.dest in OPTIONAL or "may be given several times" in action.help
            assert optional or "default: " in formatted(parser, action), action.dest


def formatted(parser: CommandParser, action: argparse.Action) -> str:
    return HelpFormatter(parser.prog)._get_help_string(action) or ""


def test_the_help_of_run_says_what_a_study_is_and_how_overrides_are_written() -> None:
    told = PARSERS["rankbench run"].format_help()
    assert "STUDY is the name of a study" in told
    assert "the path of a YAML file" in told
    assert "task.noise=0.1              set a setting" in told
    assert "rankbench run smoke task.noise=0.1 seeds=5 --results noisy" in told


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["rnu", "smoke"], "got 'rnu' (did you mean 'run'?); see `rankbench --help`"),
        (["data", "lst"], "got 'lst' (did you mean 'list'?); see `rankbench data --help`"),
        (["bench", "--thread-s", "2"], "unknown argument --thread-s (did you mean --threads?)"),
        (["status", "smoke", "--dashbord"], "--dashbord (did you mean --dashboard?)"),
        (["claims", "--format", "jsn"], "--format must be one of: table, csv, json; got 'jsn'"),
        (["tables", "smoke", "more"], "unknown argument more; see `rankbench tables --help`"),
        (["bench", "--budget", "x"], "argument --budget: invalid float value: 'x'"),
        ([], "the following arguments are required: COMMAND"),
        (["completion", "bsh"], "got 'bsh' (did you mean 'bash'?)"),
        (["claims", "--json", "--format", "csv"], "not allowed with argument"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest(
    line: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(line, capsys)


def test_a_wrong_study_or_key_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "smok"]) == 2
    assert "got 'smok' (did you mean 'smoke'?)" in capsys.readouterr().err
    assert main(["plan", "smoke", "trainig.epochs=3"]) == 2
    assert "got 'trainig' (did you mean 'training'?)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        ["plan", "smoke", "a=1", "b=2", "--results", "x"],
        ["plan", "smoke", "--results", "x", "a=1", "b=2"],
        ["plan", "--results", "x", "smoke", "a=1", "b=2"],
        ["plan", "smoke", "a=1", "--results", "x", "b=2", "--json"],
    ],
)
def test_overrides_may_be_anywhere_among_the_options(line: list[str]) -> None:
    arguments = parse(build_parser(), line)
    assert arguments.study == "smoke"
    assert arguments.overrides == ["a=1", "b=2"]
    assert arguments.results == "x"


def test_the_parser_and_its_help_load_nothing_heavy() -> None:
    program = (
        "import sys\nfrom rankbench.cli.main import build_parser\n"
        "build_parser().format_help()\n"
        "heavy = 'torch optuna pandas numpy pyarrow matplotlib hydra argcomplete'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "[]\n"
