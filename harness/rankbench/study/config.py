"""A study file and its overrides, composed by Hydra, as one checked dataclass."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rankbench.cells.settings import CELLS, Cell
from rankbench.common.address import check_address
from rankbench.common.checks import check_int_at_least, number, one_of, positive_int
from rankbench.layers import LAYERS
from rankbench.layers.settings import LayerSettings
from rankbench.study.bounds import Bound
from rankbench.study.safety import check_file, check_override, check_strings
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
    """One study: what is measured, over which space, how it is searched and where it runs.

    `seeds`: replicates of every point; `replicates`: how many of them are trained as one
    program, which changes no result beyond rounding; `time_limit_s`: hard limit of one program;
    `threads`: torch threads of one program (None: the cores shared among `workers`);
    `checkpoint_s`: seconds between two checkpoints of a training, 0 for none;
    `workers_per_device`: workers of each GPU, in place of `workers` where there are any;
    `memory_limit_gb`: of a program and all that it starts; `retries`: how often a run that failed
    is tried again at once; `alone`: whether a run has the machine alone (auto: one that times);
    `storage`: address of the PostgreSQL database that machines share, empty for a journal;
    `heartbeat_s`: seconds between two signs of life there, four of which a worker may miss;
    `engine`: who places the workers; `slurm`: what submitit is told of the jobs.

    Raises ValueError for a value out of its range or an unknown key.
    """

    name: str
    description: str = ""
    task: Mapping[str, Any]
    layer: Mapping[str, Any]
    cell: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    compute: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    space: Space
    search: Search
    seeds: tuple[int, ...] = (0,)
    dtype: str = "float32"
    device: str = "auto"
    workers: int = 1
    replicates: int = 1
    threads: int | None = None
    time_limit_s: float = 3600.0
    checkpoint_s: float = 60.0
    workers_per_device: int | None = None
    memory_limit_gb: float | None = None
    retries: int = 0
    alone: bool | str = "auto"
    results: str = "results"
    storage: str = dataclasses.field(default="", repr=False)
    heartbeat_s: int = 15
    engine: str = "local"
    slurm: Mapping[str, Any] = dataclasses.field(default_factory=dict)

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
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must be a count or distinct integers, got {self.seeds}")
        self._check_engine()
        self._check_names()
        Compute(**(self.compute or {}))
        self._check_replicates()
        self._check_pruner()

    def point(self, settings: Settings) -> Point:
        """The point of this study with `settings` ("layer.cp_rank": 2, ...) put in.

        Raises ValueError where they make no valid point.
        """
        parts = self._parts(settings)
        task = _task(parts["task"])
        cell = Cell(**parts["cell"]) if self.cell is not None else None
        features, out_features = task.sizes()
        if out_features is None:
            if cell is None:
                raise ValueError(
                    f"task {task.name} without a cell needs task.out_features; "
                    "give it, or a cell with its hidden_size"
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
        """One line on data that the study's task needs and does not find, else None."""
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
                f"engine={self.engine} needs storage=postgresql://USER@HOST/DATABASE, which its"
                " workers share; got none"
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
        """The validation curve that the study's task has, None without one."""
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
                f"{pruner} goes by {monitor[0]}, to {monitor[1]}, and search.objectives asks to"
                f" {direction} {column}; they must agree"
            )

    def _check_names(self) -> None:
        """Check every name a point is built from, in the study's own settings and its space."""
        for part, owner in PARTS.items():
            if getattr(self, part) is not None:
                fields = _fields(owner or TASKS[self.task["name"]])
                _check_keys(part, getattr(self, part), fields)
        dimensions = [item for branch in self.space.branches.values() for item in branch.items()]
        for name, values in dimensions:
            part, _, key = name.partition(".")
            one_of("the first part of a setting in space", part, PARTS)
            if name == "task.name":
                raise ValueError("task.name is fixed in a study; write one study a task")
            one_of(
                f"a key of {part} in space", key, _fields(PARTS[part] or TASKS[self.task["name"]])
            )
            if getattr(self, part) is None:
                raise ValueError(f"space varies {name}, but the study has no {part}")
            for value in values if name in _NAMES and isinstance(values, tuple) else ():
                one_of(name, value, _NAMES[name])


def _task(settings: dict[str, Any]) -> Task:
    return TASKS[settings["name"]](**{k: v for k, v in settings.items() if k != "name"})


# What each part of a point is built from; None: the task's own class.
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
    """The study of a name in `studies/` or a path to a YAML file, with Hydra overrides.

    Raises ValueError for a file that is missing or wrong, or an override that does not apply.
    """
    path = find_study(study)
    try:
        check_file(path)
        with initialize_config_dir(str(path.parent.resolve()), version_base="1.3"):
            written = _plain(path, compose(path.stem))
        complete = _with_defaults(path, written)
        ConfigStore.instance().store(name="rankbench_study", node=complete)
        with initialize(config_path=None, version_base="1.3"):
            config = compose("rankbench_study", [_forced(item) for item in overrides])
        composed = _plain(path, config)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ValueError(f"{path}: {_one_line(error)}") from error
    return _study(path.stem, composed)


def find_study(study: str) -> Path:
    """The YAML file of a study: a path, or a name in ./studies or the checkout's studies."""
    if study.endswith((".yaml", ".yml")):
        if not Path(study).is_file():
            raise ValueError(f"study file {study} does not exist")
        return Path(study)
    folders = [Path("studies"), Path(__file__).resolve().parents[3] / "studies"]
    for folder in folders:
        if (folder / f"{study}.yaml").is_file():
            return folder / f"{study}.yaml"
    one_of("study", study, sorted({p.stem for folder in folders for p in folder.glob("*.yaml")}))
    raise AssertionError("one_of found a study that is no file")


def _with_defaults(path: Path, written: Any) -> dict[str, Any]:
    """The file's settings over every default, so that any setting can be overridden."""
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


def _forced(override: str) -> str:
    """An override that Hydra does not look up: our own checks name the keys that are valid.

    Raises ValueError for one that is not in Hydra's grammar.
    """
    try:
        check_override(OverridesParser.create().parse_override(override))
    except HydraException as error:
        raise ValueError(f"override {override!r}: {_one_line(error)}") from error
    return override if override.startswith(("+", "~")) else f"++{override}"


def _study(name: str, composed: dict[str, Any]) -> Study:
    values = _tuples({**composed, "name": name})
    _check_keys("the study", values, _fields(Study))
    _check_keys("space", values["space"], ("shared", "branches"))
    _check_keys("search", values["search"], _fields(Search))
    for key, node in values["space"].items():
        if not isinstance(node, dict | None) or (key == "branches" and _odd(node)):
            raise ValueError(f"space.{key} must be a mapping of settings, got {node!r}")
    values["space"] = Space.parse(values["space"]["shared"], values["space"]["branches"])
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


def _odd(branches: dict[str, Any] | None) -> bool:
    return not all(isinstance(branch, dict) for branch in (branches or {}).values())


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


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = [
        key for key in above if isinstance(below.get(key), dict) and isinstance(above[key], dict)
    ]
    return {**below, **above, **{key: _merge(below[key], above[key]) for key in both}}


def _plain(path: Path, config: Any) -> Any:
    check_strings(path, OmegaConf.to_container(config, resolve=False))
    return OmegaConf.to_container(config, resolve=True)


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down: settings are frozen and hashed."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value


def _one_line(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())
