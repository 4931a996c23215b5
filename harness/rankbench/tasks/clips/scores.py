"""Summarise the epochs of a classifier: accuracies with intervals, and epochs to a level."""

from __future__ import annotations

from typing import Any

from rankbench.common.intervals import wilson

LEVELS = {f"epochs_to_{percent}": percent / 100 for percent in (60, 70, 80, 90)}


class Scores:
    """The accuracy columns of `runs`, updated after every epoch.

    Args:
        test_size: Number of test clips, from which the intervals follow.
    """

    def __init__(self, test_size: int) -> None:
        self.test_size = test_size
        self._row: dict[str, Any] = {}

    def add(self, record: dict[str, Any]) -> dict[str, Any]:
        """Add the row of `epochs` of one more epoch, and return the columns of `runs`."""
        row, accuracy = self._row, record["accuracy"]
        row |= {key: record[key] for key in ("train_loss", "accuracy")}
        row |= {
            "epochs": record["epoch"],
            "top_accuracy": max(row.get("top_accuracy", 0), accuracy),
        }
        for level, share in LEVELS.items():
            if accuracy >= share:
                row.setdefault(level, record["epoch"])
        self._select(record)
        for name in ("accuracy", "top_accuracy"):
            row[f"{name}_low"], row[f"{name}_high"] = wilson(row[name], self.test_size)
        return dict(row)

    def _select(self, record: dict[str, Any]) -> None:
        """Store the test accuracy of the first epoch with the highest validation accuracy."""
        validated = record.get("validation_accuracy")
        if validated is not None and validated > self._row.get("validation_accuracy", -1):
            self._row["validation_accuracy"] = validated
            self._row["selected_accuracy"] = record["accuracy"]
