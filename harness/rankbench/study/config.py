"""The `Study` dataclass, and `load_study`, which makes one from a study file and overrides."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankbench.cells.settings import CELLS, Cell
from rankbench.common.address import check_address
from rankbench.common.checks import check_int_at_least, number, one_of, positive_int
from rankbench.layers import LAYERS
from rankbench.layers.settings import LayerSettings
from rankbench.study.bounds import Bound
from rankbench.study.compose import apply_overrides, read_file
from rankbench.study.files import find_study
from rankbench.study.search import Search
from rankbench.study.space import Settings, Space
from rankbench.tasks import TASKS, Task
from rankbench.tasks.base import Point
from rankbench.training.early_stopping import Monitor
from rankbench.training.settings import PRECISIONS, SWITCHES, Compute, Training

DTYPES = ("float32", "float64", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")
ENGINES = ("local", "ray", "slurm")
_BOUNDS = ("limits", "constraints")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study: what is measured, over which space, how the space is searched, and where it runs.

    Raises:
        ValueError: A value is out of its range, or a key is unknown.
    """

    name: str
    """Name of the study: the stem of its file, and the folder of its results."""
    description: str = ""
    """One line for people, shown when the study starts."""
    task: Mapping[str, Any]
    """`name`, a key of TASKS, and the settings of that task."""
    layer: Mapping[str, Any]
    """Settings of the layer, as in `LayerSettings`, that every point shares."""
    cell: Mapping[str, Any] | None = None
    """Settings of the cell, as in `Cell`; None measures the layer without a cell."""
    training: Mapping[str, Any] | None = None
    """Settings of the training, as in `Training`; None for a task that trains nothing."""
    compute: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Precision and compilation, as in `Compute`."""
    space: Space
    """The settings that vary, with their values or ranges."""
    search: Search
    """How points are chosen from the space, and what they are optimised for."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the replicates of every point; distinct integers."""
    dtype: str = "float32"
    """Type of the weights: float32, float64 or bfloat16."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu or cuda."""
    workers: int = 1
    """Number of runs at a time."""
    replicates: int = 1
    """Seeds of a point that are trained as one program; changes no result beyond rounding."""
    threads: int | None = None
    """Torch threads of one run; None divides the cores among the workers."""
    time_limit_s: float = 3600.0
    """Hard limit in seconds on the duration of one run."""
    checkpoint_s: float = 60.0
    """Seconds between two checkpoints of a training; 0 writes none."""
    workers_per_device: int | None = None
    """Number of runs at a time on each GPU; replaces `workers` where there is a GPU."""
    memory_limit_gb: float | None = None
    """Limit in GB on the memory of a run and all processes that it starts; None sets no limit."""
    retries: int = 0
    """How often a failed run is repeated at once."""
    alone: bool | str = "auto"
    """Whether a run has the machine to itself; auto: only runs that measure time."""
    results: str = "results"
    """Folder or URL of the results."""
    storage: str = dataclasses.field(default="", repr=False)
    """URL of a PostgreSQL database that machines share; empty uses a local journal file."""
    heartbeat_s: int = 15
    """Seconds between two heartbeats of a worker; a trial is requeued after four missed ones."""
    engine: str = "local"
    """What starts the workers: local, ray or slurm."""
    slurm: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Parameters of the Slurm jobs, passed to submitit."""

    def __post_init__(self) -> None:
        one_of("dtype", self.dtype, DTYPES)
        one_of("device", self.device, DEVICES)
        if self.device == "cuda":
            import torch

            if not torch.cuda.is_available():
                raise ValueError("device is cuda, but torch sees no GPU here; choose cpu or auto")
        for name in ("workers", "replicates"):
            positive_int(name, getattr(self, name))
        if self.threads is not None:
            positive_int("threads", self.threads)
        number("time_limit_s", self.time_limit_s, 0.0, math.inf, open_low=True)
        number("checkpoint_s", self.checkpoint_s, 0.0, math.inf)
        if self.workers_per_device is not None:
            positive_int("workers_per_device", self.workers_per_device)
        if self.memory_limit_gb is not None:
            number("memory_limit_gb", self.memory_limit_gb, 0.0, math.inf, open_low=True)
        check_int_at_least("retries", self.retries, 0)
        one_of("alone", self.alone, ("auto", True, False))
        whole_seeds = isinstance(self.seeds, tuple) and all(type(s) is int for s in self.seeds)
        if not whole_seeds or not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must be a count or distinct integers, got {self.seeds}")
        self._check_engine()
        self._check_names()
        Compute(**(self.compute or {}))
        self._check_replicates()
        self._check_pruner()

    def point(self, settings: Settings) -> Point:
        """Return the point that the study's settings and these `settings` of its space make.

        Args:
            settings: Dotted names and their values, such as `{"layer.cp_rank": 2}`.

        Raises:
            ValueError: The settings contradict each other or do not fit the task.
        """
        parts = self._parts(settings)
        task = _task(parts["task"])
        cell = Cell(**parts["cell"]) if self.cell is not None else None
        features, out_features = task.sizes()
        if out_features is None:
            if cell is None:
                raise ValueError(
                    f"task {task.name} without a cell needs task.out_features; "
                    "set it, or set cell.hidden_size"
                )
            out_features = cell.hidden_size
        layer = LayerSettings(**parts["layer"]).resolve(
            features, out_features, gates=cell.gates if cell else 1
        )
        training = Training(**parts["training"]) if self.training is not None else None
        compute = Compute(**parts["compute"])
        return Point(
            task=task,
            layer=layer,
            cell=cell,
            training=training,
            dtype=self.dtype,
            compute=compute,
        )

    def missing(self) -> str | None:
        """Return one line about data that the task needs and cannot find; None if all is there."""
        return _task(self._parts({})["task"]).missing()

    def _parts(self, settings: Settings) -> dict[str, dict[str, Any]]:
        parts = {key: dict(getattr(self, key) or {}) for key in PARTS}
        for name, value in settings.items():
            part, key = name.split(".", 1)
            parts[part][key] = value
        return parts

    def _check_engine(self) -> None:
        check_address(self.storage)
        positive_int("heartbeat_s", self.heartbeat_s)
        one_of("engine", self.engine, ENGINES)
        if self.engine != "local" and not self.storage:
            raise ValueError(
                f"engine={self.engine} needs storage=postgresql://USER@HOST/DATABASE, a database"
                " that its workers share; got none"
            )

    def _check_replicates(self) -> None:
        task = self.task["name"]
        if self.replicates > 1 and not TASKS[task].trains_together:
            able = ", ".join(name for name, kind in TASKS.items() if kind.trains_together)
            raise ValueError(
                f"replicates must be 1 with task {task}, got {self.replicates}; "
                f"tasks that train replicates together: {able}"
            )

    def monitor(self) -> Monitor | None:
        """Return the column and direction of the task's validation curve; None without one."""
        return _task(self._parts({})["task"]).monitor()

    def _check_pruner(self) -> None:
        pruner, task = f"search.pruner={self.search.pruner}", self.task["name"]
        if self.search.pruner == "none":
            return
        if self.replicates > 1:
            raise ValueError(f"{pruner} needs replicates=1, got {self.replicates}")
        monitor = self.monitor()
        if monitor is None:
            hint = ": set task.validation=true" if "validation" in _fields(TASKS[task]) else ""
            raise ValueError(f"{pruner} needs a validation curve, task {task} has none{hint}")
        column, direction = self.search.objectives[0]
        if direction != monitor[1]:
            raise ValueError(
                f"{pruner} uses the curve of {monitor[0]} ({monitor[1]}), but search.objectives"
                f" has {direction} {column}; the directions must agree"
            )

    def _check_names(self) -> None:
        """Check the names of all settings, both in the study's parts and in its space."""
        for part, owner in PARTS.items():
            if getattr(self, part) is not None:
                fields = _fields(owner or TASKS[self.task["name"]])
                _check_keys(part, getattr(self, part), fields)
        dimensions = [item for branch in self.space.branches.values() for item in branch.items()]
        for name, values in dimensions:
            part, _, key = name.partition(".")
            one_of("the first part of a setting in space", part, PARTS)
            if name == "task.name":
                raise ValueError("task.name must not vary in space; write one study per task")
            one_of(
                f"a key of {part} in space", key, _fields(PARTS[part] or TASKS[self.task["name"]])
            )
            if getattr(self, part) is None:
                raise ValueError(f"space varies {name}, but the study has no {part}")
            for value in values if name in _NAMES and isinstance(values, tuple) else ():
                one_of(name, value, _NAMES[name])


