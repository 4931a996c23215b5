"""Read the pictures of a clip from a video file, from JPEG files, or from JPEGs within one file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import av
from PIL import Image

from rankbench.data.video.framing import pixel_aspect

# FFmpeg detects the format from the bytes. Only videos are allowed, because playlists can refer to
# other files and addresses.
FORMATS = "avi,mpeg,mpegvideo,mpegts,mov,mp4,matroska,webm,asf,flv,ogg,m4v"
MAX_PIXELS = 2**26  # Pixels of a frame; a header that states more is damaged.
COMPLETE = 0.9  # Share of the frames stated in the header that a complete video must have.

_TURNS = {
    1: Image.Transpose.ROTATE_90,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_270,
}

# A function that returns the picture, so that unused frames are not converted, and the aspect
# ratio of its pixels.
Shot = tuple[Callable[[], Image.Image], float]
Span = tuple[int, int]  # Offset and length in bytes.


class Media(Protocol):
    """The pictures of one clip."""

    def digest(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the source.

        Raises:
            OSError: The source cannot be read.
        """

    def shots(self) -> Iterator[Shot]:
        """Iterate over the pictures in order.

        Raises:
            ValueError: The source is damaged.
        """


@dataclass(frozen=True)
class VideoFile:
    """A clip in a video file."""

    path: Path

    def digest(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def shots(self) -> Iterator[Shot]:
        """Iterate over the frames of the first video stream."""
        try:
            yield from self._decoded()
        except av.FFmpegError as error:
            raise ValueError(f"it cannot be decoded: {error.strerror or error}") from error

    def _decoded(self) -> Iterator[Shot]:
        options = {"format_whitelist": FORMATS}
        path = str(self.path.absolute())  # FFmpeg would read "a:" in "a:b/c.avi" as a protocol.
        with av.open(path, options=options, metadata_errors="replace") as container:
            if not container.streams.video:
                raise ValueError("it contains no video")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # Every core already has a decoding process.
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            seen = 0
            for frame in container.decode(stream):
                seen += 1
                stated = stream.sample_aspect_ratio
                pixel = pixel_aspect(frame.width, frame.height, float(stated) if stated else None)
                turn = round(frame.rotation / 90) % 4
                yield partial(_upright, frame, turn), 1 / pixel if turn % 2 else pixel
            if seen < COMPLETE * stream.frames:
                raise ValueError(f"it is incomplete: {seen} of {stream.frames} frames")


def _upright(frame: av.VideoFrame, turn: int) -> Image.Image:
    """Rotate a picture as a player does, by `turn` quarters counterclockwise."""
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    return image.transpose(_TURNS[turn]) if turn else image


@dataclass(frozen=True)
class JpegFiles:
    """A clip in JPEG files, one per frame, in order."""

    paths: tuple[Path, ...]

    def digest(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the concatenated files."""
        return _digest(path.read_bytes() for path in self.paths)

    def shots(self) -> Iterator[Shot]:
        """Iterate over the pictures."""
        for path in self.paths:
            yield _shot(path.read_bytes(), path.name)


@dataclass(frozen=True)
class JpegSpans:
    """A clip in JPEG pictures within one file, in order."""

    path: Path
    spans: tuple[Span, ...]
    """Offset and length of each picture in bytes."""

    def digest(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the concatenated pictures."""
        return _digest(self._pictures())

    def shots(self) -> Iterator[Shot]:
        """Iterate over the pictures."""
        for position, data in enumerate(self._pictures()):
            yield _shot(data, f"frame {position}")

    def _pictures(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for offset, length in self.spans:
                file.seek(offset)
                yield file.read(length)


def _digest(parts: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def _shot(data: bytes, name: str) -> Shot:
    def picture() -> Image.Image:
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                image.load()
                return image
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{name} is not a complete JPEG") from error

    return picture, 1.0
