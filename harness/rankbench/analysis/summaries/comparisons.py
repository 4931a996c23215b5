"""Match runs with published results, and list how their data differ from the published protocol."""

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

# Identifies the data by the number of classes if the file does not name them. J-HMDB has 21 classes
# of HMDB51.
DATA_OF_CLASSES = {11: "ucf11", 21: "jhmdb", 51: "hmdb51"}
_FAMILIES = ("ucf11", "hmdb")
# Models on features are matched by decomposition alone: their modes depend on the network that
# extracted the features.
_FEATURE_MODELS = {"dense": "CNN+LSTM", "tensor_ring": "CNN+TR-LSTM"}


def published_data(row: Row) -> str:
    """Return the key in PROTOCOLS of the data nearest to those of a run, or ""."""
    classes = configuration(row).get("task", {}).get("classes")
    names = (text(row, "dataset").lower(), DATA_OF_CLASSES.get(classes, ""))
    data = next((known for name in names for known in _FAMILIES if known in name), "")
    if text(row, "task") == "features":
        return {"ucf11": "ucf11-features", "hmdb": "hmdb51-features"}.get(data, "")
    return data if text(row, "task") == "action" and data in PROTOCOLS else ""


def published_model(row: Row) -> str:
    """Return the name of the published model that a run repeats, or ""."""
    if published_data(row).endswith("-features"):
        return _FEATURE_MODELS.get(text(row, "decomposition"), "")
    here = (text(row, "decomposition"), entries(row, "in_modes"), integer(row, "num_params"))
    same = [p.model for p in PUBLISHED if (p.layer.name, p.layer.in_modes, p.count) == here]
    return same[0] if same else ""


def published_results(row: Row, metric: str = "top_accuracy") -> tuple[PublishedResult, ...]:
    """Return the published results for the model and data of a run.

    Args:
        row: A row of the `runs` table.
        metric: The metric of the published results.

    Returns:
        The results in order of value; empty if the run matches no published model.
    """
    here = (published_data(row), published_model(row), metric)
    found = [r for r in PUBLISHED_RESULTS if (r.task, r.model, r.metric) == here]
    return tuple(sorted(found, key=lambda result: (result.value, result.source)))


def published_levels(row: Row) -> tuple[float, ...]:
    """Return the distinct published top accuracies of a run's model, in ascending order."""
    return tuple(sorted({result.value for result in published_results(row)}))


def published_layer(model: str) -> Published | None:
    """Return the input map of a published model, or None if its paper does not give one."""
    return next((p for p in PUBLISHED if p.model == model), None)


def differences(row: Row) -> list[str]:
    """List how a run's data differ from the published protocol, for example '5 frames, not 6'."""
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
