"""Tables and figures of captioning, on rows whose scores are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from rankbench.analysis.figures.captions import captions, sentences_of
from rankbench.analysis.figures.catalog import draw
from rankbench.analysis.summaries.captions import differences, scores
from rankbench.analysis.tables.captions import in_words
from rankbench.analysis.tables.catalog import sheets
from rankbench.analysis.tables.writers import tables_of
from tests.helpers.captions import write_captions
from tests.helpers.figure_checks import drawn
from tests.helpers.frames import Row, frame, run, store_runs

MODELS = {"dense": 16384, "tensor_train": 1024, "block_term": 1408}
RANKS = {"tensor_train": {"tt_rank": 4}, "block_term": {"tucker_rank": 4, "cp_rank": 2}}
# Of each model the CIDEr of three seeds.
CIDER = {
    "dense": (0.30, 0.32, 0.34),
    "tensor_train": (0.31, 0.33, 0.35),
    "block_term": (0.26, 0.37, 0.33),
}


def captioned(kind: str, seed: int, **facts: object) -> Row:
    given: dict[str, object] = {
        **{"task": "caption", "target": None, "noise": None, "samples": None, "learner": None},
        **{"dataset": "tiny", "data_hash": "a", "cell": "lstm", "hidden_size": 16, "beam": 3},
        **{"ranks": [4, 4, 4], "num_params": MODELS[kind], "dense_params": 16384, "step_ms": 9.0},
        **{f"bleu_{n}": 0.6 / n + seed / 100 for n in (1, 2, 3, 4)},
        **{"perplexity": 20.0 - seed, "cider": CIDER[kind][seed], **RANKS.get(kind, {})},
    }
    made = run(kind, seed, **{**given, **facts})
    made["point_id"] = kind  # scores are of the run, not of its point
    return made | {"run_id": f"{kind}-{seed}"}


def written(row: Row, images: int = 9) -> list[Row]:
    said = f"a {row['decomposition']} in the grass"
    return [
        {"run_id": row["run_id"], "study": "test", "image_id": f"{48 + number:03d}.jpg",
         "beam": 3, "sentence": f"{said} {number}", "score": -9.0}
        for number in range(images)
    ]  # fmt: skip


ROWS = [captioned(kind, seed) for kind in MODELS for seed in range(3)]
RUNS, SENTENCES = frame("runs", ROWS), frame("sentences", [s for row in ROWS for s in written(row)])


def frames(runs: pd.DataFrame = RUNS) -> dict[str, pd.DataFrame]:
    return {"runs": runs, "epochs": frame("epochs", []), "samples": frame("samples", [])}


def test_scores_have_student_s_interval_over_seeds() -> None:
    table = scores(RUNS).set_index(["model", "score"])
    row = table.loc[("LSTM", "cider")]
    assert row["mean"] == pytest.approx(0.32)
    assert row["high"] - row["mean"] == pytest.approx(stats.t.ppf(0.975, 2) * 0.02 / math.sqrt(3))
    assert list(dict.fromkeys(scores(RUNS)["model"])) == ["LSTM", "BT R=4 N=2", "TT R=4"]


def test_differences_are_paired_by_seed_and_corrected() -> None:
    table = differences(RUNS).set_index(["model", "score"])
    steady, wild = table.loc[("TT R=4", "cider")], table.loc[("BT R=4 N=2", "cider")]
    # Every seed is 0.01 better: a sign test, 2^-3 for one side, twice that for two.
    assert steady["mean"] == pytest.approx(0.01)
    assert (steady["p"], steady["p_holm"]) == (pytest.approx(0.25), 1.0)
    wanted = stats.ttest_rel(CIDER["block_term"], CIDER["dense"]).pvalue
    assert wild["p"] == pytest.approx(wanted)
    assert wild["p_holm"] == 1.0  # of twelve tests, the least p of which is 0.25
    assert (wild["pairs"], table.loc[("TT R=4", "perplexity"), "mean"]) == (3, 0)


@pytest.mark.parametrize(
    ("score", "mean", "p", "words"),
    [
        ("cider", 0.1, 0.01, "better"),
        ("perplexity", 0.1, 0.01, "worse"),
        ("perplexity", -0.1, 0.05, "better"),
        ("bleu_1", -0.1, 0.06, "no difference is shown"),
        ("bleu_1", -0.1, math.nan, "one seed tests nothing"),
    ],
)
def test_a_difference_in_words(score: str, mean: float, p: float, words: str) -> None:
    assert in_words({"score": score, "mean": mean, "p_holm": p}) == words


def test_both_tables_are_those_of_a_study(tmp_path: Path) -> None:
    found = sheets(frames())
    assert list(found) == ["captions", "captions_paired"]
    assert found["captions"].shown["CIDEr-D"][0] == "0.320 ± 0.050"
    assert found["captions"].shown["fewer"].tolist() == ["-", "11.6x", "16.0x"]
    assert len(found["captions_paired"].shown) == 6 * 2
    store_runs(tmp_path, "caption", [{**row, "study": "caption"} for row in ROWS])
    assert list(tables_of("caption", root=tmp_path)) == ["captions", "captions_paired"]
    alone = RUNS[RUNS["decomposition"] == "tensor_train"]
    assert list(sheets(frames(alone))) == ["captions"]
    once = sheets(frames(RUNS[RUNS["seed"] == 0]))["captions_paired"]
    assert set(once.shown["in words"]) == {"one seed tests nothing"}


def test_scores_are_drawn_with_runs_means_and_intervals() -> None:
    figure = drawn(captions(RUNS))
    panel = figure.axes[3]
    assert panel.get_xlabel() == "CIDEr-D\n(more is better)"
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["LSTM (16384)", "BT R=4 N=2 (1408)", "TT R=4 (1024)"]
    seeds, interval, mean = panel.get_lines()[:3]
    assert sorted(np.asarray(seeds.get_xdata())) == pytest.approx(CIDER["dense"])
    assert len(np.asarray(interval.get_xdata())) == 2
    assert np.asarray(mean.get_xdata())[0] == pytest.approx(0.32)
    drawn(captions(RUNS[RUNS["seed"] == 0]))


def test_sentences_of_every_model_stand_below_each_image() -> None:
    figure = drawn(sentences_of(RUNS, SENTENCES))
    cards = [ax for ax in figure.axes if ax.texts]
    assert [ax.get_title(loc="left") for ax in cards] == [
        f"{number:03d}.jpg" for number in (48, 50, 51, 53, 54, 56)
    ]
    assert [text.get_text() for text in cards[0].texts] == [
        "LSTM: a dense in the grass 0",
        "BT R=4 N=2: a block_term in the grass 0",
        "TT R=4: a tensor_train in the grass 0",
    ]


def test_photos_and_references_come_from_a_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    write_captions("tiny")
    for number in (49, 52):
        Image.new("RGB", (8, 8), (200, 9, 9)).save(tmp_path / f"{number:03d}.jpg")
    rows = [{**row, "study": "caption"} for row in ROWS]
    store_runs(tmp_path, "caption", rows, *(one for row in ROWS for one in written(row)))
    plain = draw("caption", tmp_path)
    assert {"captions", "sentences"} <= set(plain)
    monkeypatch.setenv("RANKBENCH_IMAGES", str(tmp_path))
    figure = drawn(draw("caption", tmp_path)["sentences"])
    cards = [ax for ax in figure.axes if ax.texts]
    assert [ax.get_title(loc="left") for ax in cards] == ["049.jpg", "052.jpg"]
    assert all(ax.child_axes[0].images for ax in cards)
    assert cards[0].texts[-1].get_text() == "people: cat on the grass!"
    monkeypatch.setenv("RANKBENCH_IMAGES", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"^sentences: RANKBENCH_IMAGES=.* holds none of the test"):
        draw("caption", tmp_path)


def test_what_cannot_be_compared_is_told() -> None:
    mixed = frame("runs", [captioned("dense", 0), captioned("dense", 1, data_hash="b")])
    with pytest.raises(ValueError, match=r"^captions: runs of one set of captions can be compared"):
        scores(mixed)
    other = frame("runs", [captioned("dense", 0, task="action")])
    with pytest.raises(ValueError, match=r"^captions: none of 1 finished runs captions images$"):
        captions(other)
    with pytest.raises(ValueError, match=r"^sentences: the runs have stored no sentence$"):
        sentences_of(RUNS, SENTENCES[:0])
