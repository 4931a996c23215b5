"""The ledger: what it holds, that every entry is evaluated on the committed results, its output."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from matplotlib import pyplot

from rankbench.analysis.claims.evaluate import claims, table
from rankbench.analysis.claims.ledger import LEDGER, Claim, Ledger, complexity, published, read
from rankbench.analysis.claims.verdicts import Judged
from rankbench.analysis.claims.writers import summary
from rankbench.analysis.figures import claims as figures_claims
from rankbench.analysis.names import NOT_COMPARABLE, NOT_MEASURED, VERDICTS
from rankbench.analysis.published import PUBLISHED, PUBLISHED_COMPLEXITY, PUBLISHED_RESULTS
from rankbench.cli.main import main
from tests.helpers.figure_checks import drawn
from tests.helpers.paths import REFERENCE, ROOT


@pytest.fixture(scope="module")
def judged() -> dict[str, Judged]:
    return {one.claim.id: one for one in claims(REFERENCE)}


def test_every_entry_has_a_verdict_on_the_committed_results(judged: dict[str, Judged]) -> None:
    assert len(judged) >= 60
    assert {one.verdict for one in judged.values()} == set(VERDICTS)
    for one in judged.values():
        if one.verdict == NOT_MEASURED:
            assert "rankbench" in one.why
        if one.claim.measurable and one.verdict not in (NOT_MEASURED, NOT_COMPARABLE):
            assert one.ours.text, f"{one.claim.id} was judged on nothing"


def test_every_query_finds_rows_or_says_what_makes_them(judged: dict[str, Judged]) -> None:
    empty = [one.claim.id for one in judged.values() if one.claim.measurable and not one.ours.text]
    assert empty == ["hmdb-tr-beats"]


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("tr-lr-rmse", "contradicted by arithmetic"),
        ("bt1-params", "contradicted by arithmetic"),
        ("bt4-ratio", "reproduced"),
        ("bt-fig9-rank", "reproduced"),
        ("bt4-beats-bt2", "not reproduced"),
        ("tr-top", "not comparable"),
        ("bt-beats-lstm", "reproduced"),
        ("tr-stable", "not measured"),
        ("rnn-forward-time", "reproduced"),
        ("bt-forward-memory", "not reproduced"),
    ],
)
def test_verdicts_on_the_headlines(judged: dict[str, Judged], name: str, verdict: str) -> None:
    assert judged[name].verdict == verdict


def test_every_published_number_is_in_the_ledger() -> None:
    refs = [one.ref for one in read().claims if one.ref]
    named = [published_result(ref) for ref in refs if ref[0] != "complexity"]
    assert {r for r in PUBLISHED_RESULTS if r not in named} == set()
    orders = {ref[1:] for ref in refs if ref[0] == "complexity"}
    assert orders == {
        (row.method, row.direction, what)
        for row in PUBLISHED_COMPLEXITY
        for what in ("time", "memory")
    }


def published_result(ref: tuple[Any, ...]) -> Any:
    start = ref[3] if len(ref) > 3 else ""
    found = [r for r in PUBLISHED_RESULTS if (r.task, r.model, r.metric) == ref[:3]]
    return next(r for r in found if r.source.startswith(start))


def test_every_published_map_is_counted() -> None:
    counted = {one.calc[1] for one in read().claims if one.calc and one.calc[0] == "num_params"}
    assert counted == {row.model for row in PUBLISHED}


def test_a_reference_names_one_number() -> None:
    assert published(("ucf11", "TT-LSTM", "top_accuracy", "TR Fig. 7")) == 0.803
    assert complexity(("complexity", "TT-RNN", "backward", "memory")) == "O(R^3 I)"
    with pytest.raises(ValueError) as caught:
        published(("ucf11", "TT-LSTM", "top_accuracy"))
    said = "ref must name one published result, ['ucf11', 'TT-LSTM', 'top_accuracy'] names 3"
    assert str(caught.value) == said


def test_readme_and_docs_say_how_many_of_each(judged: dict[str, Judged]) -> None:
    expected = summary(list(judged.values()))
    docs = sorted((ROOT / "docs").glob("[a-z]*/*.md"))
    texts = {path: _one_line(path.read_text()) for path in [ROOT / "README.md", *docs]}
    said = {path: re.findall(r"\d+ claims: \d+ reproduced", text) for path, text in texts.items()}
    assert said[ROOT / "README.md"]
    for path, found in said.items():
        assert texts[path].count(expected) == len(found), f"{path} should say: {expected}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace(" and ", ", ")


def test_verdicts_are_not_typed() -> None:
    assert not any(f": {verdict}" in LEDGER.read_text() for verdict in VERDICTS)


# A ledger that is wrong.


def entry(**given: Any) -> str:
    one = {"claim": "it is so", "run": "rankbench run x", **given}
    return yaml.safe_dump({"rows": {"bt": "true"}, "claims": {"BT": {"Fig. 1": {"one": one}}}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            entry(tolerence=1),
            "a key of claim one must be one of: claim, ref, published, unit, calc, of, value, sql, "
            "order, tolerance, exact, apart, run; got 'tolerence' (did you mean 'tolerance'?)",
        ),
        (entry(calc=["squared"]), "calc of claim one must be one of: num_params, "),
        (entry(order="bt over bt", value="rmse"), "sign of claim one must be one of: <, >, =; got"),
        (entry(order="bt >", value="rmse"), "order of claim one must be 'a > b', got 'bt >'"),
        (entry(order="bt = bt", value="rmse"), "claim one: bt = bt needs a tolerance above 0"),
        (entry(order="bt > tt", value="rmse"), "rows of claim one must be one of: bt; got 'tt'"),
        (entry(of="bt", published=1), "claim one: value must say what of its rows is meant"),
        (entry(of="bt", value="rmse"), "claim one: a mean needs a published number"),
        (entry(run=""), "claim one: say with run what measures it, or why it is apart"),
        ("rows: {}", "made.yaml must have the keys rows and claims"),
        ("claims: [", "made.yaml: while parsing a flow node"),
        ("{rows: {}, claims: {BT: 1}}", "claims: BT must be a mapping, got 1"),
    ],
)
def test_a_wrong_ledger_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read(path)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_an_id_is_given_once() -> None:
    one = Claim(id="one", paper="BT", group="Fig. 1", claim="it is so", run="rankbench run x")
    with pytest.raises(ValueError) as caught:
        Ledger(rows={}, claims=(one, one))
    assert str(caught.value) == "claims: the id one is given twice"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select nothing from runs", "claim one: Binder Error: "),
        ("select 1 as a", "claim one: its sql must give holds, not ['a']"),
    ],
)
def test_sql_that_does_not_answer_is_one_line(tmp_path: Path, sql: str, said: str) -> None:
    one = Claim(id="one", paper="BT", group="Fig. 1", claim="so", sql=sql, run="rankbench run x")
    with pytest.raises(ValueError) as caught:
        claims(tmp_path, ledger=Ledger(rows={}, claims=(one,)))
    assert str(caught.value).startswith(said)


# What a person sees.


def run_claims(*arguments: str, root: Path = REFERENCE) -> int:
    return main(["claims", "--results", str(root), *arguments])


def test_the_command_prints_every_claim_and_how_many_of_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    assert run_claims() == 0
    told = capsys.readouterr().out
    assert all(one.id in told for one in read().claims)
    assert f"{len(read().claims)} claims: " in told


def test_the_command_writes_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_claims("--only", "tr-lr-rmse", "--format", "json", root=tmp_path) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["published_value"], found["p_holm"]) == (0.16, None)
    assert found["verdict"] == "contradicted by arithmetic"
    assert run_claims("--only", "TR", "--format", "csv", root=tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + sum(one.paper == "TR" for one in read().claims)


def test_an_unknown_claim_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_claims("--only", "bt1-param") == 2
    told = capsys.readouterr().err
    assert "got 'bt1-param' (did you mean 'bt1-params'?)" in told
    assert told.count("\n") == 1


def test_the_figure_has_a_mark_for_every_claim(judged: dict[str, Judged]) -> None:
    rows = table(list(judged.values()))
    figure = drawn(figures_claims.claims(rows))
    every, accuracies, numbers, orders = figure.axes
    assert len(every.get_lines()) == len(rows)
    assert {text.get_text() for text in numbers.texts} >= {"tr-lr-rmse", "bt-lstm-epochs"}
    assert len(accuracies.get_lines()) == 1 + 2 * int(
        (rows["column"] == "top_accuracy").mul(rows["published_value"].notna()).sum()
    )
    tested = rows["effect"].notna() & ~rows["order"].str.contains("=")
    assert len(orders.get_yticks()) == tested.sum()
    (legend,) = figure.legends
    assert [text.get_text().rpartition(" (")[0] for text in legend.get_texts()] == list(VERDICTS)
    assert not pyplot.get_fignums()


def test_the_command_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "drawn"
    assert run_claims("--only", "bt1-params", "--figure", str(folder), root=tmp_path) == 0
    assert {path.name for path in folder.iterdir()} == {"claims.png", "claims.pdf", "claims.csv"}
    assert "claims.png" in capsys.readouterr().err


def test_there_must_be_claims_to_draw() -> None:
    with pytest.raises(ValueError) as caught:
        figures_claims.claims(pd.DataFrame())
    assert str(caught.value) == "claims: there are no claims to draw"
