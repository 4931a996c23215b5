"""Where the pictures of a clip come from: a video file, JPEG files, or JPEGs in one file."""

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

# A file is read as what its bytes say it is, but only if that is a video: no playlist, no text.
FORMATS = "avi,mpeg,mpegvideo,mpegts,mov,mp4,matroska,webm,asf,flv,ogg,m4v"
MAX_PIXELS = 2**26  # of a frame; more is a damaged header
COMPLETE = 0.9  # a video with fewer of the frames its header counts is cut short

_TURNS = {
    1: Image.Transpose.ROTATE_90,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_270,
}

# Makes the picture; a frame that is not used is not converted. The aspect of its pixels.
Shot = tuple[Callable[[], Image.Image], float]
Span = tuple[int, int]  # offset and length in bytes


class Media(Protocol):
    """The pictures of one clip."""

    def digest(self) -> str:
        """SHA-256 of the source's bytes, first 16 hex digits; OSError if it cannot be read."""

    def shots(self) -> Iterator[Shot]:
        """Every picture in order; ValueError for a source that is damaged."""


@dataclass(frozen=True)
class VideoFile:
    """A video file."""

    path: Path

    def digest(self) -> str:
        """SHA-256 of the file, first 16 hex digits."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def shots(self) -> Iterator[Shot]:
        """Every frame of the first video stream."""
        try:
            yield from self._decoded()
        except av.FFmpegError as error:
            raise ValueError(f"it cannot be decoded: {error.strerror or error}") from error

    def _decoded(self) -> Iterator[Shot]:
        options = {"format_whitelist": FORMATS}
        path = str(self.path.absolute())  # FFmpeg takes "a:b/c.avi" for a protocol
        with av.open(path, options=options, metadata_errors="replace") as container:
            if not container.streams.video:
                raise ValueError("it holds no video")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # a process a core: threads would only get in the way
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            seen = 0
            for frame in container.decode(stream):
                seen += 1
                stated = stream.sample_aspect_ratio
                pixel = pixel_aspect(frame.width, frame.height, float(stated) if stated else None)
                turn = round(frame.rotation / 90) % 4
                yield partial(_upright, frame, turn), 1 / pixel if turn % 2 else pixel
            if seen < COMPLETE * stream.frames:
                raise ValueError(f"it is cut short: {seen} of {stream.frames} frames")


def _upright(frame: av.VideoFrame, turn: int) -> Image.Image:
    """The picture as a player shows it, `turn` quarters counterclockwise."""
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    return image.transpose(_TURNS[turn]) if turn else image


@dataclass(frozen=True)
class JpegFiles:
    """JPEG files, one a frame, in order."""

    paths: tuple[Path, ...]

    def digest(self) -> str:
        """SHA-256 of the files one after the other, first 16 hex digits."""
        return _digest(path.read_bytes() for path in self.paths)

    def shots(self) -> Iterator[Shot]:
        """Every picture."""
        for path in self.paths:
            yield _shot(path.read_bytes(), path.name)


@dataclass(frozen=True)
class JpegSpans:
    """JPEG pictures within one file, in order."""

    path: Path
    spans: tuple[Span, ...]

    def digest(self) -> str:
        """SHA-256 of the pictures one after the other, first 16 hex digits."""
        return _digest(self._pictures())

    def shots(self) -> Iterator[Shot]:
        """Every picture."""
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
            raise ValueError(f"{name} is not a whole JPEG") from error

    return picture, 1.0
