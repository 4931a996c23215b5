"""The report's first and last sections: studies in numbers, and where their runs come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rankbench.analysis.metrics import METRICS
from rankbench.analysis.names import NAMES
from rankbench.analysis.report.names import named
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import at_noise, records
from rankbench.analysis.tables import points as tables
from rankbench.common.text import count, duration, plain

_WHERE = {
    "cpu": "Processor",
    "cpu_cores": "Cores",
    "memory_mb": "Memory (MB)",
    "gpu": "GPU",
    "gpu_driver": "GPU driver",
    "threads": "Threads",
    "host": "Machine (hash)",
    "python_version": "Python",
    "torch_version": "torch",
    "rankbench_version": "Rankbench",
}
_COMMIT = 12
_REASONS = 8


def summarised(study: str, runs: pd.DataFrame) -> dict[str, Any]:
    """Summarise a study: its runs, points, sizes, failures by reason, and its best point.

    Args:
        study: the name of the study.
        runs: its rows of `runs`.

    Returns:
        Texts and counts for the page's template.
    """
    done = runs[(runs["status"] == "done").fillna(False)]
    failed = runs[runs["status"] != "done"]
    sizes = done["num_params"].dropna()
    return {
        "study": plain(study),
        "task": ", ".join(sorted({plain(str(task)) for task in runs["task"].dropna()})),
        "runs": count(len(runs)),
        "points": count(runs["point_id"].nunique()),
        "params": _span(sizes) if len(sizes) else "",
        "time": duration(float(runs["duration_s"].sum())) if runs["duration_s"].any() else "",
        "best": _best(done),
        "failures": _failures(failed),
        "failed": len(failed),
    }


def _failures(failed: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the most frequent reasons why runs did not finish."""
    errors = failed["error"].fillna("")
    reasons = failed["status"].astype(str) + errors.where(errors == "", ": " + errors)
    found = reasons.value_counts().head(_REASONS)
    return [{"reason": plain(str(reason)), "count": int(n)} for reason, n in found.items()]


def _span(sizes: pd.Series) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def _best(done: pd.DataFrame) -> dict[str, str] | None:
    """Return the best point by the first metric that the study measured.

    Sweeps and contenders are left out, because they vary the size on purpose. Of several noise
    variances the one nearest to 0.05 is used.
    """
    known = done[done["decomposition"].isin(list(NAMES)) & done["num_params"].notna()]
    known = known[known["sweep"].isna() & known["contender"].isna()]
    for metric in METRICS:
        if known[metric].notna().any():
            first = records(tables.best(at_noise(known), metric, count=1))[0]
            return {
                "metric": named(metric),
                "value": labels.value(float(first["mean"])),
                "label": plain(str(first["label"])),
                "params": count(first["num_params"]),
                "seeds": str(first["seeds"]),
            }
    return None


def provenance(frames: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return where the runs of each study come from: commits, dates, machines, versions and ids.

    Args:
        frames: rows of `runs`, by study.

    Returns:
        One dict per study for the page's template. Its `digest` identifies the set of runs.
    """
    return [_source(study, runs) for study, runs in frames.items()]


def _source(study: str, runs: pd.DataFrame) -> dict[str, Any]:
    times = runs["started_at"].dropna()
    ids = sorted(str(one) for one in runs["run_id"])
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    facts = {title: _values(runs[column]) for column, title in _WHERE.items()}
    return {
        "study": plain(study),
        "runs": count(len(runs)),
        "dates": [f"{end:%Y-%m-%d %H:%M}" for end in (times.min(), times.max()) if len(times)],
        "commits": _commits(runs),
        "facts": {title: values for title, values in facts.items() if values},
        "first": plain(ids[0]),
        "last": plain(ids[-1]),
        "digest": digest[:16],
    }


def _values(column: pd.Series) -> str:
    return ", ".join(sorted({plain(str(value)) for value in column.dropna()}))


def _commits(runs: pd.DataFrame) -> list[str]:
    known = runs.dropna(subset=["git_commit"]).groupby("git_commit", sort=True)["git_dirty"].any()
    return [
        plain(str(commit))[:_COMMIT] + ", with changes" * bool(dirty)
        for commit, dirty in known.items()
    ]
