"""`python -m tests.faults`: every fault, and the table of what was found after each."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from harness.exits import DONE, FAILED
from tests.faults.report import Verdict, judge, table
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Run the scenarios; 0 when all ended clean."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="FAULT", help=", ".join(SCENARIOS))
    parser.add_argument("--kills", type=int, default=200, help="random moments of kill -9")
    parser.add_argument("--times", type=int, default=1, help="rounds, each with seeds of its own")
    arguments = parser.parse_args()
    console, verdicts = Console(), list[Verdict]()
    for round_ in range(arguments.times):
        for name in arguments.scenarios or SCENARIOS:
            count = arguments.kills if name in ("kills", "crowd") else min(arguments.kills, 6)
            verdicts.append(judge(name, points=max(60, 6 * count), count=count, seed=round_))
            console.print(f"{name}: {verdicts[-1].audit}")
    console.print(table(verdicts))
    return DONE if all(verdict.audit.clean for verdict in verdicts) else FAILED


if __name__ == "__main__":
    sys.exit(main())
