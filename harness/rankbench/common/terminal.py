"""Console that prints untrusted text literally."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text

from rankbench.common.text import plain

# Options of every table that a command prints.
STYLE: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}


class Screen(Console):
    """A rich console that prints markup and control characters instead of interpreting them.

    Names, descriptions and errors may come from study and result files of other people, so a
    string in them must not be able to change colours or move the cursor.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return `text` with control characters escaped and markup left as it is."""
        lines = "\n".join(plain(line) for line in text.split("\n"))
        return super().render_str(lines, **{**options, "markup": False, "emoji": False})
