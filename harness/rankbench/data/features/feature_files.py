"""Import features that were computed elsewhere, from a .npz file into a stored set.

Letters: n rows (frames of all clips), f features of a row.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankbench.data.sets.catalog import SetSpec, SetWriter
from rankbench.data.sets.progress import StorageProgress, unwatched
from rankbench.data.sets.set_file import Row, short_hash

FEATURES = "feat"
TEXT, INTEGERS, BOOLEANS, ANY = "U", "iu", "b", "Uiubf"  # Values of `numpy.dtype.kind`.
NEEDED = {"clip_id": TEXT, "label": INTEGERS, "group": TEXT, "slot": INTEGERS}
KINDS = {**NEEDED, "cls": TEXT, "clip_len": INTEGERS, "true_frame": INTEGERS, "ordered": BOOLEANS}
NAMES = {TEXT: "text", INTEGERS: "integers", BOOLEANS: "booleans", ANY: "text or numbers"}
# Columns that the set fills itself.
OWN = ("first", "frames", "frames_hash", "source", "source_hash", "reason")
DTYPES = ("float16", "float32")
# Columns that differ between the rows of a clip; all others have one value per clip.
PER_ROW = ("slot", "true_frame")


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureFile:
    """The checked arrays of a features file.

    Raises:
        ValueError: An array is missing or not valid.
    """

    path: Path
    """The file, named in error messages."""
    features: NDArray[Any]
    """Features of all rows (n, f)."""
    columns: dict[str, NDArray[Any]]
    """The other arrays, each with one value per row (n,)."""

    def __post_init__(self) -> None:
        missing = [name for name in NEEDED if name not in self.columns]
        if missing:
            has = ", ".join((FEATURES, *self.columns))
            raise self._wrong(f"array {', '.join(missing)} is missing; its arrays: {has}")
        shape, dtype = self.features.shape, str(self.features.dtype)
        if len(shape) != 2 or not all(shape) or dtype not in DTYPES:
            types = " or ".join(DTYPES)
            raise self._wrong(f"{FEATURES} must be (n, f) of {types}, it is {shape} of {dtype}")
        for name, values in self.columns.items():
            self._check_column(name, values)
        if not np.isfinite(self.features).all():
            raise self._wrong(f"{FEATURES} must be finite, but has NaN or infinite values")

    def clips(self) -> Iterator[tuple[Row, NDArray[Any]]]:
        """Iterate over the clips in the order of clip_id: row of the index, and features by slot.

        Raises:
            ValueError: A clip has a slot twice, or several values in a column of clips.
        """
        order = np.lexsort((self.columns["slot"], self.columns["clip_id"]))
        sorted_ids = self.columns["clip_id"][order]
        starts = np.flatnonzero(np.r_[True, sorted_ids[1:] != sorted_ids[:-1]])
        for rows in np.split(order, starts[1:]):
            yield self._clip(rows)

    def _clip(self, rows: NDArray[np.intp]) -> tuple[Row, NDArray[Any]]:
        features, columns = self.features[rows], self.columns
        clip = str(columns["clip_id"][rows[0]])
        slots = columns["slot"][rows]
        if len(np.unique(slots)) < len(slots):
            raise self._wrong(f"clip {clip} has a slot twice, its slots are {slots.tolist()}")
        row: Row = {"cls": None, "clip_len": -1, "ordered": self._ordered(rows)}
        for name in columns:
            if name not in PER_ROW:
                row[name] = self._one(name, clip, columns[name][rows])
        source = {"source": self.path.name, "source_hash": _digest(row, features)}
        return {**row, **source}, features

    def _ordered(self, rows: NDArray[np.intp]) -> bool:
        """Return whether `true_frame` shows that these rows are in the order of time."""
        true = self.columns.get("true_frame")
        return true is not None and bool((true[rows] >= 0).all())

    def _one(self, name: str, clip: str, values: NDArray[Any]) -> Any:
        if (values != values[0]).any():
            raise self._wrong(f"{name} has more than one value in clip {clip}")
        return values[0].item()

    def _check_column(self, name: str, values: NDArray[Any]) -> None:
        if name in OWN:
            raise self._wrong(f"{name} is a column that the set fills itself; rename the array")
        kinds = KINDS.get(name, ANY)
        if values.dtype.kind not in kinds:
            raise self._wrong(f"{name} must contain {NAMES[kinds]}, it contains {values.dtype}")
        if values.shape != (len(self.features),):
            raise self._wrong(
                f"{name} must have {len(self.features)} values, one per row of {FEATURES};"
                f" it has shape {values.shape}"
            )

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"features file {self.path}: {what}")


def read_features(path: Path) -> FeatureFile:
    """Read a features file without executing any code in it.

    Args:
        path: A .npz file with the arrays feat, clip_id, label, group, slot and further columns.

    Raises:
        ValueError: The file is damaged, or contains anything but numbers and text.
    """
    try:
        arrays = _arrays(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"features file {path} cannot be read: {reason}") from error
    except (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"features file {path} is not a valid .npz: {reason}") from error
    if FEATURES not in arrays:
        raise ValueError(
            f"features file {path}: array {FEATURES} is missing; its arrays: {', '.join(arrays)}"
        )
    features = arrays.pop(FEATURES)
    return FeatureFile(path=path, features=features, columns=arrays)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as stream:
        content = np.load(stream, allow_pickle=False)
        if isinstance(content, np.ndarray):
            raise ValueError("it is a single array")
        return {name: content[name] for name in content.files}


def import_features(path: Path, name: str, watch: StorageProgress | None = None) -> Path:
    """Store the features of a .npz file as a set.

    Args:
        path: A file with the arrays feat (n, f) and, for each row, clip_id, label, group and slot.
            Further arrays with one value per clip become columns. Rows are ordered by slot.
        name: Name of the set.
        watch: Receives the number of rows stored.

    Returns:
        The folder of the set.

    Raises:
        ValueError: The file cannot be used.
        OSError: The cache cannot be written.
    """
    file = read_features(path)
    features = file.features
    spec = SetSpec(
        name=name, kind="features", features=features.shape[1], dtype=str(features.dtype)
    )
    clips, done, total = list(file.clips()), 0, len(features)
    report = watch or unwatched
    with SetWriter(spec) as writer:
        writer.keep(0)  # Existing entries may come from another file.
        report(done, total)
        for row, values in clips:
            writer.append(row, values)
            done += len(values)
            report(done, total)
        return writer.finish()


def _digest(row: Row, features: NDArray[Any]) -> str:
    return short_hash(repr(sorted(row.items())).encode() + features.tobytes())
