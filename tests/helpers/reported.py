"""Pages of the report for tests: a small study, and one whose every text is an attack."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import pandas as pd

from rankbench.analysis.claims.ledger import read
from rankbench.analysis.claims.values import MeasuredValue
from rankbench.analysis.claims.verdicts import Judged
from rankbench.analysis.names import VERDICTS
from rankbench.analysis.report.build import TABLES, Made, written
from rankbench.store.query import load
from tests.helpers.large import REFERENCE

MADE = Made(
    at=datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
    root="results/reference",
    version="0.1.0",
    commit="0123456789abcdef",
    dirty=True,
)
# What each would do, or spoil, where it is not text: markup, the end of a script, an attribute,
# a line of JavaScript, a template, Plotly's own markup and the order of letters.
ATTACKS = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 1'>",
    '" onmouseover="window.hacked = 1" x=\'',
    "two\u2028lines\u2029more",
    "{{ 7 * 7 }} %{x} ${7 * 7}",
    "<a href='javascript:window.hacked = 1'>here</a><b>",
    "<!--<script>",
    "\u202egnirts &amp; &lt;",
)


def judged(count: int = 12, why: str = "because") -> list[Judged]:
    """The first claims of the ledger, one verdict after the other."""
    return [
        Judged(
            claim=claim,
            verdict=VERDICTS[place % len(VERDICTS)],
            ours=MeasuredValue(value=1.0 + place, low=0.5, high=9.0, seeds=3, text=f"{1 + place}"),
            why=why,
        )
        for place, claim in enumerate(read().claims[:count])
    ]


def frames(study: str) -> dict[str, pd.DataFrame]:
    """The tables of a committed study that the page is made of."""
    return {name: load(study, name, REFERENCE) for name in TABLES}


def attacked() -> dict[str, pd.DataFrame]:
    """A study whose texts are attacks, with a decomposition that is known and one that is not."""
    found = frames("pareto")
    runs = found["runs"].head(2 * len(ATTACKS)).copy()
    texts = pd.Series(ATTACKS * 2, index=runs.index, dtype="string")
    for column in ("study", "error", "split", "dataset", "plan", "host", "cpu", "git_commit"):
        runs[column] = texts
    runs.loc[runs.index[:4], "decomposition"] = texts.iloc[:4]
    runs.loc[runs.index[:3], "status"] = "error"
    runs["run_id"] = [f"{text}{n}" for n, text in enumerate(texts)]
    old = dict(zip(found["runs"]["run_id"], runs["run_id"], strict=False))
    epochs = found["epochs"].assign(run_id=found["epochs"]["run_id"].map(old))
    return {"runs": runs, "epochs": epochs.dropna(subset=["run_id"]), "samples": found["samples"]}


def text_of(studies: Sequence[str]) -> str:
    """The page of committed studies."""
    return written({study: frames(study) for study in studies}, judged(), MADE)
