"""Read the index of a frames file, without its pictures, and choose the frames to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankbench.data.where import Where, matching

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("clip_id", "label", "group", "slot")
COLUMNS = (*KEYS, "jpeg")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How a frames file is decoded, and which of its rows are used."""

    height: int
    """Height of a decoded picture in pixels."""
    width: int
    """Width of a decoded picture in pixels."""
    channels: int
    """1 for grey values, 3 for colours."""
    time_steps: int | None = None
    """Frames of a clip, spread evenly over those it has; None uses all."""
    where: Where = ()
    """Pairs of a column and the value that a row must have."""

    @property
    def features(self) -> int:
        """Bytes of one decoded frame."""
        return self.height * self.width * self.channels


def frame_index(path: Path, decoding: Decoding) -> pd.DataFrame:
    """Read all columns except jpeg of the frames to use; every clip has equally many.

    If several rows have the same clip_id and slot, the first one counts.

    Returns:
        A frame sorted by clip and slot, whose index is the row in the file.

    Raises:
        ValueError: The file, its columns or its clips cannot be used.
    """
    index = every_frame(path, decoding.where)
    return index[_chosen(index, decoding.time_steps)]


def every_frame(path: Path, where: Where = ()) -> pd.DataFrame:
    """Read all columns except jpeg of all frames; clips may have different lengths.

    Args:
        path: The file.
        where: Pairs of a column and the value that a row must have.

    Raises:
        ValueError: The file or its columns cannot be used.
    """
    table = _read(path)
    index: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    index = index[matching(table, where)]
    for name in KEYS:
        empty = index.index[index[name].isna()]
        if len(empty):
            raise ValueError(f"frames file {path}: column {name!r} is empty in row {empty[0]}")
    return index.drop_duplicates(["clip_id", "slot"]).sort_values(["clip_id", "slot"])


def unreadable(path: Path, error: Exception) -> ValueError:
    """Make the error for a file that is not valid Parquet, in one line."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ValueError(f"frames file {path} cannot be read as Parquet: {reason}")


def _read(path: Path) -> pa.Table:
    """Read all columns except the pictures."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(path, file.schema_arrow)
            table = file.read(columns=[name for name in names if name != "jpeg"])
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):  # It would sort by code instead of by value.
            decoded = table.column(position).cast(field.type.value_type)
            table = table.set_column(position, field.name, decoded)
    return table


def _check_columns(path: Path, schema: pa.Schema) -> None:
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise ValueError(
            f"frames file {path} has no column {', '.join(missing)};"
            f" it needs {', '.join(COLUMNS)}; it has {', '.join(schema.names)}"
        )
    for name in ("label", "slot"):
        kind = schema.field(name).type
        if not pa.types.is_integer(kind):
            raise ValueError(
                f"frames file {path}: {name} must contain integers, it contains {kind}"
            )
    kind = schema.field("jpeg").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise ValueError(f"frames file {path}: jpeg must contain bytes, it contains {kind}")


def _chosen(index: pd.DataFrame, time_steps: int | None) -> NDArray[np.bool_]:
    """Return a mask of the `time_steps` frames of each clip; raise ValueError for a short clip."""
    clips = index.groupby("clip_id")
    have = clips["slot"].transform("size").to_numpy()
    wanted = time_steps or int(have.max())
    short = int(have.argmin())
    if have[short] < wanted:
        rule = f"but task.time_steps is {wanted}"
        if not time_steps:
            rule = f"but others have {wanted}; set task.time_steps to at most {have[short]}"
        raise ValueError(f"clip {index['clip_id'].iloc[short]} has {have[short]} frames, {rule}")
    steps = np.arange(wanted)
    spread = steps * (have[:, None] - 1) // max(wanted - 1, 1)
    position = clips.cumcount().to_numpy()
    chosen: NDArray[np.bool_] = (position[:, None] == spread).any(axis=1)
    return chosen
