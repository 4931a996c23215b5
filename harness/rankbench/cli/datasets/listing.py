"""`rankbench data list`: list the stored data sets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_json
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen


def list_sets(arguments: argparse.Namespace) -> int:
    """Print the stored sets; the exit code is 1 if a set is damaged."""
    from rankbench.data.sets import catalog

    found, problems = [], []
    for name in catalog.names():
        try:
            found.append(_facts(name))
        except ValueError as error:
            problems.append(str(error))
    folder = str(catalog.sets_folder())
    if arguments.json:
        from rankbench.cli.show.json import print_json

        print_json({"folder": folder, "sets": found, "damaged": problems})
    else:
        _print(Screen(), found, problems, folder)
    return FAILED if problems else DONE


def _facts(name: str) -> dict[str, Any]:
    from rankbench.data.sets import catalog

    array, index = catalog.open_set(name)
    told = catalog.metadata(index)
    return {
        "name": name,
        "kind": told["kind"],
        "clips": len(index),
        "rows": told["shape"][0],
        "features": told["shape"][1],
        **{key: told.get(key) for key in ("width", "height", "channels")},
        "skipped": len(catalog.skipped(index)),
        "bytes": array.nbytes,
        "hash": told["data_hash"],
    }


def _print(
    console: Screen, found: Sequence[dict[str, Any]], problems: Sequence[str], folder: str
) -> None:
    from rankbench.common.table import TerminalTable

    table = TerminalTable("set", "kind", box=None, drop=("hash", "skipped", "clips"))
    table.add_numbers("clips", "rows", "of", "skipped", "size", "hash")
    for one in found:
        pictures = one["kind"] in ("frames", "images")
        of = "{width}x{height}x{channels}" if pictures else "{features} features"
        counts = [f"{one['clips']:,}", f"{one['rows']:,}", of.format(**one), str(one["skipped"])]
        size = f"{one['bytes'] / 1e6:,.1f} MB"
        table.add_row(one["name"], one["kind"], *counts, size, one["hash"])
    console.print(table if found else "no set is stored")
    console.print(f"folder: {folder}", soft_wrap=True)
    for problem in problems:
        console.print(problem, soft_wrap=True)


COMMAND = Command(
    name="list",
    help="Show the stored sets, with sizes and hashes.",
    examples=("rankbench data list", "rankbench data list --json | jq '.sets[].name'"),
    add_options=add_json,
    execute=list_sets,
)
