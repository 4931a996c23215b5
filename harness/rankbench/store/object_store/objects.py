"""List, read, write and delete the objects of one study on an object store.

Every error is one line that names the object and the cause.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType

from rankbench.store.location import connect, failure, redact_url

_WHOLE = 4_000_000  # Bytes up to which an object is read by one request.


class Objects:
    """The objects of a study; their names are relative to `<root>/<study>`.

    Args:
        root: The URL of all results.
        study: The study's name.
    """

    def __init__(self, root: str, study: str) -> None:
        self.root, self.study = root, study

    def url(self, name: str = "") -> str:
        """Return the URL of an object, or of the study, without credentials."""
        return "/".join(part for part in (redact_url(self.root), self.study, name) if part)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the bytes of every object in a folder by name; empty if there is no such folder.

        Raises:
            OSError: If the folder cannot be listed.
        """
        return {
            f"{folder}/{name}": size for name, size in listed(self.root, f"{self.study}/{folder}")
        }

    def open(self, name: str, size: int) -> pa.NativeFile:
        """Open an object for reading; a small one is read at once, a large one in ranges.

        Args:
            name: The object's name.
            size: Its bytes, as listed.

        Raises:
            FileNotFoundError: If it does not exist any more.
            OSError: If it cannot be read for another reason.
        """
        files, path = self._at(name)
        try:
            if size > _WHOLE:
                return files.open_input_file(path)
            with files.open_input_stream(path) as stream:
                return pa.BufferReader(stream.read())
        except FileNotFoundError:
            raise
        except OSError as error:
            # The message of an object that was deleted while it was opened varies between stores.
            if not self.exists(name):
                raise FileNotFoundError(name) from error
            raise failure("read", self.url(name), error) from error

    def exists(self, name: str) -> bool:
        """Return whether an object exists now.

        Raises:
            OSError: If the store does not answer.
        """
        files, path = self._at(name)
        try:
            return bool(files.get_file_info(path).type is FileType.File)
        except OSError as error:
            raise failure("read", self.url(name), error) from error

    def put(self, name: str, content: pa.Buffer) -> None:
        """Write an object atomically.

        Raises:
            OSError: If it cannot be written.
        """
        files, path = self._at(name)
        try:
            with files.open_output_stream(path) as stream:
                stream.write(content)
        except OSError as error:
            raise failure("written", self.url(name), error) from error

    def delete(self, name: str) -> None:
        """Delete an object; one that does not exist is ignored.

        Raises:
            OSError: If it cannot be deleted.
        """
        files, path = self._at(name)
        try:
            files.delete_file(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise failure("written", self.url(name), error) from error

    def move(self, name: str, other: str) -> None:
        """Rename an object by copying and deleting; at any time it exists under one of the names.

        Raises:
            OSError: If it cannot be copied or deleted.
        """
        files, path = self._at(name)
        try:
            files.copy_file(path, self._at(other)[1])
        except OSError as error:
            raise failure("written", self.url(other), error) from error
        self.delete(name)

    def _at(self, name: str) -> tuple[FileSystem, str]:
        files, base = connect(self.root)
        return files, f"{base}/{self.study}/{name}"


def listed(root: str, folder: str, kind: FileType = FileType.File) -> list[tuple[str, int]]:
    """List the entries of one kind in a folder on an object store.

    Args:
        root: The URL of all results.
        folder: The folder, relative to `root`.
        kind: Files, or folders.

    Returns:
        Name and bytes of each entry; empty if there is no such folder.

    Raises:
        OSError: If the store does not answer, or the bucket does not exist.
    """
    files, base = connect(root)
    path = f"{base}/{folder}".rstrip("/")
    try:
        entries = files.get_file_info(FileSelector(path, allow_not_found=True))
        if not entries:
            bucket = PurePosixPath(base).parts[0]
            if files.get_file_info(bucket).type == FileType.NotFound:
                raise FileNotFoundError("NO_SUCH_BUCKET")
    except OSError as error:
        raise failure("read", redact_url(root), error) from error
    return [(info.base_name, info.size or 0) for info in entries if info.type == kind]
