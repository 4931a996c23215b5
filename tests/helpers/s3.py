"""A real S3 server on the loopback for tests: moto's, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyarrow.fs import S3FileSystem

from tests.helpers.processes import ending, start, wait_until

BUCKET = "results"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def command() -> str:
    """The command moto_server beside this Python."""
    beside = Path(sys.executable).with_name("moto_server")
    if not beside.is_file():
        pytest.skip("no S3 server: pip install -c constraints.txt -e '.[dev]'")
    return str(beside)


@contextmanager
def serving() -> Iterator[str]:
    """host:port of a server that lives as long as the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ending():
        server = start([command(), "-H", "127.0.0.1", "-p", str(port)], limit_s=None, **quiet)
        wait_until(lambda: _answers(port), server)
        yield f"127.0.0.1:{port}"


def make_bucket(address: str) -> None:
    """Make BUCKET on the server at `address`; CREDENTIALS stand in the environment."""
    S3FileSystem(endpoint_override=address, scheme="http", allow_bucket_creation=True).create_dir(
        BUCKET
    )


def url(address: str, bucket: str = BUCKET, prefix: str = "some/where") -> str:
    """Results on the server at `address`."""
    return f"s3://{bucket}/{prefix}?endpoint_override={address}&scheme=http&region=us-east-1"


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
