"""Whether the ids of a stored row are the hashes of what the row says was measured."""

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
    """Why the ids of a row of `runs` are not those of its config and seed, else None.

    A config that this version cannot read, of a task or setting it does not have, is not judged.
    """
    if row["config"] is None or row["seed"] is None or row["point_id"] is None:
        return None
    valid = point_ids(row["config"])
    if valid is None:
        return "its config is no JSON"
    if valid and row["point_id"] not in valid:
        return f"its point_id is {row['point_id']}, its config has {valid[0]}"
    expected = digest(f"{row['point_id']}:{row['seed']}")
    if valid and row["run_id"] != expected:
        return f"its point and seed have the run_id {expected}"
    return None


@lru_cache(maxsize=4096)  # the seeds of a point share its config
def point_ids(config: str) -> tuple[str, ...] | None:
    """The ids that a point of this config may have: () where unknown, None where it is no JSON."""
    try:
        settings = json.loads(config)
        parts = _changed(settings)
    except json.JSONDecodeError:
        return None
    except (AttributeError, KeyError, TypeError):
        return ()
    # A bench hashes its config as it stands.
    return (digest(json.dumps(parts, sort_keys=True)), digest(config))


def _changed(config: dict[str, Any]) -> dict[str, Any]:
    """What of a point's config its id hashes, see Point; raises KeyError where a name is new."""
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
    """`value` as JSON gives it back; what it cannot hold equals nothing."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return json.loads(json.dumps(value, default=repr))
