"""The report as a file: what it says, what it escapes, what it may load."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankbench import load
from rankbench.analysis.claims.ledger import read
from rankbench.analysis.report.build import written
from rankbench.analysis.report.chart import Chart, hover, key
from rankbench.analysis.report.curves import curves_chart
from rankbench.analysis.report.page import embedded, page
from rankbench.analysis.report.runs import packed
from rankbench.analysis.report.summary import summarised
from rankbench.cli.main import main
from rankbench.common.text import plain
from tests.helpers.large import REFERENCE
from tests.helpers.reported import ATTACKS, MADE, attacked, frames, judged, text_of


class Parsed(HTMLParser):
    """The elements of a page: tags with attributes, texts, scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.said: list[str] = []
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            attributes, known = self.scripts[-1]
            self.scripts[-1] = (attributes, known + data)
        elif self._open != "style":
            self.said.append(data)

    def data(self, name: str) -> dict[str, Any]:
        (text,) = (text for attributes, text in self.scripts if attributes.get("id") == name)
        return dict(json.loads(text))


@pytest.fixture(scope="module")
def bt() -> Parsed:
    return Parsed(text_of(["recovery-bt", "bench"]))


@pytest.fixture(scope="module")
def hostile() -> Parsed:
    text = written({name: attacked() for name in ATTACKS[:2]}, judged(4, ATTACKS[1]), MADE)
    return Parsed(text)


def _words(parsed: Parsed) -> str:
    return " ".join(" ".join(parsed.said).split())


def test_a_page_says_what_was_measured_by_which_commit_and_how_to_make_it_again(
    bt: Parsed,
) -> None:
    words = _words(bt)
    assert "2026-01-02 03:04 UTC" in words
    assert "commit 0123456789ab with changes" in words
    assert "best point: BT R=4 N=2 d=6, 8,384 parameters, mean of 3 seeds" in words
    assert "rankbench report recovery-bt bench --results results/reference" in words
    assert "Figure trade_off, for print: rankbench figures recovery-bt" in words
    assert "Runs 72" in words
    commits = frames("recovery-bt")["runs"]["git_commit"].unique()
    assert all(commit[:12] in words for commit in commits)


def test_every_chart_has_a_title_a_sentence_and_a_command(bt: Parsed) -> None:
    charts = bt.data("charts-data")
    drawn = [a["data-chart"] for tag, a in bt.tags if tag == "figure" and "data-chart" in a]
    assert drawn == list(charts)
    assert {"front-recovery-bt-0", "curves-recovery-bt-0", "bench-bench-1"} <= set(drawn)
    for chart in charts.values():
        assert chart["title"]
        assert chart["says"].endswith(".")
        assert chart["command"].startswith("rankbench ")
        assert all(view["traces"] for view in chart["views"])


def test_hovering_tells_order_ranks_and_terms(bt: Parsed) -> None:
    front = bt.data("charts-data")["front-recovery-bt-0"]
    texts = [t for trace in front["views"][0]["traces"] for t in trace.get("text", [])]
    assert len(texts) == 24
    (best,) = (text for text in texts if "528 parameters" in text and "d=2 R=4 N=1" in text)
    assert "ranks 4, 4, 1" in best
    assert "RMSE of W 0.28" in best
    assert "on the front, 3 seeds" in best


