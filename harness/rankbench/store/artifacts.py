"""Store the files that a run writes beside its rows, such as pictures.

They are `<root>/<study>/artifacts/<run_id>/NAME`, in a folder or an object store. Each file is
written atomically.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileType

from rankbench.common.files import make_folder, publish, unwritable
from rankbench.store.location import is_remote
from rankbench.store.object_store.objects import Objects, listed
from rankbench.store.parquet_file import check_name

FOLDER = "artifacts"
COLUMNS = ("run_id", "name", "content")


class Artifacts:
    """The files of the runs of a study.

    Args:
        root: The folder or URL of all results.
        study: The study's name.

    Raises:
        ValueError: If `study` cannot be the name of a folder, or the URL has an unknown scheme.
    """

    def __init__(self, root: Path | str, study: str) -> None:
        check_name("study", study)
        self.root, self.study, self.remote = root, study, is_remote(root)

    def write(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Write files of a run; a file of the same name is replaced.

        Args:
            run_id: The run.
            files: Content by name.

        Raises:
            ValueError: If `run_id` or a name cannot be the name of a file.
            OSError: If a file cannot be written; the error names it.
        """
        check_name("run_id", run_id)
        for name, content in files.items():
            check_name("the name of an artifact", name)
            if self.remote:
                place = f"{FOLDER}/{run_id}/{name}"
                Objects(str(self.root), self.study).put(place, pa.py_buffer(content))
            else:
                _write(self._folder / run_id / name, content)

    def read(self) -> list[dict[str, Any]]:
        """Read all files.

        Returns:
            Rows {run_id, name, content}, sorted by run_id and name.

        Raises:
            OSError: If they cannot be read; the error is one line.
        """
        files = self._stored() if self.remote else self._local()
        return sorted(files, key=lambda file: (file["run_id"], file["name"]))

    @property
    def _folder(self) -> Path:
        return Path(self.root) / self.study / FOLDER

    def _local(self) -> Iterator[dict[str, Any]]:
        for path in self._folder.glob("[!.]*/[!.]*"):
            yield {"run_id": path.parent.name, "name": path.name, "content": path.read_bytes()}

    def _stored(self) -> Iterator[dict[str, Any]]:
        root, objects = str(self.root), Objects(str(self.root), self.study)
        for run_id, _ in listed(root, f"{self.study}/{FOLDER}", FileType.Directory):
            for place, size in objects.sizes(f"{FOLDER}/{run_id}").items():
                content = objects.open(place, size).read()
                yield {"run_id": run_id, "name": Path(place).name, "content": content}


def _write(path: Path, content: bytes) -> None:
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        make_folder(path.parent)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    publish(temporary, path)
