"""Which published numbers a run stands beside, and what about it is not as published."""

from __future__ import annotations

from rankbench.analysis.published import (
    PROTOCOLS,
    PUBLISHED,
    PUBLISHED_RESULTS,
    Protocol,
    Published,
    PublishedResult,
)
from rankbench.analysis.summaries.models import configuration
from rankbench.analysis.summaries.rows import Row, entries, integer, text

# The data of a run whose file does not name them; 21 classes of HMDB51 are J-HMDB.
DATA_OF_CLASSES = {11: "ucf11", 21: "jhmdb", 51: "hmdb51"}
_FAMILIES = ("ucf11", "hmdb")
# A map of features has other modes where the features are of another network.
_FEATURE_MODELS = {"dense": "CNN+LSTM", "tensor_ring": "CNN+TR-LSTM"}


def published_data(row: Row) -> str:
    """The key of PROTOCOLS whose data are nearest to a run's, empty for none."""
    classes = configuration(row).get("task", {}).get("classes")
    names = (text(row, "dataset").lower(), DATA_OF_CLASSES.get(classes, ""))
    data = next((known for name in names for known in _FAMILIES if known in name), "")
    if text(row, "task") == "features":
        return {"ucf11": "ucf11-features", "hmdb": "hmdb51-features"}.get(data, "")
    return data if text(row, "task") == "action" and data in PROTOCOLS else ""


def published_model(row: Row) -> str:
    """The model of a paper that a run repeats, empty for none."""
    if published_data(row).endswith("-features"):
        return _FEATURE_MODELS.get(text(row, "decomposition"), "")
    here = (text(row, "decomposition"), entries(row, "in_modes"), integer(row, "num_params"))
    same = [p.model for p in PUBLISHED if (p.layer.name, p.layer.in_modes, p.count) == here]
    return same[0] if same else ""


def published_results(row: Row, metric: str = "top_accuracy") -> tuple[PublishedResult, ...]:
    """What papers report of the model of a run on the data nearest to its, in order of value."""
    here = (published_data(row), published_model(row), metric)
    found = [r for r in PUBLISHED_RESULTS if (r.task, r.model, r.metric) == here]
    return tuple(sorted(found, key=lambda result: (result.value, result.source)))


def published_levels(row: Row) -> tuple[float, ...]:
    """The top accuracies that papers report of the model of a run, in order, each once."""
    return tuple(sorted({result.value for result in published_results(row)}))


def published_layer(model: str) -> Published | None:
    """The map of a published model, None where its paper does not state it."""
    return next((p for p in PUBLISHED if p.model == model), None)


def differences(row: Row) -> list[str]:
    """What of a run's data is not as published: '5 frames, not 6'."""
    protocol = PROTOCOLS.get(published_data(row))
    if protocol is None:
        return []
    return [*_other_data(row, protocol), *_other_frames(row, protocol)]


def _other_data(row: Row, protocol: Protocol) -> list[str]:
    found = []
    data, classes = text(row, "dataset"), configuration(row).get("task", {}).get("classes")
    name = protocol.title.partition(",")[0]
    named = any(family in data.lower() for family in _FAMILIES)
    if named and name.lower() not in data.lower():
        found.append(f"{data}, not {name}")
    elif classes and name == "HMDB51" and classes != 51:
        found.append(f"{classes} classes, not the 51 of {name}")
    if integer(row, "in_features") not in (None, protocol.in_features):
        found.append(f"{integer(row, 'in_features')} inputs, not {protocol.input}")
    return found


def _other_frames(row: Row, protocol: Protocol) -> list[str]:
    found = []
    steps, sampling = integer(row, "time_steps"), text(row, "sampling")
    if steps and protocol.time_steps not in (None, steps):
        found.append(f"{steps} frames a clip, not {protocol.time_steps}")
    if sampling and protocol.sampling not in (None, sampling):
        found.append(f"frames chosen {sampling}, not {protocol.sampling}")
    if protocol.ordered and text(row, "ordered") == "False":
        found.append("the order of frames is not known")
    return found
