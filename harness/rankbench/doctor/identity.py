"""Check that the ids of a stored row are the hashes of its config and seed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rankbench.cells.settings import Cell
from rankbench.layers import LAYERS
from rankbench.tasks import TASKS
from rankbench.tasks.base import digest
from rankbench.training.settings import Compute, Training


def mismatch(row: Mapping[str, Any]) -> str | None:
    """Return why the ids of a row of `runs` do not match its config and seed; None if they do.

    Configs with a task or setting that this version does not know are not checked.
    """
    if row["config"] is None or row["seed"] is None or row["point_id"] is None:
        return None
    valid = point_ids(row["config"])
    if valid is None:
        return "its config is not JSON"
    if valid and row["point_id"] not in valid:
        return f"its point_id is {row['point_id']}, but that of its config is {valid[0]}"
    expected = digest(f"{row['point_id']}:{row['seed']}")
    if valid and row["run_id"] != expected:
        return f"its run_id must be {expected}, from its point_id and seed"
    return None


@lru_cache(maxsize=4096)  # All seeds of a point have the same config.
def point_ids(config: str) -> tuple[str, ...] | None:
    """Return the possible ids of a point with this config.

    Returns:
        The ids; empty if the config has unknown names, None if it is not JSON.
    """
    try:
        settings = json.loads(config)
        parts = _changed(settings)
    except json.JSONDecodeError:
        return None
    except (AttributeError, KeyError, TypeError):
        return ()
    # `rankbench bench` hashes the text of the config itself.
    return (digest(json.dumps(parts, sort_keys=True)), digest(config))


def _changed(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a config that the point's id hashes; KeyError for an unknown name."""
    task, layer = dict(config["task"]), dict(config["layer"])
    name, decomposition = task.pop("name"), layer.pop("decomposition")
    parts = {
        "task": {"name": name, **_differing(TASKS[name], task)},
        "layer": {"decomposition": decomposition, **_differing(LAYERS[decomposition], layer)},
    }
    if "cell" in config:
        cell = config["cell"]
        parts["cell"] = {**_differing(Cell, cell), "name": cell["name"]}
    if "training" in config:
        parts["training"] = _differing(Training, config["training"])
    if config.get("dtype", "float32") != "float32":
        parts["dtype"] = config["dtype"]
    if config.get("compute", _plain(Compute())) != _plain(Compute()):
        parts["compute"] = _differing(Compute, config["compute"])
    return parts


def _differing(part: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    fields = {field.name: field for field in dataclasses.fields(part)}
    changed = {}
    for name, value in values.items():
        field = fields[name]
        unsaid = field.metadata.get("unsaid", field.default)
        if field.metadata.get("identity", ...) is not None and value != _plain(unsaid):
            changed[name] = value
    return changed


def _plain(value: Any) -> Any:
    """Convert a value to what JSON gives back; other objects become their repr."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return json.loads(json.dumps(value, default=repr))
