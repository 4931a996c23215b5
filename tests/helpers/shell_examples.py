"""Shell blocks of README and docs: what is typed, what is shown, and whether it would work.

A block consists of commands, each after `$ `, and of what they print. A command that is not run is
checked: its options against the parser, its study and overrides as `rankbench plan` reads them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from rankbench.cli import main as cli
from rankbench.study.config import load_study
from tests.helpers.paths import PACKAGE, ROOT

STUDY_COMMANDS = ("run", "work", "plan", "status")
PLACEHOLDER = re.compile(r"[A-Z_]+$|\.\.\.$")  # rankbench run STUDY
# Commands of other programs, which a page may show and a test does not run.
OTHERS = ("cd", "createdb", "export", "git", "open", "pipx", "pre-commit", "python3", "source")


@dataclass(frozen=True)
class Command:
    """One command of a block, and the lines it is shown to print."""

    text: str
    output: tuple[str, ...] = ()


def commands_of(block: str) -> list[Command]:
    """The commands of a block; a block without any `$ ` is commands alone."""
    lines = block.rstrip("\n").replace("\\\n", " ").split("\n")
    if not any(line.startswith("$ ") for line in lines):
        lines = [f"$ {line}" for line in lines if line and not line.startswith("#")]
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            assert found, f"output before any command: {line!r}"
            found[-1][1].append(line)
    return [Command(text, tuple(_trimmed(output))) for text, output in found]


def _trimmed(output: list[str]) -> list[str]:
    while output and not output[-1].strip():
        output = output[:-1]
    return output


def words_of(text: str) -> list[str]:
    """The words of a command, without a comment and without variables set before it."""
    words = shlex.split(text, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        name = words.pop(0).partition("=")[0]
        assert not name.startswith("RANKBENCH_") or _is_read(name), f"no variable {name}"
    return words


def _is_read(variable: str) -> bool:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    return any(f'"{variable}"' in path.read_text() for path in files)


def check(text: str) -> None:
    """Raise AssertionError or ValueError for a command that would be refused."""
    words = words_of(text)
    program, arguments = words[0], words[1:]
    if program == "rankbench":
        _check_rankbench(arguments)
    elif program == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
        assert set(arguments) <= targets, f"make has no target {set(arguments) - targets}"
    elif program in ("python", "pip", "pytest"):
        {"python": _check_python, "pip": _check_pip, "pytest": _check_pytest}[program](arguments)
    else:
        assert program in OTHERS, f"unknown program in an example: {program}"


def _check_rankbench(arguments: Sequence[str]) -> None:
    if "--help" in arguments or "-h" in arguments:
        arguments = [word for word in arguments if word not in ("--help", "-h")]
        assert set(arguments[:1]) <= set(_commands()), f"no command {arguments[0]}"
        return
    given = _parsed(arguments)
    if arguments[0] in STUDY_COMMANDS and getattr(given, "study", None):
        _check_study(given.study, given.overrides)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parser().parse_args(list(arguments))
    except SystemExit:
        raise AssertionError(f"rankbench {' '.join(arguments)}: {said.getvalue()}") from None


def parser() -> argparse.ArgumentParser:
    """The parser of `rankbench`."""
    build = getattr(cli, "build_parser", None) or cli._parser
    made: argparse.ArgumentParser = build()
    return made


def _commands() -> list[str]:
    [actions] = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return list(actions.choices)


def _check_study(study: str, overrides: Sequence[str]) -> None:
    overrides = [word for word in overrides if not word.endswith("...")]
    to_come = study.endswith(".yaml") and not Path(study).exists()
    if PLACEHOLDER.match(study) or to_come:
        OverridesParser.create().parse_overrides(list(overrides))
    else:
        load_study(study, overrides)


def _check_python(arguments: Sequence[str]) -> None:
    assert arguments[0] == "-m", f"only python -m NAME is an example, got {arguments}"
    assert importlib.util.find_spec(arguments[1]), f"no module {arguments[1]}"
    if arguments[1] == "pytest":
        _check_pytest(arguments[2:])


def _check_pytest(arguments: Sequence[str]) -> None:
    for word in arguments:
        if word.startswith("tests"):
            assert (ROOT / word.partition("::")[0]).exists(), f"no {word}"


def _check_pip(arguments: Sequence[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    for asked in re.findall(r"\[([\w,]+)\]", " ".join(arguments)):
        unknown = set(asked.split(",")) - extras
        assert not unknown, f"no extra {unknown}"


def run(text: str) -> list[str]:
    """Run a command of `rankbench` here; the lines it printed."""
    words = words_of(text)
    assert words[0] == "rankbench", f"only rankbench is run, got {text}"
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = cli.main(words[1:])
    out.seek(0)
    printed = out.read()
    assert code == 0, f"{text} ended with {code}: {printed}"
    return printed.splitlines()


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A folder to run examples in: the studies and the reference results are there."""
    (folder / "results").mkdir()
    (folder / "studies").symlink_to(ROOT / "studies")
    (folder / "results" / "reference").symlink_to(ROOT / "results" / "reference")
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


def differs(expected: Sequence[str], actual: Sequence[str]) -> str:
    """Why what is shown is not what was printed; empty where it is.

    A line `...` stands for any lines, a word `...` for any words; numbers with a point agree to
    2 %, everything else agrees exactly. Space between words does not count.
    """
    shown, printed = _words(expected), _words(actual)
    if _agree(shown, printed):
        return ""
    return "\n".join(["shown:", *expected, "printed:", *actual])


def _words(lines: Sequence[str]) -> list[str]:
    return [word for line in lines for word in line.split()]


def _agree(shown: list[str], printed: list[str]) -> bool:
    """Whether the words agree: those between two `...` where they first occur."""
    parts: list[list[str]] = [[]]
    for word in shown:
        if word == "...":
            parts.append([])
        else:
            parts[-1].append(word)
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return _equal(first, printed)
    rest = printed[len(first) : len(printed) - len(last)]
    ends = printed[len(printed) - len(last) :]
    if len(first) + len(last) > len(printed) or not _equal(last, ends):
        return False
    return _equal(first, printed[: len(first)]) and _in_order(parts[1:-1], rest)


def _in_order(parts: list[list[str]], words: list[str]) -> bool:
    for part in parts:
        places = range(len(words) - len(part) + 1)
        found = next((k for k in places if _equal(part, words[k : k + len(part)])), None)
        if found is None:
            return False
        words = words[found + len(part) :]
    return True


def _equal(shown: list[str], printed: list[str]) -> bool:
    return len(shown) == len(printed) and all(map(_same, shown, printed))


def _same(shown: str, printed: str) -> bool:
    number = re.compile(r"(\d+\.\d+)")
    ours, theirs = number.split(shown), number.split(printed)
    if ours[::2] != theirs[::2]:
        return False
    pairs = zip(ours[1::2], theirs[1::2], strict=True)
    return all(abs(float(a) - float(b)) <= 0.02 * abs(float(a)) for a, b in pairs)
