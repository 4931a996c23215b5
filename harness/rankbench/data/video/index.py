"""Which frames a file of clips holds and which of them are used, without the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankbench.data.where import Where, matching

KEYS = ("clip_id", "label", "group", "slot")
COLUMNS = (*KEYS, "jpeg")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """What is taken from a file of frames: size of a picture, steps of a clip, which rows.

    `height`, `width` in pixels, `channels` 1 (grey) or 3. `time_steps`: frames of a clip, evenly
    spread over those it has, the first and the last among them; None takes all. `where`:
    (column, value) pairs that a row must match.
    """

    height: int
    width: int
    channels: int
    time_steps: int | None = None
    where: Where = ()

    @property
    def features(self) -> int:
        """Bytes of one decoded frame."""
        return self.height * self.width * self.channels


def frame_index(path: Path, decoding: Decoding) -> pd.DataFrame:
    """All columns but jpeg of every frame to use, ordered by clip and slot.

    The frame's index label is its row in the file. Of several rows with the same clip_id and
    slot the first counts. Every clip has the same number of frames.

    Raises ValueError for a file, columns or clips that cannot be used.
    """
    index = every_frame(path, decoding.where)
    return index[_chosen(index, decoding.time_steps)]


def every_frame(path: Path, where: Where = ()) -> pd.DataFrame:
    """As `frame_index`, all frames of clips that may have more or fewer."""
    table = _read(path)
    index: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    index = index[matching(table, where)]
    for name in KEYS:
        empty = index.index[index[name].isna()]
        if len(empty):
            raise ValueError(f"frames file {path}: column {name!r} is empty in row {empty[0]}")
    return index.drop_duplicates(["clip_id", "slot"]).sort_values(["clip_id", "slot"])


def unreadable(path: Path, error: Exception) -> ValueError:
    """The one-line error for a file that is not whole Parquet."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ValueError(f"frames file {path} cannot be read as Parquet: {reason}")


def _read(path: Path) -> pa.Table:
    """Every column but the pictures."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(path, file.schema_arrow)
            table = file.read(columns=[name for name in names if name != "jpeg"])
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):  # orders by code; values are what is meant
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
            raise ValueError(f"frames file {path}: {name} must hold integers, it holds {kind}")
    kind = schema.field("jpeg").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise ValueError(f"frames file {path}: jpeg must hold bytes, it holds {kind}")


def _chosen(index: pd.DataFrame, time_steps: int | None) -> NDArray[np.bool_]:
    """Whether a frame is among the `time_steps` of its clip; all must have that many."""
    clips = index.groupby("clip_id")
    have = clips["slot"].transform("size").to_numpy()
    wanted = time_steps or int(have.max())
    short = int(have.argmin())
    if have[short] < wanted:
        rule = f"task.time_steps asks for {wanted}"
        if not time_steps:
            rule = f"others have {wanted}; set task.time_steps to at most {have[short]}"
        raise ValueError(f"clip {index['clip_id'].iloc[short]} has {have[short]} frames, {rule}")
    steps = np.arange(wanted)
    spread = steps * (have[:, None] - 1) // max(wanted - 1, 1)
    position = clips.cumcount().to_numpy()
    chosen: NDArray[np.bool_] = (position[:, None] == spread).any(axis=1)
    return chosen
