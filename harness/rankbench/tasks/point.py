"""What identifies a point, and the content hashes that name points and runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from rankbench.cells.settings import Cell
from rankbench.layers import Layer
from rankbench.tasks.base import Task
from rankbench.training.execution import Compute
from rankbench.training.loop import Training


@dataclass(frozen=True, kw_only=True)
class Point:
    """A task, a layer, a cell, a training and a compute: everything about a run but its seed.

    `cell` is None for a task that learns or measures a bare map, `training` None for one that
    learns nothing. `dtype` is the type of weights and data, `compute` how steps are executed.

    Raises ValueError where the parts do not fit together.
    """

    task: Task
    layer: Layer
    cell: Cell | None = None
    training: Training | None = None
    dtype: str = "float32"
    compute: Compute = dataclasses.field(default_factory=Compute)

    def __post_init__(self) -> None:
        self.compute.check(self.dtype)
        self.task.check(self)
        stops = self.training is not None and self.training.patience is not None
        if stops and self.task.monitor() is None:
            raise ValueError(
                f"training.patience needs a validation curve, which task {self.task.name} does not"
                " have here: never stop on the test side; task action has one with"
                " task.validation=true, task recovery always"
            )

    def config(self) -> dict[str, Any]:
        """Every setting, as plain JSON values, under task, layer, cell, training and compute."""
        return self._parts(changed_only=False)

    @property
    def point_id(self) -> str:
        """16 hex digits of the SHA-256 of the settings that differ from their defaults.

        Leaving the defaults out lets a release add a setting without renaming old results.
        """
        return digest(json.dumps(self._parts(changed_only=True), sort_keys=True))

    def run_id(self, seed: int) -> str:
        """16 hex digits of the SHA-256 of the point and `seed`."""
        return digest(f"{self.point_id}:{seed}")

    def _parts(self, *, changed_only: bool) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "task": {"name": self.task.name, **_settings(self.task, changed_only)},
            "layer": {"decomposition": self.layer.name, **_settings(self.layer, changed_only)},
        }
        if self.cell is not None:
            parts["cell"] = {"name": self.cell.name, **_settings(self.cell, changed_only)}
        if self.training is not None:
            parts["training"] = _settings(self.training, changed_only)
        if not (changed_only and self.dtype == "float32"):
            parts["dtype"] = self.dtype
        if not (changed_only and self.compute == Compute()):
            parts["compute"] = _settings(self.compute, changed_only)
        return parts


def _settings(part: Any, changed_only: bool) -> dict[str, Any]:
    """The fields of a dataclass; the metadata of a field say what of it counts for a point's id.

    `identity`, a function: its result, in place of the value; None: nothing, the setting is no
    part of the id. `unsaid`: the value that is left out in place of the default, where the
    default has changed since.
    """
    values = {}
    for field in dataclasses.fields(part):
        value, identity = getattr(part, field.name), field.metadata.get("identity", _same)
        unsaid = field.metadata.get("unsaid", field.default)
        if changed_only and (identity is None or value == unsaid):
            continue
        values[field.name] = identity(value) if identity else value
    return values


def _same(value: Any) -> Any:
    return value


def digest(text: str) -> str:
    """16 hex digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
