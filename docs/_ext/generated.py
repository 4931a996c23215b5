"""Write what is made from the code into `_generated/`, before Sphinx looks for pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import reference_tables
from api_pages import AREAS, area_page, front_door
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[2]


def pages() -> dict[str, str]:
    """Every generated file: its name -> its text."""
    made = {
        "columns.md": reference_tables.columns(),
        "study-keys.md": reference_tables.study_keys(),
        "decompositions.md": reference_tables.decompositions(),
        "front-door.md": front_door(),
    }
    made |= {f"python/{name}.md": area_page(area) for name, area in AREAS.items()}
    notebooks = sorted((ROOT / "analysis").glob("*.ipynb"))
    return made | {f"notebooks/{path.name}": path.read_text() for path in notebooks}


def write(app: Sphinx, config: Config) -> None:
    """Write the files that have changed, and remove those that are no longer made."""
    folder, made = Path(app.srcdir) / "_generated", pages()
    for path in folder.rglob("*.*"):
        if str(path.relative_to(folder)) not in made:
            path.unlink()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write when the configuration is read."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
