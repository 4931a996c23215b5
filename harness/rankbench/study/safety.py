"""What a study file may not do: run code, read the environment, or reach outside its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_OWN = "_self_"


def check_file(path: Path) -> None:
    """Check a study file and those its `defaults` name, before anything is composed of them.

    Raises ValueError for settings of Hydra, and for `defaults` that are no file below the study.
    """
    root, seen, waiting = path.parent.resolve(), set[Path](), [path]
    while waiting:
        file = waiting.pop()
        written = OmegaConf.load(file)
        seen.add(file)
        if not isinstance(written, DictConfig):
            raise ValueError(f"{file}: a study must be a mapping of settings")
        if "hydra" in written:
            raise ValueError(f"{file}: hydra is no setting of a study; remove it")
        entries = OmegaConf.to_container(written, resolve=False).get("defaults") or []  # type: ignore[union-attr]
        found = [_included(file, root, name) for name in _names(file, entries)]
        waiting += [below for below in found if below not in seen]


def check_override(override: Override) -> None:
    """Raise ValueError for an override of Hydra itself."""
    if override.key_or_group.partition(".")[0].partition("/")[0] == "hydra":
        raise ValueError(f"override {override.input_line!r}: hydra is no setting of a study")


def check_strings(where: object, value: Any) -> None:
    """Raise ValueError for text that asks a resolver, as ${oc.env:HOME} does: none is run."""
    for text in _strings(value):
        if _asks_resolver(text):
            raise ValueError(
                f"{where}: {text!r} asks a resolver, and a study file may not read what is "
                "outside it; only ${name} of another setting is known"
            )


def _names(file: Path, entries: Any) -> Iterator[str]:
    """The files that a list of defaults names: `name`, or `group: option`."""
    if not isinstance(entries, list):
        raise ValueError(f"{file}: defaults must be a list of names, got {entries!r}")
    for entry in entries:
        pairs = entry.items() if isinstance(entry, dict) else [(None, entry)]
        for group, option in pairs:
            if entry != _OWN:
                yield option if group is None else f"{group}/{option}"


def _included(file: Path, root: Path, name: Any) -> Path:
    if isinstance(name, str) and _NAME.fullmatch(name):
        path = file.parent / f"{name}.yaml"  # as Hydra looks it up
        if path.is_file() and path.resolve().is_relative_to(root):
            return path
    raise ValueError(f"{file}: defaults must name files below {root}, got {name!r}")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _asks_resolver(text: str) -> bool:
    """Whether a colon stands within ${...}, at any depth: a reference has none."""
    depth = 0
    for place, letter in enumerate(text):
        if text.startswith("${", place):
            depth += 1
        elif letter == "}":
            depth = max(0, depth - 1)
        elif letter == ":" and depth:
            return True
    return False
