"""Processes that a killed command had started end with it, at work, idle or hung."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.paths import ROOT
from tests.helpers.processes import is_alive, start, wait_until

_DRAW = """
import sys, time
from pathlib import Path
from rankbench.analysis.redraw import redraw
from tests.helpers.frames import block_term, store_runs
folder = Path(sys.argv[1])
for study in ("one", "two"):
    store_runs(folder, study, [block_term(1, 1, d, num_params=100 * d) for d in (1, 2)])
for _ in redraw(folder, folder / "figures", 2):
    print("at work", flush=True)
    time.sleep(3600)
"""
_DECODE = """
import sys
from pathlib import Path
from rankbench.data.video.decoders import Job, decode_in_order
from rankbench.data.video.framing import Framing
from tests.engine.test_orphan import Hanging
job = Job(media=Hanging(), target=Path(sys.argv[1]) / "frames")
list(decode_in_order([job, job], Framing(), workers=2, time_limit_s=3600.0))
"""


class Hanging:
    """A clip whose decoder says that it is at work, and never answers."""

    def shots(self) -> Iterator[Any]:
        os.write(sys.stdout.fileno(), b"at work\n")
        time.sleep(3600)
        yield from ()


@pytest.mark.parametrize("program", [_DRAW, _DECODE], ids=["figures", "decoding"])
def test_workers_die_with_a_killed_command(tmp_path: Path, program: str) -> None:
    command = [sys.executable, "-c", program, str(tmp_path)]
    process = start(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "at work\n"
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 2
    process.kill()
    wait_until(lambda: not any(map(is_alive, below)))
