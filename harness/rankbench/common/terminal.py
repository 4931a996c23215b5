"""The terminal a command writes to: every string on it is shown, none is obeyed."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text

from rankbench.common.text import plain

# How every table looks.
STYLE: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}


class Screen(Console):
    """A console on which markup and control characters in a string are text like any other.

    Names, descriptions and errors come from files that others wrote.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """`text` as it is shown, in one style."""
        lines = "\n".join(plain(line) for line in text.split("\n"))
        return super().render_str(lines, **{**options, "markup": False, "emoji": False})
