"""Read and write checkpoints: a safetensors file and a JSON file that are replaced as one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankbench.common.files import make_folder, publish, remove

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1  # Raise it when the meaning of a stored name changes.


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The checkpoint files of one run.

    `<run_id>-<epoch>.safetensors` holds the tensors. `<run_id>.json` holds everything else, the
    name of the first file, and the SHA-256 of both. The JSON file is replaced after the tensors are
    completely written. A reader therefore finds the new pair, the old pair or, if the hash does not
    match, no checkpoint.
    """

    folder: str
    """Folder of the files; it is made when a checkpoint is written."""
    run_id: str
    """The run's id."""
    every_s: float = 60.0
    """Seconds between two checkpoints, at least."""

    @property
    def path(self) -> Path:
        """Path of the JSON file; without this file there is no checkpoint."""
        return Path(self.folder) / f"{self.run_id}.json"

    def files(self) -> list[Path]:
        """Return all files of the run, the JSON file first, including what a crash left behind."""
        return sorted(Path(self.folder).glob(f"{self.run_id}[.-]*"), key=lambda p: p != self.path)

    def drop(self) -> None:
        """Delete all files of the run.

        Raises:
            OSError: If a file cannot be deleted; the error names it.
        """
        remove(self.files())

    def write(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replace the checkpoint atomically.

        Args:
            tensors: Tensors by name.
            facts: Everything else, as JSON can hold it; `epoch` is required.

        Raises:
            OSError: If a file cannot be written.
            SafetensorError: If the tensors cannot be written.
        """
        from safetensors.torch import save_file  # Imported here because it loads torch.

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
        """Read the tensors and the facts of the checkpoint.

        Raises:
            OSError, ValueError, KeyError, TypeError, SafetensorError: If a file is missing or
                damaged, or has another format.
        """
        from safetensors.torch import load_file  # Imported here because it loads torch.

        pair = json.loads(self.path.read_text())
        if pair["format"] != FORMAT:
            raise ValueError(f"its format is {pair['format']}, not {FORMAT}")
        weights, facts = self.path.with_name(pair["file"]), pair["facts"]
        if _digest(weights, facts) != pair["sha256"]:
            raise ValueError(f"its checksum does not match it and {weights.name}")
        return load_file(weights), facts


def _digest(path: Path, facts: Mapping[str, Any]) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
