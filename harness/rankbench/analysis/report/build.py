"""Build the report: a page that shows what studies measured and works offline."""

from __future__ import annotations

import dataclasses
import datetime
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rankbench.analysis.claims.evaluate import claims
from rankbench.analysis.claims.verdicts import Judged
from rankbench.analysis.names import NAMES
from rankbench.analysis.report.bench import bench_chart
from rankbench.analysis.report.chart import Chart, looks
from rankbench.analysis.report.claims import claims_chart, ledger
from rankbench.analysis.report.curves import curves_chart
from rankbench.analysis.report.page import page
from rankbench.analysis.report.pareto import front_chart
from rankbench.analysis.report.runs import packed
from rankbench.analysis.report.summary import provenance, summarised
from rankbench.analysis.report.sweeps import sweep_charts
from rankbench.common.text import plain
from rankbench.measure.machine import provenance as here
from rankbench.store.location import redact_url
from rankbench.store.query import load

TABLES = ("runs", "epochs", "samples")
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Made:
    """When and from what a page was made."""

    at: datetime.datetime
    """The time, in UTC."""
    root: str
    """The folder or address of the results, without a password."""
    version: str
    """The version of Rankbench."""
    commit: str
    """The git commit of Rankbench; empty if unknown."""
    dirty: bool
    """Whether the working tree had uncommitted changes."""


def report(studies: Sequence[str], root: Path | str) -> str:
    """Build the page of some studies, and of every claim that the results decide.

    Args:
        studies: names of studies; duplicates are dropped.
        root: the folder or address of the results.

    Returns:
        The page as HTML text.

    Raises:
        ValueError: a study has no results; the message lists those that have some.
    """
    wanted = list(dict.fromkeys(studies))
    frames = {study: {name: load(study, name, root) for name in TABLES} for study in wanted}
    return written(frames, claims(root), _made(root))


def written(studies: Mapping[str, Frames], judged: Sequence[Judged], made: Made) -> str:
    """Build the page from loaded results.

    Args:
        studies: the frames of each study, by table (TABLES).
        judged: the judged claims.
        made: when and from what the page is made.

    Returns:
        The page as HTML text.
    """
    runs = {study: frames["runs"] for study, frames in studies.items()}
    asked = f"--results {shlex.quote(made.root)}"
    claimed = claims_chart(judged, f"rankbench claims --figure figures {asked}")
    charts = {
        study: [
            # Study names that differ only in punctuation would share an id.
            dataclasses.replace(chart, key=f"{chart.key}-{place}")
            for chart in _charts(study, frames, asked)
        ]
        for place, (study, frames) in enumerate(studies.items())
    }
    every = [*([claimed] if claimed else []), *(one for own in charts.values() for one in own)]
    facts = {
        "made": made,
        "title": ", ".join(map(plain, studies)),
        "summaries": [summarised(study, frame) for study, frame in runs.items()],
        "ledger": ledger(judged),
        "claimed": claimed,
        "studies": [
            {"name": plain(study), "key": f"study-{place}", "charts": charts[study]}
            for place, study in enumerate(studies)
        ],
        "provenance": provenance(runs),
        "commands": _commands(studies, asked),
    }
    asking = {"looks": looks(), "results": asked, "studies": list(studies)}
    data = {
        "charts": {chart.key: chart.plain() for chart in every},
        "runs": packed(runs) | asking,
    }
    return page(facts, data)


def _charts(study: str, frames: Frames, asked: str) -> Iterator[Chart]:
    """Yield every chart that the rows of a study allow.

    Runs of decompositions that this version does not know are left out.
    """
    runs = frames["runs"]
    known = runs[runs["decomposition"].isin(list(NAMES))]
    command = f"rankbench figures {shlex.quote(study)} {asked}"
    single = (
        bench_chart(study, known, command),
        front_chart(study, known, command),
        curves_chart(study, known, frames["epochs"], command),
    )
    yield from (chart for chart in single if chart is not None)
    yield from sweep_charts(study, known, frames["samples"], command)


def _commands(studies: Iterable[str], asked: str) -> list[str]:
    names = [shlex.quote(study) for study in studies]
    return [f"rankbench report {' '.join(names)} {asked}", f"rankbench claims {asked}"]


def _made(root: Path | str) -> Made:
    facts = here("cpu")
    return Made(
        at=datetime.datetime.now(datetime.UTC),
        root=redact_url(root),
        version=str(facts["rankbench_version"]),
        commit=str(facts["git_commit"] or ""),
        dirty=bool(facts["git_dirty"]),
    )