def _task(settings: dict[str, Any]) -> Task:
    return TASKS[settings["name"]](**{k: v for k, v in settings.items() if k != "name"})


# The class that each part of a point is built from; None stands for the class of the task.
PARTS: dict[str, type[Any] | None] = {
    "task": None,
    "layer": LayerSettings,
    "cell": Cell,
    "training": Training,
    "compute": Compute,
}
_NAMES: dict[str, tuple[Any, ...]] = {
    "layer.decomposition": tuple(LAYERS),
    "cell.name": tuple(CELLS),
    "compute.precision": PRECISIONS,
    **{f"compute.{name}": (True, False) for name in SWITCHES},
}


def load_study(study: str, overrides: Sequence[str] = ()) -> Study:
    """Load a study by name or path, with defaults filled in and overrides applied.

    Args:
        study: The name of a file in `studies/`, or a path that ends in `.yaml` or `.yml`.
        overrides: Hydra overrides, such as `["seeds=3", "layer.plan=paper"]`.

    Raises:
        ValueError: The file is missing or wrong, or an override does not apply.

    Example:
        >>> study = load_study("smoke", ["seeds=1", "device=cpu"])
        >>> study.task["name"], study.seeds, len(list(study.space.grid()))
        ('recovery', (0,), 28)
    """
    path = find_study(study)
    complete = _with_defaults(path, read_file(path))
    return _study(path.stem, apply_overrides(path, complete, overrides))


