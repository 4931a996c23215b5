"""Console that prints untrusted text literally and never folds lines in a pipe."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console
from rich.text import Text

from rankbench.common.text import plain

_PIPE = 10_000  # Columns of a pipe: programs such as grep and awk need rows whole.


class Screen(Console):
    """A rich console that prints markup and control characters instead of interpreting them.

    Names, descriptions and errors may come from study and result files of other people, so a
    string in them must not be able to change colours or move the cursor. Output that goes to a
    pipe or a file has its full width, unless the environment sets COLUMNS.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if "width" not in options and not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = _PIPE

    def render_str(self, text: str, **options: Any) -> Text:
        """Return `text` with control characters escaped and markup left as it is."""
        lines = "\n".join(plain(line) for line in text.split("\n"))
        return super().render_str(lines, **{**options, "markup": False, "emoji": False})
