"""Locate results in a local folder or an object store, and explain connection errors."""

from __future__ import annotations

import errno
import functools
import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from pyarrow import ArrowInvalid
from pyarrow.fs import FileSystem

from rankbench.common.cache_dir import cache_folder
from rankbench.common.checks import one_of

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# A pattern in an object store's message -> the cause in plain words.
_CAUSES = {
    "NO_SUCH_BUCKET": "the bucket does not exist",
    "ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|[Cc]redential|HTTP status 403": (
        "credentials are missing or not accepted (for S3: AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY, AWS_PROFILE)"
    ),
    "NETWORK_CONNECTION|curlCode|REQUEST_TIMEOUT|resolve": "the server does not answer",
}


def is_remote(root: Path | str) -> bool:
    """Return whether `root` is the URL of an object store.

    Raises:
        ValueError: If it is a URL with an unknown scheme.
    """
    match = _URL.match(root) if isinstance(root, str) else None
    if match is None:
        return False
    one_of("the scheme of results", match[1].lower(), SCHEMES)
    return True


def study_folder(root: Path | str, study: str) -> Path:
    """Return the local folder of a study: its results' folder, or one in the cache for a URL."""
    if not is_remote(root):
        return Path(root) / study
    key = hashlib.sha256(redact_url(root).rstrip("/").encode()).hexdigest()[:16]
    return cache_folder() / "studies" / key / study


def redact_url(root: Path | str) -> str:
    """Return `root` without the credentials and options of a URL, so that it may be printed."""
    if not is_remote(root):
        return str(root)
    parts = urlsplit(str(root))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


@functools.lru_cache(maxsize=16)
def connect(root: str) -> tuple[FileSystem, str]:
    """Return the file system of a URL, and the path in it.

    For an S3 server other than Amazon's, set AWS_ENDPOINT_URL or append
    ?endpoint_override=HOST&scheme=http to the URL.

    Raises:
        ValueError: If the URL is not valid.
        OSError: If the server does not answer.
    """
    try:
        files, path = FileSystem.from_uri(root)
    except ArrowInvalid as error:
        raise ValueError(
            f"results must be a folder or a URL, got {redact_url(root)!r}: {error}"
        ) from None
    except OSError as error:
        raise failure("reached", redact_url(root), error) from error
    return files, path.rstrip("/")


def failure(done: str, place: str, error: OSError) -> OSError:
    """Return an error whose message is one line: what cannot be done with results, and why.

    Args:
        done: What cannot be done: "read", "written" or "reached".
        place: The URL of the results, without credentials.
        error: The object store's error.
    """
    text = " ".join(str(error).split())
    causes = (why for pattern, why in _CAUSES.items() if re.search(pattern, text))
    return OSError(
        error.errno or errno.EIO, f"results cannot be {done}: {next(causes, text)}", place
    )
