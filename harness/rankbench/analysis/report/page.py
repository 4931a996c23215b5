"""Render the report as one self-contained HTML file, with scripts and data inside."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).parent / "page"
_SCRIPTS = ("tools.js", "legend.js", "charts.js", "table.js", "explore.js", "claims.js", "start.js")
# Characters that could end or alter a script element in HTML, and two that JavaScript reads as
# line ends. In JSON they are written as escapes.
_UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def page(facts: dict[str, Any], data: dict[str, Any]) -> str:
    """Render the page.

    Jinja2 escapes every string of `facts`. The page's Content-Security-Policy allows only its own
    scripts, by their hashes, and no request of any kind.

    Args:
        facts: the values that the templates show.
        data: the values that the scripts read, by name.

    Returns:
        The page as HTML text.

    Raises:
        ValueError: a script contains text that would end its element.
    """
    theme, program, plotly = _read("theme.js"), _program(), plotly_source()
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        **facts,
        policy=policy([theme, program, plotly]),
        style=Markup(_read("page.css")),
        theme=Markup(theme),
        program=Markup(program),
        plotly=Markup(plotly),
        data={name: embedded(value) for name, value in data.items()},
    )


def policy(scripts: Iterable[str]) -> str:
    """Return a Content-Security-Policy for the page.

    Args:
        scripts: the texts of the scripts to allow. Inline styles are allowed, and images only from
            the page itself; everything else is blocked.
    """
    allowed = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def embedded(value: Any) -> Markup:
    """Return `value` as JSON that is safe inside a script element.

    Characters that HTML could interpret are escaped, so no text of the data can end the element.
    """
    text = json.dumps(finite(value), allow_nan=False, separators=(",", ":"), default=_number)
    return Markup(text.translate(_UNSAFE))


def finite(value: Any) -> Any:
    """Return `value` with None in place of NaN and infinity, which JSON cannot hold."""
    if isinstance(value, dict):
        return {str(name): finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> Any:
    return value.item()  # The only values here that json cannot write are NumPy scalars.


@lru_cache(maxsize=1)
def plotly_source() -> str:
    """Return the Plotly script that the `plotly` package contains."""
    folder = importlib.resources.files("plotly") / "package_data"
    text = (folder / "plotly.min.js").read_text(encoding="utf-8")
    return _checked("plotly.min.js", text)


def _program() -> str:
    inner = "\n".join(_read(name) for name in _SCRIPTS)
    return f"(() => {{\n'use strict';\n{inner}\n}})();"


def _read(name: str) -> str:
    return _checked(name, (_FOLDER / name).read_text(encoding="utf-8"))


def _checked(name: str, text: str) -> str:
    """Return `text` with line ends as a browser reads them, so that its hash matches.

    Raises:
        ValueError: `text` contains something that would end its element.
    """
    for sign in ("</script", "</style", "<!--"):
        if sign in text.lower():
            raise ValueError(f"{name} must not hold {sign!r}, to stand in a page")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
