"""From what was measured to a verdict: the five verdicts, the tests behind them, made rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rankbench.analysis.claims.arithmetic import Fact
from rankbench.analysis.claims.evaluate import claims, counts
from rankbench.analysis.claims.ledger import Claim, Ledger
from rankbench.analysis.claims.measured import ClaimEvidence
from rankbench.analysis.claims.verdicts import Judged, judge, near
from rankbench.analysis.names import (
    CONTRADICTED,
    NOT_COMPARABLE,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    VERDICTS,
)
from rankbench.analysis.stats.paired import holm, p_value
from rankbench.store.store import Store
from tests.helpers.frames import bt_lstm, lstm, ring, run

RUN = "rankbench run ucf11"
BOTH = {"bt": "tucker_rank = 4", "dense": "decomposition = 'dense'"}


def claim(**given: Any) -> Claim:
    about = {"id": "one", "paper": "BT", "group": "Fig. 6", "claim": "it is so", "run": RUN}
    return Claim(**{**about, **given})


def mean(published: float = 0.8, **given: Any) -> Claim:
    return claim(published=published, of="bt", value="top_accuracy", **given)


def order(sign: str = ">", **given: Any) -> Claim:
    return claim(order=f"bt {sign} dense", value="top_accuracy", **given)


def number(published: float, unit: float) -> Claim:
    return claim(published=published, unit=unit, calc=("product", 1))


# Numbers.


@pytest.mark.parametrize(
    ("published", "unit", "value", "agrees"),
    [
        (58.9e6, 0.1e6, 58982400, True),  # cut
        (59e6, 1e6, 58982400, True),  # rounded
        (721, 1, 722, False),
        (81693, 1, 81693.07, True),
        (1.3, 0.1, 1.4, False),  # a whole unit away, whatever a float makes of it
        (0.156, 0.001, 0.853 - 0.697, True),
        (3360, 0, 3360, True),
        (3360, 0, 3361, False),
    ],
)
def test_a_number_may_be_rounded_or_cut(
    published: float, unit: float, value: float, agrees: bool
) -> None:
    assert near(value, number(published, unit)) is agrees


def test_formulas_decide_alone() -> None:
    found = judge(number(721, 1), ClaimEvidence(exact=722.0))
    assert (found.verdict, found.why) == (CONTRADICTED, "a formula gives 722")
    assert judge(number(722, 1), ClaimEvidence(exact=722.0)).verdict == REPRODUCED
    statement = claim(calc=("block_term_is_cp",))
    assert judge(statement, ClaimEvidence(exact=Fact(True, "4 of 4"))).verdict == REPRODUCED
    found = judge(statement, ClaimEvidence(exact=Fact(False, "3 of 4 cases")))
    assert (found.verdict, found.why) == (CONTRADICTED, "3 of 4 cases")


def test_a_formula_refutes_what_rows_also_measure() -> None:
    both = mean(0.16, unit=0.01, calc=("least_squares_rmse", 0.05, 0.5, 3200, 81))
    found = judge(both, ClaimEvidence(exact=0.00566, values=(0.0056, 0.0058)))
    assert found.verdict == CONTRADICTED
    assert found.ours.value == pytest.approx(0.0057)
    # A formula that agrees leaves it to the rows.
    assert judge(both, ClaimEvidence(exact=0.16, values=(0.3, 0.3001))).verdict == NOT_REPRODUCED


def test_a_mean_is_reproduced_within_its_interval() -> None:
    seeds = ClaimEvidence(values=(0.79, 0.80, 0.81))
    assert judge(mean(0.81), seeds).verdict == REPRODUCED
    found = judge(mean(0.85), seeds)
    assert (found.verdict, found.why) == (NOT_REPRODUCED, "0.85 is outside the 95% interval")
    assert (found.ours.value, found.ours.seeds) == (pytest.approx(0.8), 3)
    assert "[0.775, 0.825], 3 seeds" in found.ours.text


def test_the_interval_of_an_accuracy_is_also_of_its_test_clips() -> None:
    found = judge(mean(0.83), ClaimEvidence(values=(0.8, 0.8, 0.8), clips=300))
    assert found.verdict == REPRODUCED
    ends = stats.binomtest(240, 300).proportion_ci(method="wilson")
    assert (found.ours.low, found.ours.high) == (pytest.approx(ends.low), pytest.approx(ends.high))


def test_a_single_seed_has_the_interval_of_its_clips_alone() -> None:
    found = judge(mean(0.7), ClaimEvidence(values=(0.8,)))
    assert found.verdict == NOT_REPRODUCED
    assert math.isnan(found.ours.low)


def test_what_departs_from_the_paper_is_not_comparable() -> None:
    found = judge(mean(0.8), ClaimEvidence(values=(0.8, 0.8), departures=("5 frames", "40 epochs")))
    assert (found.verdict, found.why) == (NOT_COMPARABLE, "5 frames; 40 epochs")
    assert found.ours.value == 0.8
    # Models that share a departure can be compared with each other.
    shared = ClaimEvidence(pairs=((0.8, 0.7), (0.81, 0.7), (0.8, 0.71)), departures=("5 frames",))
    assert judge(order(), shared, 0.01).verdict == REPRODUCED


def test_what_is_apart_is_not_comparable_with_rows_or_without() -> None:
    for found in (ClaimEvidence(), ClaimEvidence(values=(0.8, 0.8))):
        verdict = judge(mean(0.8, apart="another CNN"), found)
        assert (verdict.verdict, verdict.why) == (NOT_COMPARABLE, "another CNN")


def test_without_rows_it_says_what_to_run() -> None:
    for one in (mean(), order(), claim(sql="select true as holds"), claim()):
        found = judge(one, ClaimEvidence())
        assert (found.verdict, found.why, found.ours.text) == (NOT_MEASURED, RUN, "")


# Cases.


def test_counts_refute_and_measurements_do_not_reproduce() -> None:
    cases = ClaimEvidence(holds={"R=1": True, "R=4": False})
    found = judge(claim(sql="select 1", exact=True), cases)
    assert (found.verdict, found.why) == (CONTRADICTED, "fails in 1 of 2 cases: R=4")
    assert judge(claim(sql="select 1"), cases).verdict == NOT_REPRODUCED
    good = ClaimEvidence(holds={"R=1": True, "R=4": True})
    found = judge(claim(sql="select 1"), good)
    assert (found.verdict, found.ours.text) == (REPRODUCED, "2 of 2 cases")


# Orders.


def test_an_order_needs_two_pairs() -> None:
    found = judge(order(), ClaimEvidence(pairs=((0.8, 0.7),)))
    assert found.verdict == NOT_MEASURED
    assert found.why == f"one seed on both sides tests nothing; {RUN}"


def test_an_order_is_reproduced_by_its_corrected_test_alone() -> None:
    pairs = ClaimEvidence(pairs=((0.80, 0.70), (0.82, 0.71), (0.79, 0.70)))
    found = judge(order(), pairs, 0.04)
    assert found.verdict == REPRODUCED
    assert found.ours.value == pytest.approx(0.1)
    assert found.ours.effect == pytest.approx(0.1 / 0.01)
    assert judge(order(), pairs, 0.06).why == "no difference is shown"
    against = judge(order("<"), pairs, 1.0)
    assert (against.verdict, against.why) == (NOT_REPRODUCED, "the other way round")


def test_alike_means_shown_to_be_near() -> None:
    alike = order("=", tolerance=0.05)
    near_by = ClaimEvidence(pairs=((0.80, 0.81), (0.82, 0.82), (0.81, 0.80)))
    p = p_value("=", near_by.differences, 0.05)
    assert judge(alike, near_by, p).verdict == REPRODUCED
    wide = ClaimEvidence(pairs=((0.80, 0.70), (0.72, 0.82), (0.81, 0.80)))
    p = p_value("=", wide.differences, 0.05)
    assert judge(alike, wide, p).why == "not shown to be within 0.05"
    far = ClaimEvidence(pairs=((0.80, 0.70), (0.82, 0.71), (0.79, 0.70)))
    assert judge(alike, far, 1.0).why == "they differ by more than 0.05"


def test_p_is_that_of_a_paired_t_test() -> None:
    left, right = [0.80, 0.82, 0.79, 0.81], [0.79, 0.80, 0.80, 0.78]
    apart = [a - b for a, b in zip(left, right, strict=True)]
    expected = stats.ttest_rel(left, right, alternative="greater").pvalue
    assert p_value(">", apart, 0) == pytest.approx(float(expected))
    assert p_value("<", apart, 0) == pytest.approx(1 - float(expected))
    assert math.isnan(p_value(">", apart[:1], 0))


@pytest.mark.parametrize(("sign", "p"), [("<", 1 / 8), (">", 1.0)])
def test_differences_without_spread_are_told_by_their_signs(sign: str, p: float) -> None:
    assert p_value(sign, [-1.0, -1.0, -1.0], 0) == p
    assert p_value(sign, [0.0, 0.0], 0) == 1.0


def test_holm_is_that_of_the_textbook() -> None:
    corrected = holm([0.01, math.nan, 0.04, 0.03, 0.005])
    assert corrected[:1] + corrected[2:] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert math.isnan(corrected[1])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_nor_changes_their_order(raw: list[float]) -> None:
    corrected = holm(raw)
    assert all(1 >= after >= before for before, after in zip(raw, corrected, strict=True))
    by_raw = [corrected[place] for place in sorted(range(len(raw)), key=raw.__getitem__)]
    assert by_raw == sorted(by_raw)


# From rows to verdicts.


def evaluate(root: Path, *entries: Claim) -> dict[str, Judged]:
    judged = claims(root, ledger=Ledger(rows=BOTH, claims=entries))
    return {one.claim.id: one for one in judged}


def test_rows_give_every_verdict(store: Store) -> None:
    for seed, (bt, dense) in enumerate([(0.80, 0.70), (0.82, 0.71), (0.79, 0.70)]):
        facts = {"time_steps": 6, "sampling": "random", "ordered": True, "epochs": 400}
        rows = [bt_lstm(4, 3392, bt, seed, **facts), lstm(dense, seed, **facts, test_size=320)]
        rows.append(bt_lstm(4, 3392, 0.1, seed, **{**facts, "epochs": 20}))  # a shorter training
        rows[-1] = rows[-1] | {"run_id": f"short-{seed}"}
        rows.append(run("tensor_train", seed, rmse=0.1 * seed, status="error"))
        for row in rows:
            store.write_run({"runs": [row]})
    found = evaluate(
        store.folder.parent,
        mean(0.80, id="reached"),
        mean(0.95, id="missed"),
        order(id="better"),
        order("<", id="worse"),
        claim(id="count", published=3387, unit=1, calc=("num_params", "BT-LSTM R=4")),
        mean(0.8, id="apart", apart="another CNN"),
        claim(id="failed", sql="select rmse < 1 as holds from runs where rmse is not null"),
        claim(id="nothing", sql="select rmse < 1 as holds from runs where status = 'pruned'"),
    )
    assert {name: one.verdict for name, one in found.items()} == {
        "reached": REPRODUCED,
        "missed": NOT_REPRODUCED,
        "better": REPRODUCED,
        "worse": NOT_REPRODUCED,
        "count": CONTRADICTED,
        "apart": NOT_COMPARABLE,
        "failed": REPRODUCED,
        "nothing": NOT_MEASURED,
    }
    assert counts(list(found.values())) == dict(zip(VERDICTS, (3, 2, 1, 1, 1), strict=True))
    raw = p_value(">", [0.10, 0.11, 0.09], 0)
    assert found["better"].ours.p == pytest.approx(2 * raw)  # two orders of one figure


def test_rows_of_another_protocol_are_not_comparable(store: Store) -> None:
    facts = {"time_steps": 5, "sampling": "even", "epochs": 40, "test_size": 320}
    store.write_run({"runs": [bt_lstm(4, 3392, 0.8, **facts)]})
    (found,) = evaluate(store.folder.parent, mean(0.853)).values()
    assert found.verdict == NOT_COMPARABLE
    said = "5 frames a clip, not 6; frames chosen even, not random; 40 epochs, not 400"
    assert found.why == said
    assert found.ours.low < 0.8 < found.ours.high


def test_seeds_are_paired_and_averaged(store: Store) -> None:
    for seed, noise, rmse in [(0, 0.1, 0.2), (0, 1.0, 0.4), (1, 0.1, 0.3), (2, 0.1, 0.9)]:
        store.write_run({"runs": [ring(4, seed, noise=noise, rmse=rmse)]})
    for seed in (0, 1):
        store.write_run({"runs": [run("dense", seed, rmse=0.1)]})
    entry = claim(order="ring > dense", value="rmse")
    sets = {"ring": "tr_rank = 4", "dense": "decomposition = 'dense'"}
    (found,) = claims(store.folder.parent, ledger=Ledger(rows=sets, claims=(entry,)))
    assert (found.ours.seeds, found.ours.value) == (2, pytest.approx(0.2))


def test_no_results_leave_arithmetic(tmp_path: Path) -> None:
    judged = claims(tmp_path / "nowhere")
    assert {one.verdict for one in judged} == {
        REPRODUCED,
        CONTRADICTED,
        NOT_COMPARABLE,
        NOT_MEASURED,
    }
