"""Load the weights of a CNN from a file, without executing any code in it."""

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

SHOWN = 3  # Number of entries that an error message lists.


def weights_hash(path: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ValueError(f"weights file {path} cannot be read: {error.strerror}") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a .safetensors file or of a file written by `torch.save`.

    Raises:
        ValueError: The file cannot be read, or contains anything but tensors.
    """
    try:
        state = _safe(path) if path.suffix == ".safetensors" else _saved(path)
    except OSError as error:
        raise ValueError(f"weights file {path} cannot be read: {error.strerror}") from error
    if not isinstance(state, dict) or not all(
        isinstance(entry, torch.Tensor) for entry in state.values()
    ):
        raise ValueError(f"weights file {path} must contain a state dict: a tensor for each name")
    return dict(state)


def fill(net: nn.Module, path: Path, ignored: Sequence[str] = ()) -> None:
    """Load a weights file into a network.

    Args:
        net: The network.
        path: The weights file.
        ignored: Prefixes of the entries that are left out.

    Raises:
        ValueError: The file belongs to another network.
    """
    entries = read_weights(path)
    state = {name: entries[name] for name in entries if not name.startswith(tuple(ignored))}
    try:
        missing, unknown = net.load_state_dict(state, strict=False)
    except RuntimeError as error:  # A tensor has another shape.
        detail = str(error).splitlines()[1].strip()
        raise ValueError(f"weights file {path} belongs to another network: {detail}") from error
    for names, what in ((missing, "lacks"), (unknown, "also has")):
        if names:
            shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            raise ValueError(f"weights file {path} belongs to another network: it {what} {shown}")


def _safe(path: Path) -> Any:
    from safetensors.torch import load_file  # loads torch

    with path.open("rb"):  # Raises an OSError with a reason, which safetensors does not give.
        pass
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"weights file {path} is not valid safetensors: {error}") from error


def _saved(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise ValueError(
            f"weights file {path} is not a valid state dict written by `torch.save`"
        ) from error
