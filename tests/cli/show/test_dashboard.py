"""The dashboard: on this machine alone, a copy to read, ended by Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankbench.cli.main import main
from rankbench.cli.show import dashboard
from tests.helpers.processes import HANG_S, start
from tests.store.test_export import yaml_of

NEEDED = "optuna-dashboard is not installed"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("optuna_dashboard", reason=NEEDED)
    command = [sys.executable, "-m", "rankbench", "status", yaml_of(tmp_path)]
    process = start([*command, "--dashboard", "--port", "0"], stdout=subprocess.PIPE, text=True)
    lines = iter(process.stdout.readline, "")
    found = (re.search(r"2 trials at (http://127\.0\.0\.1:\d+)/", line) for line in lines)
    yield next(match[1] for match in found if match)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def fetch(url: str, method: str = "GET", **headers: str) -> Any:
    request = urllib.request.Request(url, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=HANG_S) as answer:
        return json.load(answer)


def test_it_serves_the_trials_to_this_address_alone(address: str) -> None:
    [study] = fetch(f"{address}/api/studies")["study_summaries"]
    assert study["study_name"] == "s"
    number = f"{address}/api/studies/{study['study_id']}"
    assert len(fetch(f"{number}?after=0")["trials"]) == 2
    port = int(address.rpartition(":")[2])
    for elsewhere in ("127.0.0.2", socket.gethostname()):
        if elsewhere != socket.gethostname() or resolves_elsewhere(elsewhere):
            with pytest.raises(OSError):
                socket.create_connection((elsewhere, port), timeout=5)
    for method, headers, code in (("DELETE", {}, 405), ("GET", {"Host": "evil.example"}, 403)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(number, method, **headers)
        assert refused.value.code == code
        refused.value.close()
    assert len(fetch(f"{number}?after=0")["trials"]) == 2


def resolves_elsewhere(name: str) -> bool:
    try:
        return socket.gethostbyname(name) != dashboard.HOST
    except OSError:
        return False


def test_without_the_package_what_to_install_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)  # as if it were not installed
    assert main(["status", yaml_of(tmp_path), "--dashboard"]) == 2
    assert "pip install 'rankbench[dashboard]'" in capsys.readouterr().err
