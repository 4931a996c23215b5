"""Parser of the command line: help on a terminal, and errors that suggest the nearest spelling."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter

from rankbench.common.checks import one_of
from rankbench.common.exit_codes import USAGE
from rankbench.common.text import plain


class HelpFormatter(RawDescriptionRichHelpFormatter):
    """A help formatter with colours on a terminal, which also shows the defaults."""

    help_markup = False
    text_markup = False

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        if "default" in text or action.default in (None, False, [], argparse.SUPPRESS):
            return text
        shown = action.default
        if isinstance(shown, list):
            shown = " ".join(map(str, shown))
        if isinstance(action, argparse.BooleanOptionalAction):
            shown = action.option_strings[0 if action.default else 1]
        return f"{text} (default: {shown})".replace("%", "%%")


class CommandParser(argparse.ArgumentParser):
    """A parser that reports an error in one line, with valid and similar choices."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": HelpFormatter, **options})
        self._positionals.title = "arguments"

    def error(self, message: str) -> NoReturn:
        """Print one line on standard error, and exit with code 2."""
        self.exit(USAGE, f"rankbench: error: {plain(message)}; see `{self.prog} --help`\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None:
            return
        name = action.option_strings[0] if action.option_strings else str(action.metavar)
        try:
            one_of(name, value, action.choices)
        except ValueError as error:
            raise argparse.ArgumentError(None, str(error)) from None

    def refuse(self, rest: Sequence[str]) -> NoReturn:
        """Report arguments that are neither options nor positional arguments."""
        unknown = next((text for text in rest if text.startswith("-")), rest[0])
        near = difflib.get_close_matches(unknown.partition("=")[0], self._option_strings(), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        self.error(f"unknown argument {unknown}{hint}")

    def _option_strings(self) -> list[str]:
        return [text for action in self._actions for text in action.option_strings]


class MainParser(CommandParser):
    """The parser of `rankbench` itself, whose help lists the commands by group.

    Args:
        groups: For each title of a group, its commands with a sentence each.
        options: Further options of `argparse.ArgumentParser`.
    """

    def __init__(self, groups: Mapping[str, Mapping[str, str]], **options: Any) -> None:
        super().__init__(**options)
        self.groups = groups

    def format_help(self) -> str:
        """Return the help page: commands by group, then the options."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, [], [])
        formatter.add_text(self.description)
        for title, commands in self.groups.items():
            _add_section(formatter, title, _listed(commands))
        options = [action for action in self._actions if action.option_strings]
        _add_section(formatter, "Options", options)
        formatter.add_text(self.epilog)
        return formatter.format_help()


def _listed(commands: Mapping[str, str]) -> Iterable[argparse.Action]:
    return [argparse.Action([], dest=name, help=text) for name, text in commands.items()]


def _add_section(
    formatter: argparse.HelpFormatter, title: str, actions: Iterable[argparse.Action]
) -> None:
    formatter.start_section(title)
    formatter.add_arguments(actions)
    formatter.end_section()


def parse(parser: CommandParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line, where overrides of a study may occur anywhere among the options.

    argparse ends a list of positional arguments at the first option and leaves the later overrides
    over; this function adds them to the list.

    Args:
        parser: The parser of the command line.
        argv: Command-line arguments; None uses those of the process.

    Returns:
        The parsed arguments.
    """
    arguments, rest = parser.parse_known_args(argv)
    command: CommandParser = getattr(arguments, "parser", parser)
    if rest and (not hasattr(arguments, "overrides") or any(t.startswith("-") for t in rest)):
        command.refuse(rest)
    if rest:
        arguments.overrides = [*arguments.overrides, *rest]
    return arguments
