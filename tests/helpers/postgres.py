"""A PostgreSQL server of the tests' own, from the system's packages, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from tests.helpers.processes import HANG_S, kill_marked, marked, new_mark, run

PASSWORD = "s3cret-Pa55"  # of every server here: it must not be seen anywhere


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl, None where there is no server."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else folders[-1].parent if folders else None


@dataclass(kw_only=True)
class Server:
    """A server on a port of its own; `start` and `stop` it as often as needed."""

    folder: Path
    programs: Path
    port: int = field(default_factory=lambda: _free_port())
    mark: str = field(default_factory=new_mark)

    def create(self) -> None:
        """Make its folder. PostgreSQL refuses to be root: then its files are another user's."""
        self.folder.chmod(0o755)
        if os.getuid() == 0:
            owner = pwd.getpwnam(_user())
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._call("initdb", "-D", self._data, "-U", "study", "-A", "md5", f"--pwfile={secret}")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        options += " -c fsync=off -c max_connections=60"
        log = str(self.folder / "log")
        self._control("-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once; connections are cut."""
        self._control("-m", "fast", "stop")

    def database(self) -> str:
        """The address of a new database."""
        name = f"d{uuid4().hex}"
        address = f"postgresql://study:{PASSWORD}@127.0.0.1:{self.port}"
        created = [str(self.programs / "psql"), f"{address}/postgres", "-qc"]
        run([*created, f"CREATE DATABASE {name}"])
        return f"{address}/{name}"

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _control(self, *arguments: str) -> None:
        self._call("pg_ctl", "-D", self._data, "-w", "-t", f"{HANG_S:.0f}", *arguments)

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        if os.getuid() == 0:
            command = ["setpriv", f"--reuid={_user()}", "--clear-groups", *command]
        with marked(self.mark):
            subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)


def served() -> Iterator[Server]:
    """A running server; skips the test where the system has none."""
    programs = binaries()
    if programs is None:
        pytest.skip("no initdb: install PostgreSQL's server, Debian's package postgresql")
    pytest.importorskip("psycopg", reason="no psycopg: pip install 'rankbench[postgres]'")
    # Not below pytest's own folder, which only its user may enter.
    with tempfile.TemporaryDirectory(prefix="rankbench-postgres-") as folder:
        server = Server(folder=Path(folder), programs=programs)
        try:
            server.create()
            server.start()
            yield server
            server.stop()
        finally:
            kill_marked(server.mark)


def _user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
