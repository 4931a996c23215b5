"""Small videos whose frames tell their number by their grey level, and folders of them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 32, 24
FRAMES = 8


def level(clip: int, frame: int) -> int:
    """The grey of a frame, far from that of the frames beside it."""
    return 20 + (25 * frame + 3 * clip) % 200


def write_video(
    path: Path, clip: int = 0, frames: int = FRAMES, width: int = WIDTH, height: int = HEIGHT
) -> Path:
    """A video of grey frames, MPEG-4 in what the suffix says; the path, for chaining."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video" if path.suffix == ".mpg" else "mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            pixels = np.full((height, width, 3), level(clip, number), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return path


def write_folder(root: Path, clips: int = 6, frames: int = FRAMES) -> Path:
    """`clips` videos as UCF11 lies: two classes, two clips a group."""
    for clip in range(clips):
        cls, group = ("diving", "biking")[clip % 2], f"v_{clip % 2}_{clip // 4:02d}"
        write_video(root / cls / group / f"v_{clip:02d}.avi", clip, frames)
    return root


def levels(rows: np.ndarray) -> list[int]:
    """The grey level of each stored frame."""
    return [round(float(row.mean())) for row in rows]
