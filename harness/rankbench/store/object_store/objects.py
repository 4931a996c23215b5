"""Whole objects of one study on an object store: list, read, write, delete."""

from __future__ import annotations

from pathlib import PurePosixPath

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType

from rankbench.store.location import connect, failure, redact_url

_WHOLE = 4_000_000  # bytes of an object up to which one request is cheaper than several


class Objects:
    """The objects below `<root>/<study>`, by their names relative to it."""

    def __init__(self, root: str, study: str) -> None:
        self.root, self.study = root, study

    def url(self, name: str = "") -> str:
        """The address of an object as a person is told."""
        return "/".join(part for part in (redact_url(self.root), self.study, name) if part)

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every object of a folder by name; empty for one that is not there.

        Raises OSError in one line where it cannot be listed.
        """
        return {
            f"{folder}/{name}": size for name, size in listed(self.root, f"{self.study}/{folder}")
        }

    def open(self, name: str, size: int) -> pa.NativeFile:
        """An object to read from: the whole of a small one, a file of ranges else.

        Raises FileNotFoundError for one that is gone, OSError in one line for any other failure.
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
            if not self.exists(name):  # gone since it was looked up, which has errors of its own
                raise FileNotFoundError(name) from error
            raise failure("read", self.url(name), error) from error

    def exists(self, name: str) -> bool:
        """Whether an object is there now.

        Raises OSError in one line where that cannot be told.
        """
        files, path = self._at(name)
        try:
            return bool(files.get_file_info(path).type is FileType.File)
        except OSError as error:
            raise failure("read", self.url(name), error) from error

    def put(self, name: str, content: pa.Buffer) -> None:
        """Write a whole object: it is there as given, or not at all.

        Raises OSError in one line where it cannot be written.
        """
        files, path = self._at(name)
        try:
            with files.open_output_stream(path) as stream:
                stream.write(content)
        except OSError as error:
            raise failure("written", self.url(name), error) from error

    def delete(self, name: str) -> None:
        """Delete an object, which may be gone already.

        Raises OSError in one line where it cannot be deleted.
        """
        files, path = self._at(name)
        try:
            files.delete_file(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise failure("written", self.url(name), error) from error

    def move(self, name: str, other: str) -> None:
        """Give an object another name: it is there under one of them at any time.

        Raises OSError in one line where it cannot be moved.
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
    """Names and bytes of what of a kind lies in a folder below `root`, none if it is not there.

    Raises OSError in one line where the store does not answer, or has no such bucket.
    """
    files, base = connect(root)
    path = f"{base}/{folder}".rstrip("/")
    try:
        found = files.get_file_info(FileSelector(path, allow_not_found=True))
        if not found:
            bucket = PurePosixPath(base).parts[0]
            if files.get_file_info(bucket).type == FileType.NotFound:
                raise FileNotFoundError("NO_SUCH_BUCKET")
    except OSError as error:
        raise failure("read", redact_url(root), error) from error
    return [(info.base_name, info.size or 0) for info in found if info.type == kind]
