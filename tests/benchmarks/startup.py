"""Measure how much CPU time the commands take that only answer a question.

`python -m tests.benchmarks.startup` prints the user CPU of each command, the median of 7 processes,
and its multiple of `python -c "import numpy"`, beside the multiple that it may take. The commands
take turns, so that a load that comes and goes meets all of them. It exits with 1 where one is over.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

REPEATS = 7
NUMPY = "python -c 'import numpy'"
RANKBENCH = str(Path(sys.executable).with_name("rankbench"))
COMMANDS = {
    NUMPY: [sys.executable, "-c", "import numpy"],
    "rankbench --help": [RANKBENCH, "--help"],
    "rankbench data list": [RANKBENCH, "data", "list"],
    "rankbench status smoke": [RANKBENCH, "status", "smoke"],
    "rankbench plan smoke": [RANKBENCH, "plan", "smoke"],
}
LIMITS = {  # multiples of numpy's import
    "rankbench --help": 4,
    "rankbench data list": 10,
    "rankbench status smoke": 12,
    "rankbench plan smoke": 16,
}


def user_cpu_s(command: list[str]) -> float:
    """User CPU seconds of a command and of all processes that it waited for.

    Raises RuntimeError if the command fails.
    """
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}")
    return used.ru_utime


def measure() -> dict[str, float]:
    """The median user CPU seconds of every command."""
    for command in COMMANDS.values():
        user_cpu_s(command)  # writes the bytecode that later starts read
    rounds = [
        {name: user_cpu_s(command) for name, command in COMMANDS.items()} for _ in range(REPEATS)
    ]
    return {name: statistics.median(taken[name] for taken in rounds) for name in COMMANDS}


def main() -> int:
    """Print the table; return 1 where a command is over its limit."""
    seconds = measure()
    multiples = {name: taken / seconds[NUMPY] for name, taken in seconds.items()}
    print(f"{'command':<26}{'user CPU':>10}{'multiple':>10}{'limit':>8}")
    for name, taken in seconds.items():
        print(f"{name:<26}{taken:>8.2f} s{multiples[name]:>10.1f}{LIMITS.get(name, ''):>8}")
    return int(any(multiples[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