def test_a_policy_allows_the_scripts_of_the_page_and_nothing_else(bt: Parsed) -> None:
    (policy,) = (
        a["content"] or "" for tag, a in bt.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    running = [text for a, text in bt.scripts if a.get("type") != "application/json"]
    assert len(running) == 3
    for text in running:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_a_page_loads_nothing(bt: Parsed) -> None:
    loaded = [a for _, a in bt.tags for name in ("src", "srcset", "action", "data") if name in a]
    assert loaded == []
    links = {a.get("href") for _, a in bt.tags if "href" in a}
    assert all(link == "data:," or str(link).startswith("#") for link in links)


def test_no_text_of_the_results_becomes_an_element(hostile: Parsed) -> None:
    tags = {tag for tag, _ in hostile.tags}
    assert not tags & {"img", "a href", "iframe", "object"}
    assert len(hostile.scripts) == 5
    assert not [name for _, a in hostile.tags for name in a if name.startswith("on")]
    words = "".join(hostile.said)
    assert ATTACKS[1] in words
    assert "\u202e" not in words
    assert "{{ 7 * 7 }}" in words


def test_every_text_of_the_results_is_in_the_data_as_it_was_written(hostile: Parsed) -> None:
    runs = hostile.data("runs-data")
    (errors,) = (column for column in runs["columns"] if column["name"] == "error")
    assert ATTACKS[0] in errors["words"]
    assert ATTACKS[1] in errors["words"]
    assert "two\\u2028lines\\u2029more" in errors["words"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_shown_beside_a_mark_is_text(attack: str) -> None:
    text = hover([attack, "", f"d=2 {attack}"])
    first, second = text.removeprefix("<b>").split("</b><br>")
    assert html.unescape(first) == plain(attack)
    assert html.unescape(second) == f"d=2 {plain(attack)}"
    assert not set(first + second) & set("<>\u2028\u202e")


@given(st.lists(st.floats() | st.text(alphabet="</!->&\u2028\u2029sS\"'"), max_size=4))
def test_embedded_json_holds_its_value_and_no_markup(value: object) -> None:
    text = embedded({"value": value})
    assert not set("<>&\u2028\u2029") & set(text)
    assert text.isascii()
    known = json.loads(text)["value"]
    assert known == value or "inf" in repr(value) or "nan" in repr(value)


def test_a_key_is_an_id_whatever_the_words() -> None:
    assert key("Front", "<b> of ü/x") == "front-b-of-x"
    assert key("\u2028") == "chart"


def test_a_chart_without_a_view_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Chart(key="a", title="", says="", figure="", command="", views=())
    assert str(caught.value) == "chart 'a' must have a view, got none"


def test_a_script_that_would_end_its_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankbench.analysis.report.page._SCRIPTS", ("page.html",))
    with pytest.raises(ValueError) as caught:
        page({}, {})
    assert str(caught.value) == "page.html must not hold '</script', to stand in a page"


def test_packed_runs_are_the_rows_and_leave_out_what_says_nothing() -> None:
    runs = frames("recovery-tr")["runs"]
    found = packed({"recovery-tr": runs})
    columns = {column["name"]: column for column in found["columns"]}
    assert found["count"] == len(runs)
    assert "gpu" not in columns
    assert "task" not in columns
    kinds = columns["decomposition"]
    assert [kinds["words"][place] for place in kinds["values"]] == list(runs["decomposition"])
    assert columns["noise"]["values"] == [float(f"{v:.6g}") for v in runs["noise"]]
    assert found["x"] == "num_params"
    assert found["y"] == "rmse"
    ring = runs["decomposition"] == "tensor_ring"
    ranks = pd.Series(columns["R"]["values"])[ring.to_numpy()]
    assert list(ranks) == list(runs.loc[ring, "tr_rank"])


@pytest.mark.parametrize(
    "lost",
    [
        {"status": "error", "error": "no memory left", "rmse": None},
        {"status": "killed", "num_params": pd.NA, "decomposition": pd.NA, "started_at": pd.NaT},
    ],
    ids=("error", "killed"),
)
def test_a_study_without_a_finished_run_has_a_page_that_says_why(lost: dict[str, object]) -> None:
    found = frames("pareto")
    tables = found | {"runs": found["runs"].head(6).assign(**lost)}
    words = _words(Parsed(written({"none": tables}, [], MADE)))
    assert "Runs 6, 6 not done" in words
    assert f"6 × {lost['status']}" in words
    assert "No finished run of this study has what a chart here shows" in words


@pytest.mark.slow
def test_the_command_writes_a_page_with_the_whole_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "page.html"
    command = ["report", "params", "--results", str(REFERENCE), "--out", str(out)]
    assert main(command) == 0
    assert f"{out} (5." in capsys.readouterr().out
    parsed = Parsed(out.read_text(encoding="utf-8"))
    assert f"{len(read().claims)} numbers and orderings" in _words(parsed)


def test_an_unknown_study_is_told_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "parms", "--results", str(REFERENCE)]) == 2
    told = capsys.readouterr().err
    assert "study must be one of: bench, " in told
    assert "did you mean 'params'?" in told
    assert main(["report", "params", "--results", str(tmp_path)]) == 2
    assert "study 'params' has no results: there are none in" in capsys.readouterr().err
    assert main(["report", "params", "--results", str(REFERENCE), "--out", "page.pdf"]) == 2
    assert "--out must be a file that ends in .html, got 'page.pdf'" in capsys.readouterr().err


def test_drawing_and_captions_are_told_by_what_they_are_judged_by() -> None:
    draw, caption = (
        {table: load(name, table, REFERENCE) for table in ("runs", "epochs")}
        for name in ("draw", "caption")
    )
    told = [summarised("draw", draw["runs"]), summarised("caption", caption["runs"])]
    assert [study["best"]["metric"] for study in told] == [
        "Negative ELBO (nats)",
        "CIDEr-D of the test sentences",
    ]
    curves = curves_chart("draw", draw["runs"], draw["epochs"], "rankbench figures draw")
    assert curves is not None
    assert (curves.figure, curves.views[0].y.title) == ("nats", "Negative ELBO (nats)")
    # Its runs have one record each: no line.
    assert curves_chart("caption", caption["runs"], caption["epochs"], "") is None
