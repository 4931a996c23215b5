"""Where results lie: a local folder, or a URL of an object store; and one line when it fails."""

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
# What a store's long message says -> what a person can do about it.
_CAUSES = {
    "NO_SUCH_BUCKET": "the bucket does not exist",
    "ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|[Cc]redential|HTTP status 403": (
        "credentials are missing or not accepted (for S3: AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY, AWS_PROFILE)"
    ),
    "NETWORK_CONNECTION|curlCode|REQUEST_TIMEOUT|resolve": "the server does not answer",
}


def is_remote(root: Path | str) -> bool:
    """Whether `root` is a URL of an object store.

    Raises ValueError for a URL of another kind.
    """
    match = _URL.match(root) if isinstance(root, str) else None
    if match is None:
        return False
    one_of("the scheme of results", match[1].lower(), SCHEMES)
    return True


def study_folder(root: Path | str, study: str) -> Path:
    """The local folder of a study: among its results, or in the cache where these are remote."""
    if not is_remote(root):
        return Path(root) / study
    key = hashlib.sha256(redact_url(root).rstrip("/").encode()).hexdigest()[:16]
    return cache_folder() / "studies" / key / study


def redact_url(root: Path | str) -> str:
    """`root` as it may be printed: without the keys and options that a URL can carry."""
    if not is_remote(root):
        return str(root)
    parts = urlsplit(str(root))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


@functools.lru_cache(maxsize=16)
def connect(root: str) -> tuple[FileSystem, str]:
    """The file system of a URL, and the path in it.

    An S3 server of one's own is named by AWS_ENDPOINT_URL or ?endpoint_override=HOST&scheme=http.

    Raises ValueError for a URL that cannot be understood, OSError where nothing answers.
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
    """One line: the results at `place` cannot be read or written, and why."""
    text = " ".join(str(error).split())
    known = (why for pattern, why in _CAUSES.items() if re.search(pattern, text))
    return OSError(
        error.errno or errno.EIO, f"results cannot be {done}: {next(known, text)}", place
    )
