"""Features that others computed, from a .npz file into a stored set.

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
TEXT, INTEGERS, BOOLEANS, ANY = "U", "iu", "b", "Uiubf"  # numpy's kinds
NEEDED = {"clip_id": TEXT, "label": INTEGERS, "group": TEXT, "slot": INTEGERS}
KINDS = {**NEEDED, "cls": TEXT, "clip_len": INTEGERS, "true_frame": INTEGERS, "ordered": BOOLEANS}
NAMES = {TEXT: "text", INTEGERS: "integers", BOOLEANS: "booleans", ANY: "text or numbers"}
OWN = ("first", "frames", "frames_hash", "source", "source_hash", "reason")  # the set's columns
DTYPES = ("float16", "float32")
PER_ROW = ("slot", "true_frame")  # what tells the rows of a clip apart; others are of the clip


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureFile:
    """The arrays of a file: `features` (n, f), and `columns` with a value a row.

    Raises ValueError naming the array that is missing, or is not what it must be.
    """

    path: Path
    features: NDArray[Any]
    columns: dict[str, NDArray[Any]]

    def __post_init__(self) -> None:
        missing = [name for name in NEEDED if name not in self.columns]
        if missing:
            has = ", ".join((FEATURES, *self.columns))
            raise self._wrong(f"it has no array {', '.join(missing)}; it has: {has}")
        shape, dtype = self.features.shape, str(self.features.dtype)
        if len(shape) != 2 or not all(shape) or dtype not in DTYPES:
            types = " or ".join(DTYPES)
            raise self._wrong(f"{FEATURES} must be (n, f) of {types}, it is {shape} of {dtype}")
        for name, values in self.columns.items():
            self._check_column(name, values)
        if not np.isfinite(self.features).all():
            raise self._wrong(f"{FEATURES} has values that are not finite")

    def clips(self) -> Iterator[tuple[Row, NDArray[Any]]]:
        """Each clip in the order of clip_id: its row, and its features ordered by slot.

        Raises ValueError for a slot that a clip has twice, and for a column that should be the
        same throughout a clip and is not.
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
        """Whether the order of time is known of these rows: nothing but true_frame says so."""
        true = self.columns.get("true_frame")
        return true is not None and bool((true[rows] >= 0).all())

    def _one(self, name: str, clip: str, values: NDArray[Any]) -> Any:
        if (values != values[0]).any():
            raise self._wrong(f"{name} has more than one value in clip {clip}")
        return values[0].item()

    def _check_column(self, name: str, values: NDArray[Any]) -> None:
        if name in OWN:
            raise self._wrong(f"{name} is a column of the set itself; give it another name")
        kinds = KINDS.get(name, ANY)
        if values.dtype.kind not in kinds:
            raise self._wrong(f"{name} must hold {NAMES[kinds]}, it holds {values.dtype}")
        if values.shape != (len(self.features),):
            raise self._wrong(
                f"{name} must have {len(self.features)} values, a row of {FEATURES} each,"
                f" it has shape {values.shape}"
            )

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"features file {self.path}: {what}")


def read_features(path: Path) -> FeatureFile:
    """The arrays of a .npz file; nothing in it is run.

    Raises ValueError for a file that is not whole, or holds anything but numbers and text.
    """
    try:
        arrays = _arrays(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"features file {path} cannot be read: {reason}") from error
    except (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"features file {path} is not a whole .npz: {reason}") from error
    if FEATURES not in arrays:
        raise ValueError(
            f"features file {path}: it has no array {FEATURES}; it has: {', '.join(arrays)}"
        )
    features = arrays.pop(FEATURES)
    return FeatureFile(path=path, features=features, columns=arrays)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as stream:
        held = np.load(stream, allow_pickle=False)
        if isinstance(held, np.ndarray):
            raise ValueError("it is one array")
        return {name: held[name] for name in held.files}


def import_features(path: Path, name: str, watch: StorageProgress | None = None) -> Path:
    """Store the features of a .npz file as the set `name`; the set's folder.

    Arrays: feat (n, f), and of every row clip_id, label, group, slot and what else is the same
    throughout a clip, which becomes a column. Rows of a clip are ordered by slot.

    Raises ValueError for a file that cannot be used, and OSError when the cache cannot be written.
    """
    file = read_features(path)
    features = file.features
    spec = SetSpec(
        name=name, kind="features", features=features.shape[1], dtype=str(features.dtype)
    )
    clips, done, total = list(file.clips()), 0, len(features)
    tell = watch or unwatched
    with SetWriter(spec) as writer:
        writer.keep(0)  # of another file, perhaps
        tell(done, total)
        for row, values in clips:
            writer.append(row, values)
            done += len(values)
            tell(done, total)
        return writer.finish()


def _digest(row: Row, features: NDArray[Any]) -> str:
    return short_hash(repr(sorted(row.items())).encode() + features.tobytes())
