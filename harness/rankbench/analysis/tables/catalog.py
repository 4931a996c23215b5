"""Collect every table that a study's results allow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from rankbench.analysis.summaries.accuracy import TOP
from rankbench.analysis.summaries.comparisons import published_data
from rankbench.analysis.summaries.models import TASKS
from rankbench.analysis.summaries.rows import records, several
from rankbench.analysis.tables.accuracy import accuracy_sheet
from rankbench.analysis.tables.captions import caption_sheets
from rankbench.analysis.tables.complexity import complexity_sheets
from rankbench.analysis.tables.contrasts import contrast_sheets
from rankbench.analysis.tables.draw import draw_sheets
from rankbench.analysis.tables.effects import effect_sheets
from rankbench.analysis.tables.rank_bound import bound_sheets
from rankbench.analysis.tables.sheet import Sheet
from rankbench.analysis.tables.training import convergence_sheet, time_sheet
from rankbench.common.checks import one_of
from rankbench.store.query import load
from rankbench.store.schema import TABLES

Frames = dict[str, pd.DataFrame]


def sheets(frames: Frames) -> dict[str, Sheet]:
    """Return every table that the results of a study allow.

    Args:
        frames: The tables of a study by name, as loaded from Parquet.

    Returns:
        Sheets by name. If a study uses several data sets, their name is added to that of a table.

    Raises:
        ValueError: If the results allow no table.
    """
    found = complexity_sheets(frames) | bound_sheets(frames) | caption_sheets(frames)
    found |= contrast_sheets(frames) | effect_sheets(frames) | draw_sheets(frames)
    classified = _classified(frames)
    if not (found or classified):
        runs = len(frames["runs"])
        raise ValueError(f"tables: none of {runs} runs is done and has a top accuracy")
    return classified | found


def sheet_named(name: str, study: str, root: Path | str = "results") -> pd.DataFrame:
    """Load a study and return one of its tables as formatted text.

    Args:
        name: The name of the table.
        study: The name of the study.
        root: The results folder or URL.

    Raises:
        ValueError: If the study has no results or no such table.
    """
    found = sheets({table: load(study, table, root) for table in TABLES})
    one_of("table", name, found)
    return found[name].shown


def _classified(frames: Frames) -> dict[str, Sheet]:
    runs = frames["runs"]
    here = runs[(runs["status"] == "done").fillna(False) & runs["task"].isin(TASKS)]
    here = here[here[TOP].notna()]
    if here.empty:
        return {}
    data = pd.Series([published_data(row) for row in records(here)], index=here.index)
    found: dict[str, Sheet] = {}
    for name, rows in here.groupby(data):
        suffix = f"_{name}" if several(data) else ""
        found["accuracy" + suffix] = accuracy_sheet(rows)
        found["convergence" + suffix] = convergence_sheet(rows, frames["epochs"])
        if frames["epochs"]["seconds"].notna().any():
            found["time" + suffix] = time_sheet(rows, frames["epochs"])
    return found
