"""Small Parquet files of JPEG frames: a coloured bar on noise, each class with its own motion."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HEIGHT, WIDTH = 12, 16


def jpeg(pixels: np.ndarray) -> bytes:
    """JPEG bytes of a (height, width, 3) or (height, width) uint8 picture."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=90)
    return file.getvalue()


def picture(label: int, slot: int, rng: np.random.Generator) -> np.ndarray:
    """A bright bar in the class's colour, `slot` steps along the class's direction."""
    pixels = rng.integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    bar = pixels if label % 2 else pixels.transpose(1, 0, 2)
    at = (int(rng.integers(3)) + 2 * slot) % (len(bar) - 2)
    bar[at : at + 2, :, label % 3] = 230
    return pixels


def clip_rows(
    *, classes: int = 3, groups: int = 4, clips: int = 2, frames: int = 3, seed: int = 0
) -> list[dict[str, Any]]:
    """The rows of `classes` * `groups` * `clips` clips, in order."""
    rng = np.random.default_rng(seed)
    return [
        {
            "clip_id": f"c{label}_g{group:02d}_{clip}",
            "label": label,
            "group": f"c{label}_g{group:02d}",
            "slot": slot,
            "side": "test" if group == 0 else "train",
            "jpeg": jpeg(picture(label, slot, rng)),
        }
        for label in range(classes)
        for group in range(groups)
        for clip in range(clips)
        for slot in range(frames)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    """Write rows as Parquet; the path, for chaining."""
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def write_clips(path: Path, **settings: int) -> Path:
    """Write `clip_rows(**settings)` as Parquet; the path, for chaining."""
    return write_rows(path, clip_rows(**settings))