def _with_defaults(path: Path, written: Any) -> dict[str, Any]:
    """Fill in every default, so that an override can address any setting."""
    task = written.get("task") if isinstance(written, dict) else None
    if not isinstance(task, dict) or "name" not in task:
        raise ValueError(f"{path}: a study needs task.name, one of: {', '.join(TASKS)}")
    one_of("task.name", task["name"], TASKS)
    task = TASKS[task["name"]]
    parts: dict[str, Any] = {
        "task": {"name": task.name, **_defaults(task)},
        "layer": _defaults(LayerSettings),
        "cell": _defaults(Cell) if task.uses_cell and written.get("cell") else None,
        "training": _defaults(Training) if task.trains else None,
        "compute": _defaults(Compute),
        "space": {"shared": {}, "branches": {}},
        "search": {
            **{k: v for k, v in _defaults(Search).items() if k != "objectives"},
            **{name: {} for name in _BOUNDS},
        },
    }
    return _merge({**_defaults(Study), **parts}, written)


def _study(name: str, composed: dict[str, Any]) -> Study:
    values = {**composed, "name": name}
    _check_keys("the study", values, _fields(Study))
    _check_keys("space", values["space"], ("shared", "branches"))
    _check_keys("search", values["search"], _fields(Search))
    for key, node in values["space"].items():
        if not isinstance(node, dict | None) or (key == "branches" and not _all_mappings(node)):
            raise ValueError(f"space.{key} must be a mapping of settings, got {node!r}")
    space = values["space"]
    values["space"] = Space.parse(space.get("shared") or {}, space.get("branches") or {})
    objectives = values["search"].get("objectives")
    if isinstance(objectives, dict):
        values["search"]["objectives"] = tuple(objectives.items())
    for name in _BOUNDS:
        values["search"][name] = Bound.parse(f"search.{name}", values["search"][name])
    values["search"] = Search(**values["search"])
    if isinstance(values["seeds"], int):
        positive_int("seeds", values["seeds"])
        values["seeds"] = tuple(range(values["seeds"]))
    return Study(**values)


def _all_mappings(branches: dict[str, Any] | None) -> bool:
    return all(isinstance(branch, dict) for branch in (branches or {}).values())


def _check_keys(owner: str, values: Any, valid: Sequence[str]) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{owner} must be a mapping of {', '.join(valid)}; got {values!r}")
    for key in values:
        one_of(f"a key of {owner}", key, valid)


def _defaults(part: type[Any]) -> dict[str, Any]:
    return {
        field.name: None if field.default is dataclasses.MISSING else field.default
        for field in dataclasses.fields(part)
        if field.init
    }


def _fields(part: type[Any]) -> list[str]:
    names = [field.name for field in dataclasses.fields(part) if field.init]
    return ["name", *names] if part in TASKS.values() else names


def _merge(defaults: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **values}
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(defaults.get(key), dict):
            merged[key] = _merge(defaults[key], value)
    return merged
