"""What the epochs of a classifier come to: accuracies with intervals, epochs to a level."""

from __future__ import annotations

from typing import Any

from rankbench.common.intervals import wilson

LEVELS = {f"epochs_to_{percent}": percent / 100 for percent in (60, 70, 80, 90)}


class Scores:
    """The `runs` columns of accuracy, from the records of the epochs seen so far.

    `test_size`: clips an accuracy is a share of.
    """

    def __init__(self, test_size: int) -> None:
        self.test_size = test_size
        self._row: dict[str, Any] = {}

    def add(self, record: dict[str, Any]) -> dict[str, Any]:
        """The columns after one more epoch, `record` being its row of `epochs`."""
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
        """Keep the test accuracy of the first epoch with the highest validation accuracy."""
        validated = record.get("validation_accuracy")
        if validated is not None and validated > self._row.get("validation_accuracy", -1):
            self._row["validation_accuracy"] = validated
            self._row["selected_accuracy"] = record["accuracy"]
