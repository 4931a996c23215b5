"""Weights of a CNN from a file, without running any code that stands in it."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

if TYPE_CHECKING:
    from torch import Tensor, nn

SHOWN = 3  # names of entries that an error lists


def weights_hash(path: Path) -> str:
    """SHA-256 of the file, first 16 hex digits; ValueError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ValueError(f"weights file {path} cannot be read: {error.strerror}") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a .safetensors file, or of a file that `torch.save` wrote.

    Raises ValueError for a file that cannot be read, or that holds anything but tensors.
    """
    try:
        held = _safe(path) if path.suffix == ".safetensors" else _saved(path)
    except OSError as error:
        raise ValueError(f"weights file {path} cannot be read: {error.strerror}") from error
    if not isinstance(held, dict) or not all(
        isinstance(each, torch.Tensor) for each in held.values()
    ):
        raise ValueError(f"weights file {path} must hold a state dict, names with a tensor each")
    return dict(held)


def fill(net: nn.Module, path: Path, ignored: Sequence[str] = ()) -> None:
    """Load a weights file into `net`, but the entries whose names start as one of `ignored`.

    Raises ValueError for a file that is not of this net.
    """
    held = read_weights(path)
    state = {name: held[name] for name in held if not name.startswith(tuple(ignored))}
    try:
        missing, unknown = net.load_state_dict(state, strict=False)
    except RuntimeError as error:  # a tensor has another shape
        detail = str(error).splitlines()[1].strip()
        raise ValueError(f"weights file {path} is of another network: {detail}") from error
    for names, what in ((missing, "lacks"), (unknown, "also has")):
        if names:
            shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            raise ValueError(f"weights file {path} is of another network: it {what} {shown}")


def _safe(path: Path) -> Any:
    from safetensors.torch import load_file  # loads torch

    with path.open("rb"):  # safetensors' own errors do not say why
        pass
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"weights file {path} is not whole safetensors: {error}") from error


def _saved(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise ValueError(
            f"weights file {path} is not a whole state dict that `torch.save` wrote"
        ) from error
