"""Write the study that would settle a recommendation: the shortlist with several seeds, as YAML."""

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
# Settings of a measured task that the new study does not copy: the paths of its data, its sizes
# and the fold that is held out.
_NOT_TAKEN = (
    *("name", "frames", "features", "images", "data", "where", "fold"),
    *("in_features", "out_features"),
)


def study_of(answer: Answer) -> str:
    """Return a study file that compares the layers of the shortlist.

    The file repeats the training settings of `answer.protocol` and the limits of the question. It
    states every layer by its modes and ranks, so that the study holds exactly these layers. Where
    the question's task has no data of these sizes, the task is `profile`, which measures costs and
    learns nothing.

    Args:
        answer: the shortlist and its question.

    Returns:
        The YAML text, with comments at the top that say what the file is and what data it needs.
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
    """Return the lines of the study's `space`, with one branch per layer."""
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
    """Return the settings that give the task this input size; None where no settings do."""
    sized = _SIZED.get(question.task)
    return None if sized is None else sized(question)


def _profile(question: Question) -> dict[str, Any]:
    bare = {} if question.cell is not None else {"out_features": question.sizes.out_features}
    return {"name": "profile", "in_features": question.sizes.in_features, **bare}


def _recovery(question: Question) -> dict[str, Any]:
    sizes = question.sizes
    return {"in_features": sizes.in_features, "out_features": sizes.out_features}


def _action(question: Question) -> dict[str, Any]:
    """Return the default frame size where it fits, otherwise one that is nearly square."""
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
    """Return the task settings of a measurement that differ from the defaults.

    Sizes and paths of data are left out. So is a target of other sizes, whose modes would not fit.
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
    """Return the settings that differ from the defaults of the dataclass `kind`."""
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    return {k: v for k, v in settings.items() if k in defaults and tupled(v) != defaults[k]}


def _layer(layer: Layer, gates: int) -> dict[str, Any]:
    """Return the settings of a layer as a branch states them.

    A branch reads a list as choices, so a tuple is written as a list of one list.
    """
    first, *rest = layer.out_modes
    whole = {"in_modes": layer.in_modes, "out_modes": (first // gates, *rest)}
    modes = {} if layer.name in ("dense", "low_rank") else whole
    ranks = {name: _rank(layer, getattr(layer, name)) for name in layer.RANKS}
    settings = {"decomposition": layer.name, **modes, **ranks}
    return {k: [list(v)] if isinstance(v, tuple) else v for k, v in settings.items()}


def _rank(layer: Layer, value: Any) -> Any:
    """Return one number for ranks that are all equal; the outer ranks of a train are always 1."""
    if not isinstance(value, tuple):
        return value
    inner = set(value[1:-1] if layer.name == "tensor_train" else value)
    return inner.pop() if len(inner) == 1 else value
