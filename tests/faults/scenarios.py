"""The faults, one function each: it disturbs a study and returns how often it did."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from rankbench.engine.queue import JOURNAL
from tests.faults.place import Place
from tests.faults.task import MISHAPS


def kills(place: Place, count: int) -> int:
    """kill -9 of the study's process (one in four), or of any process below it."""
    process = place.start()
    for number in range(count):
        while not place.wait_for_more(process):
            if process.returncode == 0:
                return number
            process = _again(place, process)
        time.sleep(place.rng.uniform(0.0, 0.1))
        if number % 4 == 0:
            process.kill()
        else:
            _kill_one_below(place, process)
    _again(place, process).communicate()
    return count


def torn_journal(place: Place, count: int) -> int:
    """The journal cut anywhere, with or without garbage after it, while nobody runs the study."""
    for number in range(count):
        _run_for_a_while(place)
        journal = place.runs.parent / JOURNAL
        whole = journal.read_bytes()
        torn = whole[: place.rng.randrange(len(whole))]
        journal.write_bytes(torn + (b'{"op_code": 4, \x00\xff' if number % 2 else b""))
    return count


def damaged_fragments(place: Place, count: int) -> int:
    """Rows of runs cut short, emptied, or with one bit flipped."""
    _run_for_a_while(place)
    fragments = sorted(place.runs.glob("[!.]*.parquet"))
    chosen = place.rng.sample(fragments, min(count, len(fragments)))
    for number, path in enumerate(chosen):
        path.write_bytes(_damaged(place, path.read_bytes(), number))
    return len(chosen)


def full_disk(place: Place, count: int) -> int:
    """A disk that is full after some runs, and has room again later."""
    place.folder.mkdir(parents=True, exist_ok=True)
    for size in range(1, count + 1):
        _mount(place.folder, f"size={256 * size}k")
        process = place.start()
        told, _ = process.communicate()
        assert process.returncode == 1, told
        assert "No space left on device" in told, told
    _mount(place.folder, "size=256m")
    return count


def stepping_clock(place: Place, count: int) -> int:
    """A wall clock that jumps by up to a day at every look, through `count` kills."""
    for _ in range(count):
        process = place.start(clock=True)
        place.wait_for_more(process)
        time.sleep(place.rng.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
    return count


def unruly_runs(place: Place, count: int) -> int:
    """Runs that hang, eat memory, or leave a daemon behind; the study goes on beside them."""
    place.settings |= {"task": {"unruly": True}, "time_limit_s": 60.0, "memory_limit_gb": 1.0}
    place.hopeless = sum(status != "done" for _, status in MISHAPS.values())
    process = place.start()
    told, _ = process.communicate()
    assert "measured" in told, told
    return 3


def crowd(place: Place, count: int) -> int:
    """Nothing but eight workers at once; on PostgreSQL eight processes of one."""
    place.sleep_s = 0.0
    if place.server is None:
        place.workers = 8
        return 0
    place.workers = 1
    for process in [place.start() for _ in range(8)]:
        process.communicate()
    return 0


def killed_workers(place: Place, count: int) -> int:
    """Three processes work on one study; kill -9 of any of them, and another in its place."""
    place.sleep_s = 0.3  # so that the study outlives the kills
    processes = [place.start() for _ in range(3)]
    done = 0
    while done < count:
        chosen = place.rng.randrange(len(processes))
        if not place.wait_for_more(processes[chosen]) and processes[chosen].returncode == 0:
            break
        time.sleep(place.rng.uniform(0.0, 0.3))
        processes[chosen].kill()
        processes[chosen].communicate()
        processes[chosen] = place.start()
        done += 1
    for process in processes:
        process.communicate()
    return done


def restarted_server(place: Place, count: int) -> int:
    """PostgreSQL is stopped under two processes, and comes back some seconds later."""
    assert place.server is not None
    processes = [place.start() for _ in range(2)]
    for _ in range(count):
        place.wait_for_more(processes[0])
        place.server.stop()
        time.sleep(place.rng.uniform(0.0, 3.0))
        place.server.start()
    for process in processes:
        process.communicate()
    return count


def _again(place: Place, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """The study's next process, once the last one and all below it are gone."""
    process.kill()
    process.communicate()
    left = place.clear()
    assert not left, f"{left} processes outlived the study's"
    return place.start()


def _run_for_a_while(place: Place) -> None:
    process = place.start()
    for _ in range(place.rng.randrange(3, 12)):
        place.wait_for_more(process)
    process.kill()
    process.communicate()


def _kill_one_below(place: Place, process: subprocess.Popen[str]) -> None:
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        place.rng.choice(below).send_signal(signal.SIGKILL)
    except (psutil.Error, IndexError):
        pass  # it was between two runs


def _damaged(place: Place, whole: bytes, number: int) -> bytes:
    match number % 3:
        case 0:
            return whole[: place.rng.randrange(1, len(whole))]
        case 1:
            return b""
    flipped = bytearray(whole)
    flipped[place.rng.randrange(len(whole))] ^= 1 << place.rng.randrange(8)
    return bytes(flipped)


def _mount(folder: Path, options: str) -> None:
    """A file system in memory at `folder`, or another size for the one that is there."""
    again = ["-o", f"remount,{options}"] if os.path.ismount(folder) else ["-o", options]
    subprocess.run(["mount", "-t", "tmpfs", *again, "tmpfs", str(folder)], check=True)


SCENARIOS: dict[str, Callable[[Place, int], int]] = {
    "kills": kills,
    "torn journal": torn_journal,
    "damaged fragments": damaged_fragments,
    "full disk": full_disk,
    "stepping clock": stepping_clock,
    "unruly runs": unruly_runs,
    "crowd": crowd,
}
SHARED: dict[str, Callable[[Place, int], int]] = {
    "killed workers, PostgreSQL": killed_workers,
    "restarted PostgreSQL": restarted_server,
    "crowd, PostgreSQL": crowd,
}
