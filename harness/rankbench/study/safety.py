"""Reject study files that run code, read the environment or read files outside their folder."""

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
    """Check a study file and the files that its `defaults` include, before Hydra composes them.

    Raises:
        ValueError: A file contains settings of Hydra itself, or includes something that is not a
            file below the folder of the study.
    """
    root, seen, waiting = path.parent.resolve(), set[Path](), [path]
    while waiting:
        file = waiting.pop()
        written = OmegaConf.load(file)
        seen.add(file)
        if not isinstance(written, DictConfig):
            raise ValueError(f"{file}: a study must be a mapping of settings")
        if "hydra" in written:
            raise ValueError(f"{file}: a study must not configure hydra; remove the key hydra")
        entries = OmegaConf.to_container(written, resolve=False).get("defaults") or []  # type: ignore[union-attr]
        included = [_included(file, root, name) for name in _names(file, entries)]
        waiting += [below for below in included if below not in seen]


def check_override(override: Override) -> None:
    """Raise ValueError for an override of a setting of Hydra itself."""
    if override.key_or_group.partition(".")[0].partition("/")[0] == "hydra":
        raise ValueError(
            f"override {override.input_line!r}: a study must not configure hydra; remove it"
        )


def check_strings(where: object, value: Any) -> None:
    """Raise ValueError for text that calls an OmegaConf resolver, such as ${oc.env:HOME}.

    Args:
        where: The study file, named in the message.
        value: Unresolved settings, nested in dicts and lists.
    """
    for text in _strings(value):
        if _calls_resolver(text):
            raise ValueError(
                f"{where}: {text!r} calls a resolver, which a study file must not; "
                "only references to other settings, such as ${seeds}, are allowed"
            )


def _names(file: Path, entries: Any) -> Iterator[str]:
    """Return the files that a list of defaults includes, as `name` or `group: option`."""
    if not isinstance(entries, list):
        raise ValueError(f"{file}: defaults must be a list of names, got {entries!r}")
    for entry in entries:
        pairs = entry.items() if isinstance(entry, dict) else [(None, entry)]
        for group, option in pairs:
            if entry != _OWN:
                yield option if group is None else f"{group}/{option}"


def _included(file: Path, root: Path, name: Any) -> Path:
    if isinstance(name, str) and _NAME.fullmatch(name):
        path = file.parent / f"{name}.yaml"  # Hydra looks for the same path.
        if path.is_file() and path.resolve().is_relative_to(root):
            return path
    raise ValueError(f"{file}: defaults must name files in {root} or below, got {name!r}")


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


def _calls_resolver(text: str) -> bool:
    """Return whether there is a colon within ${...}, at any depth; references have none."""
    depth = 0
    for position, letter in enumerate(text):
        if text.startswith("${", position):
            depth += 1
        elif letter == "}":
            depth = max(0, depth - 1)
        elif letter == ":" and depth:
            return True
    return False
