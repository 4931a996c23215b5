"""Processes that tests start end with their block: daemons, stopped, deaf and hung ones alike."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Event

import psutil
import pytest

from tests.helpers import processes
from tests.helpers.processes import ending, is_alive, run, spawn, start, wait_until

_TREE = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:  # a daemon: its parent ends at once, and it leads a session of its own
    if os.fork() == 0:
        os.setsid()
        print(os.getpid(), flush=True)
        time.sleep(3600)
    os._exit(0)
os.wait()
bare = {"PATH": os.environ["PATH"]}  # a child that did not inherit the mark
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], env=bare)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


def python(program: str) -> Sequence[str]:
    return [sys.executable, "-c", program]


def test_a_tree_of_processes_ends_with_its_block() -> None:
    with ending():
        process = start(python(_TREE), stdout=subprocess.PIPE, text=True)
        family = [psutil.Process(int(process.stdout.readline())) for _ in range(2)]
        family.append(psutil.Process(process.pid))
        assert all(map(is_alive, family))
    assert not any(map(is_alive, family))
    assert process.returncode == -9


def test_it_ends_with_a_failing_block_and_those_from_before_stay() -> None:
    outer = start(python("import time; time.sleep(3600)"))
    started = []

    def fail() -> None:
        with ending():
            started.append(start(python("import time; time.sleep(3600)")))
            raise ValueError("the test fails")

    with pytest.raises(ValueError, match="the test fails"):
        fail()
    [inner] = started
    assert inner.returncode == -9
    assert outer.poll() is None


def test_a_hung_process_is_killed_and_its_wait_ends() -> None:
    process = start(python("import time; time.sleep(3600)"), limit_s=0.1, stdout=subprocess.PIPE)
    assert process.stdout.read() == b""
    assert process.wait() == -9


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_it_dies_with_the_process_that_runs_the_tests() -> None:
    program = (
        "import sys, time\nfrom tests.helpers.processes import start\n"
        "print(start([sys.executable, '-c', 'import time; time.sleep(3600)']).pid, flush=True)\n"
        "time.sleep(3600)"
    )
    tests = start(python(program), stdout=subprocess.PIPE, text=True)
    below = psutil.Process(int(tests.stdout.readline()))
    tests.kill()
    wait_until(lambda: not is_alive(below))


def test_output_and_failures_of_a_command() -> None:
    assert run(python("print('said')")) == "said\n"
    failing = python("import sys; print('told'); sys.exit('the reason')")
    assert run(failing, check=False) == "told\n"
    with pytest.raises(AssertionError, match="exit code 1: the reason"):
        run(failing)


def sleep(entered: Event) -> None:
    entered.set()
    time.sleep(3600)


def test_a_spawned_function_ends_with_its_block() -> None:
    entered = multiprocessing.get_context("spawn").Event()
    with ending():
        process = spawn(sleep, entered)
        assert entered.wait(processes.HANG_S)
    assert process.exitcode == -9


def test_a_wait_ends_with_a_process_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    process = start(python("pass"))
    with pytest.raises(AssertionError, match="ended before what the test waits for"):
        wait_until(lambda: False, process)
    monkeypatch.setattr(processes, "HANG_S", 0.1)
    with pytest.raises(AssertionError, match=r"did not hold within 0\.1 s"):
        wait_until(lambda: False)


_LEAVING = """
import multiprocessing, os, subprocess, sys, time
from tests.helpers import processes
from tests.engine.test_engine import run
os.environ[processes.MARK] = processes.SESSION
os.environ["PYTEST_CURRENT_TEST"] = "the test that leaves it"
processes._GRACE_S = 0.0
assert run("done").status == "done"
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
forked = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(3600,))
forked.start()
told = processes.left_over()
assert len(told) == 2, told
[line] = [line for line in told if line.startswith(f"process {left.pid} of")]
assert line.startswith(f"process {left.pid} of the test that leaves it: {sys.executable} -c"), line
assert left.wait() == -9
forked.join()
assert processes.left_over() == []
"""


def test_what_a_session_leaves_is_named_and_killed() -> None:
    """The servers of multiprocessing, which runs are forked from, are not left but stopped."""
    run(python(_LEAVING))
