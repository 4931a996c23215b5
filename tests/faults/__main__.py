"""`python -m tests.faults`: every fault, and the table of what was found after each."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console

from rankbench.common.exit_codes import DONE, FAILED
from tests.faults.report import Verdict, judge, table
from tests.faults.scenarios import SCENARIOS, SHARED
from tests.helpers.postgres import Server, served

_CROWD = 2000  # trivial runs
_FEW = 6  # times that the slower faults happen


def main() -> int:
    """Run the scenarios; 0 when all ended clean."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    names = [*SCENARIOS, *SHARED]
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(names))
    parser.add_argument("--kills", type=int, default=200, help="random moments of kill -9")
    parser.add_argument("--runs", type=int, default=_CROWD, help="trivial runs of a crowd")
    parser.add_argument("--times", type=int, default=1, help="rounds, each with seeds of its own")
    arguments = parser.parse_args()
    console, verdicts = Console(), list[Verdict]()
    with contextlib.contextmanager(_server)(arguments.faults or names) as server:
        for round_ in range(arguments.times):
            for name in arguments.faults or names:
                verdicts.append(_judge(name, round_, arguments, server))
                console.print(f"{name}: {verdicts[-1].audit}")
    console.print(table(verdicts))
    return DONE if all(verdict.audit.clean for verdict in verdicts) else FAILED


def _judge(name: str, round_: int, arguments: argparse.Namespace, server: Server | None) -> Verdict:
    count = arguments.kills if "kill" in name else min(arguments.kills, _FEW)
    points = arguments.runs if "crowd" in name else max(60, 6 * count)
    shared = server if name in SHARED else None
    return judge(name, points=points, count=count, seed=round_, server=shared)


def _server(names: list[str]) -> Iterator[Server | None]:
    """A PostgreSQL server where one of the faults needs it."""
    if not SHARED.keys() & set(names):
        yield None
        return
    yield from served()


if __name__ == "__main__":
    sys.exit(main())
