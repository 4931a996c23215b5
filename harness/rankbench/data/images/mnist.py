"""Read MNIST from its idx files or a .npz file, and store it as a set.

Letters: n pictures of 28 x 28 pixels.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankbench.data.sets.catalog import SetSpec, SetWriter
from rankbench.data.sets.set_file import Row, short_hash

SIDE = 28
PIXELS = SIDE**2
CLASSES = 10
SIDES = ("test", "train")  # In the order of their clip_ids.
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# The possible names of each array's idx file, with or without .gz.
FILES = {
    "x_train": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "y_train": ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    "x_test": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    "y_test": ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
}
_DAMAGED = (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mnist:
    """The checked arrays of MNIST.

    Raises:
        ValueError: An array is not valid.
    """

    path: Path
    """File or folder of the data, named in error messages."""
    x_train: Bytes
    """Training pictures (n, 28, 28), uint8."""
    y_train: Bytes
    """Classes of the training pictures (n,)."""
    x_test: Bytes
    """Test pictures (n, 28, 28), uint8."""
    y_test: Bytes
    """Classes of the test pictures (n,)."""

    def __post_init__(self) -> None:
        for side in ("train", "test"):
            x, y = getattr(self, f"x_{side}"), getattr(self, f"y_{side}")
            if x.ndim != 3 or x.shape[1:] != (SIDE, SIDE) or not len(x) or x.dtype != np.uint8:
                raise self._wrong(
                    f"x_{side} must be (n, {SIDE}, {SIDE}) of uint8, it is {x.shape} of {x.dtype}"
                )
            if y.shape != (len(x),) or y.dtype.kind not in "iu":
                raise self._wrong(
                    f"y_{side} must be {len(x)} integers, one per picture of x_{side};"
                    f" it is {y.shape} of {y.dtype}"
                )
            if y.min() < 0 or y.max() >= CLASSES:
                raise self._wrong(
                    f"labels of y_{side} must be 0 to {CLASSES - 1},"
                    f" they are {y.min()} to {y.max()}"
                )

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"MNIST at {self.path}: {what}")


def read_mnist(path: Path) -> Mnist:
    """MNIST from its four idx files, gzipped or not, or from a .npz of four arrays.

    Args:
        path: A .npz, a folder with one in it, or a folder of the idx files. Nothing in it is run.

    Raises:
        ValueError: For files that are missing or not whole, and for a folder of several .npz.
    """
    if not path.exists():
        raise ValueError(f"MNIST at {path}: this file or folder does not exist")
    if not path.is_dir():
        return Mnist(path=path, **_npz(path))
    archives = sorted(path.glob("*.npz"))
    has_idx = any((path / name).is_file() for name in _idx_names("x_train"))
    if has_idx or not archives:
        return Mnist(path=path, **{name: _idx(_found(path, name), name) for name in FILES})
    if len(archives) > 1:
        names = ", ".join(archive.name for archive in archives)
        raise ValueError(f"MNIST at {path}: it has several .npz files, name one of: {names}")
    return Mnist(path=archives[0], **_npz(archives[0]))


def store_mnist(path: Path, name: str) -> Path:
    """Store MNIST as a set with one "clip" for each side and class.

    Args:
        path: As for `read_mnist`.
        name: Name of the set.

    Returns:
        The folder of the set.

    Raises:
        ValueError: A file cannot be used.
        OSError: The cache cannot be written.
    """
    data = read_mnist(path)
    settings = {"height": SIDE, "width": SIDE, "channels": 1}
    spec = SetSpec(name=name, kind="images", features=PIXELS, settings=settings)
    with SetWriter(spec) as writer:
        writer.keep(0)  # Existing entries may come from other files.
        for side in SIDES:
            x, y = getattr(data, f"x_{side}"), getattr(data, f"y_{side}")
            for digit in np.unique(y).tolist():
                pixels = x[y == digit].reshape(-1, PIXELS)
                writer.append(_row(side, digit, data.path.name, pixels), pixels)
        return writer.finish()


def _row(side: str, digit: int, source: str, pixels: Bytes) -> Row:
    return {
        "clip_id": f"{side}-{digit}",
        "cls": str(digit),
        "label": digit,
        "group": side,
        "ordered": False,
        "clip_len": -1,
        "source": source,
        "source_hash": short_hash(np.ascontiguousarray(pixels).data.cast("B")),
        "side": side,
    }


def _found(folder: Path, name: str) -> Path:
    for candidate in _idx_names(name):
        if (folder / candidate).is_file():
            return folder / candidate
    raise ValueError(
        f"MNIST at {folder}: file {FILES[name][0]} is missing, gzipped or not, and there is no .npz"
    )


def _idx_names(name: str) -> list[str]:
    """The names that the idx file of an array goes by."""
    return [candidate + end for candidate in FILES[name] for end in ("", ".gz")]


def _idx(path: Path, name: str) -> Bytes:
    """Read an idx file: 0, 0, 8 (unsigned bytes), number of dimensions, sizes, then the bytes."""
    dimensions = 3 if name.startswith("x") else 1
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes([0, 0, 8, dimensions]) or len(header) < 4 + 4 * dimensions:
                raise ValueError(f"it is not an idx file of {dimensions} dimensions")
            sizes = tuple(int(size) for size in np.frombuffer(header[4:], ">u4"))
            length = int(np.prod(sizes, dtype=object))
            content = file.read(length + 1)
    except OSError as error:
        raise ValueError(f"MNIST file {path} cannot be read: {_line(error)}") from error
    except _DAMAGED as error:
        raise ValueError(f"MNIST file {path} is damaged: {_line(error)}") from error
    if len(content) != length:
        actual = "more" if len(content) > length else f"{len(content)}"
        raise ValueError(
            f"MNIST file {path} is damaged: its header must be followed by {length} bytes,"
            f" there are {actual}"
        )
    return np.frombuffer(content, np.uint8).reshape(sizes)


def _npz(path: Path) -> dict[str, Bytes]:
    try:
        with path.open("rb") as stream:
            content = np.load(stream, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise ValueError("it is a single array")
            missing = [name for name in ARRAYS if name not in content.files]
            if missing:
                raise KeyError(f"array {', '.join(missing)} is missing")
            return {name: content[name] for name in ARRAYS}
    except OSError as error:
        raise ValueError(f"MNIST file {path} cannot be read: {_line(error)}") from error
    except _DAMAGED as error:
        raise ValueError(f"MNIST file {path} is not a valid .npz: {_line(error)}") from error


def _line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return str(error.args[0])
    return (str(error).splitlines() or [type(error).__name__])[0]
