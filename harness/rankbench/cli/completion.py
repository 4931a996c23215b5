"""`rankbench completion`: shell completion of commands, options and study names."""

from __future__ import annotations

import argparse

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE

SHELLS = ("bash", "zsh", "fish")


def completion(arguments: argparse.Namespace) -> int:
    """Print the completion script for a shell."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["rankbench"], shell=arguments.shell))
    return DONE


def _add_options(command: CommandParser) -> None:
    command.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


COMMAND = Command(
    name="completion",
    help="Print a script that completes commands, options and study names.",
    examples=(
        "rankbench completion bash >> ~/.bashrc",
        "rankbench completion zsh >> ~/.zshrc",
        "rankbench completion fish > ~/.config/fish/completions/rankbench.fish",
    ),
    add_options=_add_options,
    execute=completion,
)
