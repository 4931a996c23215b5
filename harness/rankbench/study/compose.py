"""Compose a study file and its command-line overrides with Hydra, into plain dicts and tuples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rankbench.study.safety import check_file, check_override, check_strings


def read_file(path: Path) -> Any:
    """Read a study file and the files that its `defaults` include, without any default value.

    Raises:
        ValueError: The file is not valid YAML, or contains what a study file must not contain.
    """
    with _as_value_error(path):
        check_file(path)
        with initialize_config_dir(str(path.parent.resolve()), version_base="1.3"):
            return _plain(path, compose(path.stem))


def apply_overrides(path: Path, settings: Mapping[str, Any], overrides: Sequence[str]) -> Any:
    """Apply overrides in Hydra's grammar to complete settings.

    Args:
        path: The study file, named in error messages.
        settings: Every setting of the study, defaults included.
        overrides: Such as `"seeds=3"` or `"~space.branches.dense"`.

    Returns:
        The settings as nested dicts and tuples.

    Raises:
        ValueError: An override is not in Hydra's grammar or does not apply.
    """
    with _as_value_error(path):
        ConfigStore.instance().store(name="rankbench_study", node=_blank(settings))
        forced = [_forced(item) for item in overrides]
        with initialize(config_path=None, version_base="1.3"):
            config = _composed(forced, overrides)
        return _tuples(_restored(_plain(path, config), settings))


def _composed(forced: Sequence[str], overrides: Sequence[str]) -> Any:
    try:
        return compose("rankbench_study", list(forced))
    except ValueError as error:
        if isinstance(error, OmegaConfBaseException):
            raise
        raise ValueError(f"overrides {' '.join(overrides)}: {error}") from error


def _blank(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with null in place of empty lists and mappings.

    OmegaConf would not let an override turn an empty list into a mapping, as a file may.
    """
    return {
        key: _blank(value) if isinstance(value, dict) else None if value in ((), []) else value
        for key, value in settings.items()
    }


def _restored(composed: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the composed settings, with those empty again that no override has filled."""
    restored = dict(composed)
    for key, value in settings.items():
        if isinstance(value, dict) and isinstance(composed.get(key), dict):
            restored[key] = _restored(composed[key], value)
        elif value in ((), []) and key in composed and composed[key] is None:
            restored[key] = value
    return restored


@contextmanager
def _as_value_error(path: Path) -> Iterator[None]:
    """Turn the errors of Hydra, OmegaConf and YAML into a ValueError of one line."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ValueError(f"{path}: {_one_line(error)}") from error


def _forced(override: str) -> str:
    """Check an override and add `++`, so that Hydra accepts keys that it does not know.

    Rankbench checks the keys itself, and its messages name the valid ones.
    """
    try:
        check_override(OverridesParser.create().parse_override(override))
    except HydraException as error:
        raise ValueError(f"override {override!r}: {_one_line(error)}") from error
    return override if override.startswith(("+", "~")) else f"++{override}"


def _plain(path: Path, config: Any) -> Any:
    check_strings(path, OmegaConf.to_container(config, resolve=False))
    return OmegaConf.to_container(config, resolve=True)


def _tuples(value: Any) -> Any:
    """Convert lists to tuples at every depth, because settings are frozen and hashed."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value


def _one_line(error: BaseException) -> str:
    """Return in one line what an error says, and what its cause says first."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    causes = [line.strip() for line in str(error.__cause__ or "").splitlines()]
    if not causes or causes[0] == "None" or causes[0] in text:
        return text
    return f"{text}: {causes[0]}"
