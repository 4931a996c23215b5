"""One HTML file that needs nothing else: templates, scripts and data, and what it may load."""

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
# What ends or changes a script as HTML reads it, and two ends of a line as JavaScript reads it.
_UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def page(facts: dict[str, Any], data: dict[str, Any]) -> str:
    """The page as text: `facts` for the templates, `data` for the scripts.

    Jinja2 escapes every string of `facts`. The page's policy allows its own scripts, by their
    hashes, and no request of any kind.

    Raises ValueError where a script could not stand in a page.
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
    """A Content-Security-Policy: these scripts, the page's own styles, no network."""
    allowed = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def embedded(value: Any) -> Markup:
    """JSON that may stand in a script element: nothing in it is read as HTML."""
    text = json.dumps(finite(value), allow_nan=False, separators=(",", ":"), default=_number)
    return Markup(text.translate(_UNSAFE))


def finite(value: Any) -> Any:
    """`value` with None for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {str(name): finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> Any:
    return value.item()  # of numpy


@lru_cache(maxsize=1)
def plotly_source() -> str:
    """Plotly's own script, as its package brings it."""
    folder = importlib.resources.files("plotly") / "package_data"
    text = (folder / "plotly.min.js").read_text(encoding="utf-8")
    return _checked("plotly.min.js", text)


def _program() -> str:
    inner = "\n".join(_read(name) for name in _SCRIPTS)
    return f"(() => {{\n'use strict';\n{inner}\n}})();"


def _read(name: str) -> str:
    return _checked(name, (_FOLDER / name).read_text(encoding="utf-8"))


def _checked(name: str, text: str) -> str:
    """`text` with the ends of lines that HTML keeps; what would end its element is refused."""
    for sign in ("</script", "</style", "<!--"):
        if sign in text.lower():
            raise ValueError(f"{name} must not hold {sign!r}, to stand in a page")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
