"""Unpack downloaded data sets: archives, and archives within archives."""

from __future__ import annotations

import importlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from rankbench.data.video.discover import HIDDEN, PICTURES, VIDEOS

ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
WANTED = VIDEOS | PICTURES | {".txt", *(suffix for suffix in ARCHIVES if suffix.count(".") == 1)}
BLOCK = 2**20  # Bytes that are copied at a time.

Entry = tuple[str, Iterable[bytes]]

_BROKEN_ZIP: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # The archive is encrypted.
    NotImplementedError,
)


def is_archive(path: Path) -> bool:
    """Return whether a path is a file whose suffix is that of an archive."""
    return path.name.lower().endswith(ARCHIVES) and path.is_file()


def roots_of(path: Path, scratch: Path, told: Callable[[Path], None]) -> list[Path]:
    """Return folders with the files of a data set, after unpacking all archives.

    Args:
        path: A folder, which may contain archives, or an archive.
        scratch: Folder into which archives are unpacked.
        told: Called with each archive before it is unpacked.

    Returns:
        `path` if it is a folder, and a folder for each archive.

    Raises:
        ValueError: An archive is damaged, or libarchive is needed and not installed.
        OSError: An archive cannot be unpacked into `scratch`.
    """
    roots = [] if path.is_file() else [path]
    waiting = [path] if path.is_file() else _archives_below(path)
    for number, archive in enumerate(waiting):
        told(archive)
        root = scratch / str(number) / archive.name.partition(".")[0]
        unpack(archive, root)
        roots.append(root)
        waiting += _archives_below(root)  # The loop also visits what is appended here.
    return roots


def unpack(archive: Path, target: Path) -> None:
    """Unpack the videos, pictures, text files and archives of an archive.

    Args:
        archive: The archive.
        target: Folder to unpack into.

    Raises:
        ValueError: The archive is damaged, or libarchive is needed and not installed.
        OSError: A file cannot be written.
    """
    if archive.suffix.lower() == ".zip":
        entries, broken = _zipped(archive), _BROKEN_ZIP
    else:
        library = _libarchive(archive)
        entries, broken = _by_libarchive(library, archive), (library.exception.ArchiveError,)
    try:  # Damage may show only while an entry is read.
        for name, blocks in entries:
            _write(target, PurePosixPath(name), blocks)
    except broken as error:
        reason = getattr(error, "msg", error)
        raise ValueError(f"the archive {archive} cannot be read: {reason}") from error
    target.mkdir(parents=True, exist_ok=True)


def _write(target: Path, name: PurePosixPath, blocks: Iterable[bytes]) -> None:
    if name.suffix.lower() not in WANTED or name.is_absolute() or ".." in name.parts:
        return
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for block in blocks:
            file.write(block)


def _archives_below(folder: Path) -> list[Path]:
    paths = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return sorted(path for path in paths if is_archive(path) and not path.name.startswith(HIDDEN))


def _zipped(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if not info.is_dir():
                with file.open(info) as stream:
                    yield info.filename, iter(partial(stream.read, BLOCK), b"")


def _by_libarchive(library: Any, archive: Path) -> Iterator[Entry]:
    with library.file_reader(str(archive)) as entries:
        for entry in entries:
            if entry.isfile:
                yield entry.pathname, entry.get_blocks()


def _libarchive(archive: Path) -> Any:
    try:
        return importlib.import_module("libarchive")
    except (ImportError, OSError, AttributeError) as error:
        raise ValueError(
            f"{archive} needs libarchive: install it (apt install libarchive13, brew install"
            " libarchive) and `pip install 'rankbench[archives]'`, or unpack the archive"
        ) from error
