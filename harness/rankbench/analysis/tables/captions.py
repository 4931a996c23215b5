"""Tables of captioning: scores by model, and what compression changes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.captions import SCORES, differences, scores
from rankbench.analysis.summaries.rows import records
from rankbench.analysis.tables.sheet import NOTHING, Sheet, or_nothing
from rankbench.common.text import ratio


def caption_sheets(frames: dict[str, pd.DataFrame]) -> dict[str, Sheet]:
    """Return the captioning tables: `captions` and, where seeds can be paired, `captions_paired`.

    Args:
        frames: The tables of a study by name; only `runs` is read.

    Returns:
        Sheets by name; empty if no finished run captions images.
    """
    runs = frames["runs"]
    done = runs[(runs["status"] == "done").fillna(False)]
    if not (done["task"] == "caption").any() or done["cider"].isna().all():
        return {}
    found = {"captions": score_sheet(runs)}
    if not differences(runs).empty:
        found["captions_paired"] = difference_sheet(runs)
    return found


def score_sheet(runs: pd.DataFrame) -> Sheet:
    """Tabulate every score of every model, with 95% t intervals over seeds."""
    numbers = scores(runs)
    groups = numbers.groupby("model", sort=False)
    shown = pd.DataFrame([_score_row(records(group)) for _, group in groups])
    return Sheet(
        title="Captions of the test images",
        numbers=numbers,
        shown=shown,
        notes=(
            "mean over seeds and its 95% t interval; all seeds share their test images",
            "perplexity of a word: less is better; BLEU by sacrebleu, CIDEr-D by pycocoevalcap;"
            " lower-case words without punctuation",
            "METEOR and SPICE are not measured: they need Java",
        ),
    )


def _score_row(group: list[dict[str, Any]]) -> dict[str, str]:
    first = group[0]
    row = {
        "model": str(first["model"]),
        "parameters": labels.count(first["num_params"]),
        "fewer": NOTHING if first["family"] == "dense" else ratio(first["compression_ratio"]),
        "runs": str(first["runs"]),
    }
    for cell in group:
        row[SCORES[cell["score"]]] = _with_interval(cell)
    return row | {"step (ms)": or_nothing(first["step_ms"], labels.value)}


def _with_interval(cell: dict[str, Any]) -> str:
    if cell["low"] != cell["low"]:
        return labels.value(cell["mean"])
    return labels.plus_minus(cell["mean"], cell["high"] - cell["mean"])


def difference_sheet(runs: pd.DataFrame) -> Sheet:
    """Tabulate each model's scores minus those of the dense LSTM, paired by seed."""
    numbers = differences(runs)
    shown = pd.DataFrame(
        {
            "score": [SCORES[row["score"]] for row in records(numbers)],
            "model": numbers["model"],
            "less the LSTM's": [_with_interval(row) for row in records(numbers)],
            "pairs": numbers["pairs"].astype(str),
            "p (Holm)": [or_nothing(value, "{:.3f}") for value in numbers["p_holm"]],
            "in words": [in_words(row) for row in records(numbers)],
        }
    )
    note = "paired by seed, 95% t interval; two-sided p, Holm's over all of this table"
    return Sheet(title="Against the dense LSTM", numbers=numbers, shown=shown, notes=(note,))


def in_words(row: dict[str, Any]) -> str:
    """Say whether a difference is shown to be better or worse, at a Holm-corrected p of 0.05."""
    if row["p_holm"] != row["p_holm"]:
        return "one seed tests nothing"
    if row["p_holm"] > 0.05:
        return "no difference is shown"
    better = (row["mean"] < 0) == (row["score"] == "perplexity")
    return "better" if better else "worse"
