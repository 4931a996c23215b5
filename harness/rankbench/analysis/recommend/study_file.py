"""The study that would settle a recommendation: its layers side by side, several seeds, as YAML."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from rankbench.analysis.metrics import TASK_METRICS
from rankbench.analysis.recommend.evidence import MeasuredLayer
from rankbench.analysis.recommend.shortlist import Answer, Question
from rankbench.layers import Layer
from rankbench.layers.base import tupled
from rankbench.layers.modes import factorise
from rankbench.tasks import TASKS
from rankbench.training.settings import Training

SEEDS = 5
TIME_LIMIT_S = 86400
# What of a measured task is not taken over: where its data lie, its sizes, which part is held out.
_NOT_TAKEN = (
    *("name", "frames", "features", "images", "data", "where", "fold"),
    *("in_features", "out_features"),
)


def study_of(answer: Answer) -> str:
    """A study of the shortlist as YAML: the protocol of its nearest evidence, the limits asked for.

    Every layer is stated by its modes and ranks, so that the study holds these layers and no other.
    The task is `profile`, which learns nothing, where the asked one has no data of these sizes.
    """
    question = answer.question
    piece = answer.protocol
    sized = _sized(question)
    task = {"name": question.task, **sized} if sized is not None else _profile(question)
    if piece is not None and piece.task == task["name"]:
        task |= _protocol(question, piece)
    written: dict[str, Any] = {"description": _description(question), "task": task}
    if question.cell is not None:
        hidden = question.sizes.hidden
        written["cell"] = {"name": question.cell, "hidden_size": hidden}
    if TASKS[task["name"]].trains:
        written["training"] = _training(piece)
        written["seeds"] = SEEDS
    if piece is not None and piece.config.get("dtype", "float32") != "float32":
        written["dtype"] = piece.config["dtype"]
    written |= {"time_limit_s": TIME_LIMIT_S, "search": _search(question, task["name"])}
    text = yaml.safe_dump(written, sort_keys=False, default_flow_style=None, width=96)
    lines = [f"# {line}" for line in _comments(question, task)]
    return "\n".join([*lines, text.rstrip(), *_space(answer)]) + "\n"


def _space(answer: Answer) -> list[str]:
    """The space of the study, a layer a line."""
    lines = ["space:", "  branches:"]
    for place, entry in enumerate(answer.entries, 1):
        settings = _layer(entry.layer, answer.question.sizes.gates)
        flow = yaml.safe_dump(settings, sort_keys=False, default_flow_style=True, width=1000)
        lines += [f"    {entry.layer.name}_{place}:", f"      layer: {flow.strip()}"]
    return lines


def _description(question: Question) -> str:
    sizes = question.sizes
    return (
        f"which of these layers from {sizes.in_features} to {sizes.out_features} features, "
        f"at most {question.max_params} parameters?"
    )


def _comments(question: Question, task: Mapping[str, Any]) -> list[str]:
    found = ["Written by rankbench recommend: its shortlist, side by side."]
    if task["name"] != question.task:
        found.append(f"Task {question.task} has no data of these sizes: counts and times alone.")
    settings = {name: value for name, value in task.items() if name != "name"}
    missing = TASKS[task["name"]](**settings).missing()
    if missing is not None:
        found.append(f"It needs data: {missing}")
    if question.max_step_ms is not None and not _times(task["name"]):
        found.append("This task times no step: the limit of time is in the shortlist alone.")
    return found


def _times(task: str) -> bool:
    return task in ("profile", "motion")


def _search(question: Question, task: str) -> dict[str, Any]:
    objectives = {"num_params": "minimize"}
    if task in TASK_METRICS:
        column, direction = TASK_METRICS[task]
        objectives = {column: direction} | objectives
    search: dict[str, Any] = {
        "sampler": "grid",
        "objectives": objectives,
        "limits": {"num_params": question.max_params},
    }
    if question.max_step_ms is not None and _times(task):
        search["constraints"] = {"step_ms": question.max_step_ms}
    return search


def _sized(question: Question) -> dict[str, Any] | None:
    """The settings that give the task asked for the input that was asked for, None without any."""
    sized = _SIZED.get(question.task)
    return None if sized is None else sized(question)


def _profile(question: Question) -> dict[str, Any]:
    bare = {} if question.cell is not None else {"out_features": question.sizes.out_features}
    return {"name": "profile", "in_features": question.sizes.in_features, **bare}


def _recovery(question: Question) -> dict[str, Any]:
    sizes = question.sizes
    return {"in_features": sizes.in_features, "out_features": sizes.out_features}


def _action(question: Question) -> dict[str, Any]:
    """The default size of a picture where it fits, else one that is nearly square."""
    features = question.sizes.in_features
    default = TASKS["action"]()
    if default.sizes()[0] == features:
        return {"frames": ""}
    channels = 3 if features % 3 == 0 else 1
    width, height = factorise(features // channels, 2)
    return {"frames": "", "height": height, "width": width, "channels": channels}


def _features(question: Question) -> dict[str, Any]:
    return {"features": "", "size": question.sizes.in_features}


def _motion(question: Question) -> dict[str, Any] | None:
    side = math.isqrt(question.sizes.in_features)
    return {"size": side} if side**2 == question.sizes.in_features else None


def _draw(question: Question) -> dict[str, Any] | None:
    return {"images": ""} if TASKS["draw"]().sizes()[0] == question.sizes.in_features else None


def _caption(question: Question) -> dict[str, Any]:
    return {"data": "", "embedding": question.sizes.in_features}


_SIZED: dict[str, Callable[[Question], dict[str, Any] | None]] = {
    "recovery": _recovery,
    "action": _action,
    "features": _features,
    "motion": _motion,
    "draw": _draw,
    "caption": _caption,
}


def _protocol(question: Question, piece: MeasuredLayer) -> dict[str, Any]:
    """What the task of a measurement differs in from its defaults, its sizes and data apart.

    A target of other sizes is left out too: its modes would not fit.
    """
    kind, settings = TASKS[piece.task], piece.config["task"]
    apart = [*_NOT_TAKEN, *(_sized(question) or {})]
    if piece.sizes != (question.sizes.in_features, question.sizes.out_features):
        apart += ["target", "target_settings", "permute", "attention", "read_size", "decoder_size"]
    found = _changed(kind, {k: v for k, v in settings.items() if k not in apart})
    if "target_settings" in found:
        found["target_settings"] = dict(found["target_settings"])
    return found


def _training(piece: MeasuredLayer | None) -> dict[str, Any]:
    if piece is None or not piece.config.get("training"):
        return {"epochs": Training().epochs}
    given = piece.config["training"]
    return {"epochs": given["epochs"], **_changed(Training, given)}


def _changed(kind: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of a dataclass that differ from its defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    return {k: v for k, v in settings.items() if k in defaults and tupled(v) != defaults[k]}


def _layer(layer: Layer, gates: int) -> dict[str, Any]:
    """The settings of a layer in a branch: a list of one choice each, lists in lists."""
    first, *rest = layer.out_modes
    whole = {"in_modes": layer.in_modes, "out_modes": (first // gates, *rest)}
    modes = {} if layer.name in ("dense", "low_rank") else whole
    ranks = {name: _rank(layer, getattr(layer, name)) for name in layer.RANKS}
    settings = {"decomposition": layer.name, **modes, **ranks}
    return {k: [list(v)] if isinstance(v, tuple) else v for k, v in settings.items()}


def _rank(layer: Layer, value: Any) -> Any:
    """One number for ranks that are all equal; a train's outermost are 1 in any case."""
    if not isinstance(value, tuple):
        return value
    inner = set(value[1:-1] if layer.name == "tensor_train" else value)
    return inner.pop() if len(inner) == 1 else value
