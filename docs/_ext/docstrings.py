"""Prepare docstrings, which are plain text with `code` and Google-style sections, for Sphinx.

Outside of code, characters that mark up reStructuredText are escaped. An indented paragraph of a
docstring, where this project puts equations, becomes a literal block.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

# A line that begins a section of Google's style: what is below it belongs to Napoleon.
SECTION = re.compile(r"^(Args|Attributes|Example|Examples|Note|Raises|Returns|Yields):$")
CODE = re.compile(r"(``.+?``|`[^`]+`)")
MARKUP = re.compile(r"[*|]|(?<=\w)_(?=\W|$)")


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite the lines of one docstring in place."""
    lines[:] = _with_blocks(_joined_code(lines))


def skip(app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what another library put into one of our classes."""
    home = getattr(obj, "__module__", None) or "rankbench"
    return None if home.startswith("rankbench") else True


def _joined_code(lines: list[str]) -> list[str]:
    """Escape the text of every paragraph; code that spans two lines stays whole."""
    paragraphs = "\n".join(lines).split("\n\n")
    return "\n\n".join(_escaped(paragraph) for paragraph in paragraphs).split("\n")


def _escaped(paragraph: str) -> str:
    if re.match(r"\s*>>> ", paragraph) or "\n    >>> " in paragraph or _is_block(paragraph):
        return paragraph
    parts = CODE.split(paragraph)
    parts[::2] = [MARKUP.sub(lambda found: "\\" + found.group(), part) for part in parts[::2]]
    return "".join(parts)


def _is_block(paragraph: str) -> bool:
    return all(line.startswith("    ") for line in paragraph.split("\n") if line)


def _with_blocks(lines: list[str]) -> list[str]:
    made: list[str] = []
    inside = False  # below a section's heading
    for before, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith(" "):
            inside = bool(SECTION.match(line))
        if line.startswith("    ") and not before and not inside and _ends_text(made):
            made += ["::", ""]
        made.append(line)
    return made


def _ends_text(made: list[str]) -> bool:
    text = [line for line in made if line]
    return bool(text) and not text[-1].startswith(" ") and not text[-1].endswith("::")


def setup(app: Sphinx) -> dict[str, Any]:
    """Run before Napoleon, whose priority is the default of 500."""
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
