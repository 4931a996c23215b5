"""Let pages link to Markdown files elsewhere in the repository, which are no pages: downloads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#:]+\.md)(?:#[^)\s]*)?\)")


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Rewrite the links of one page that lead out of the documentation."""
    page = Path(app.srcdir) / docname

    def replaced(link: re.Match[str]) -> str:
        target = (page.parent / link[2]).resolve()
        if target.is_relative_to(app.srcdir) or not target.is_file():
            return link[0]
        return f"{{download}}`{link[1].replace('`', '')} <{link[2]}>`"

    source[0] = LINK.sub(replaced, source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Rewrite when a page is read."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
