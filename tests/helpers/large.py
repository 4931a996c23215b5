"""A study of any size, of committed rows repeated as points of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rankbench.store.query import load
from tests.helpers.paths import REFERENCE

_JITTERED = ("top_accuracy", "accuracy", "duration_s")


def frames(count: int, study: str = "ucf11-sensitivity") -> dict[str, pd.DataFrame]:
    """`count` runs with their epochs: those of `study` again and again, each time a little off."""
    runs, epochs = (load(study, table, REFERENCE) for table in ("runs", "epochs"))
    times = -(-count // len(runs))
    draw = np.random.default_rng(0)
    many = pd.concat([_renamed(runs, turn) for turn in range(times)], ignore_index=True)[:count]
    for column in _JITTERED:
        many[column] *= draw.uniform(0.9, 1.1, len(many))
    curves = pd.concat([_renamed(epochs, turn) for turn in range(times)], ignore_index=True)
    curves = curves[curves["run_id"].isin(many["run_id"])].reset_index(drop=True)
    return {"runs": many, "epochs": curves, "samples": load(study, "samples", REFERENCE)}


def _renamed(rows: pd.DataFrame, turn: int) -> pd.DataFrame:
    ids = [name for name in ("run_id", "point_id") if name in rows.columns]
    return rows.assign(**{name: f"{turn:04x}" + rows[name].str[4:] for name in ids})
