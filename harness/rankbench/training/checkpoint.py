"""A checkpoint on disk: safetensors and plain JSON, replaced as one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankbench.store.parquet_file import make_folder, publish, remove

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1  # raised when the same names come to mean other things


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where the state of the run `run_id` is kept: two files of `folder`, every `every_s` seconds.

    `<run_id>-<epoch>.safetensors` has the tensors, `<run_id>.json` the rest, with the name of the
    first and the SHA-256 of both. The second replaces its predecessor once the first is whole, so
    that a pair is new, old or, where the hash differs, no checkpoint.
    """

    folder: str
    run_id: str
    every_s: float = 60.0

    @property
    def path(self) -> Path:
        """The JSON file, without which there is no checkpoint."""
        return Path(self.folder) / f"{self.run_id}.json"

    def files(self) -> list[Path]:
        """Every file of the run, also those that a crash left; the JSON file comes first."""
        return sorted(Path(self.folder).glob(f"{self.run_id}[.-]*"), key=lambda p: p != self.path)

    def drop(self) -> None:
        """Delete what is kept of the run.

        Raises OSError naming the file that cannot be deleted.
        """
        remove(self.files())

    def write(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replace what is kept, whole or not at all.

        Raises OSError or SafetensorError where it cannot be written.
        """
        from safetensors.torch import save_file  # loads torch

        make_folder(Path(self.folder))
        weights = self.path.with_name(f"{self.run_id}-{facts['epoch']}.safetensors")
        staged = weights.with_suffix(".tmp")
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, staged)
        _sync(staged)
        pair = {"file": weights.name, "sha256": _digest(staged, facts)}
        publish(staged, weights)
        staged = self.path.with_suffix(".tmp")
        staged.write_text(json.dumps({"format": FORMAT, **pair, "facts": facts}))
        _sync(staged)
        publish(staged, self.path)
        remove(path for path in self.files() if path not in (weights, self.path))

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors and the facts that were written.

        Raises OSError, ValueError, KeyError, TypeError or SafetensorError for damaged ones.
        """
        from safetensors.torch import load_file  # loads torch

        pair = json.loads(self.path.read_text())
        if pair["format"] != FORMAT:
            raise ValueError(f"its format is {pair['format']}, not {FORMAT}")
        weights, facts = self.path.with_name(pair["file"]), pair["facts"]
        if _digest(weights, facts) != pair["sha256"]:
            raise ValueError(f"it and {weights.name} are not as they were written")
        return load_file(weights), facts


def _digest(path: Path, facts: Mapping[str, Any]) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
