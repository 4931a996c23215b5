"""Compare claims and figures with those of an earlier commit, byte for byte.

`python -m tests.unchanged FOLDER --write` stores a baseline: a copy of `results/reference`, the
output of `rankbench claims` as CSV and JSON, and from `rankbench figures --all` every CSV and the
list of files.

`python -m tests.unchanged FOLDER` writes all of it again from the stored copy with the code of the
current checkout. It prints each file that differs with its first differing line, and exits with 1
if there is one. `--only claims` takes about a minute, `--only figures` several.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REFERENCE = Path("results") / "reference"
RANKBENCH = Path(sys.executable).with_name("rankbench")


def rankbench(*arguments: str, codes: tuple[int, ...] = (0,)) -> bytes:
    """Run a command and return its stdout.

    Raises RuntimeError for an exit code that is not in `codes`.
    """
    done = subprocess.run([str(RANKBENCH), *arguments], stdout=subprocess.PIPE)
    if done.returncode not in codes:
        raise RuntimeError(f"rankbench {' '.join(arguments)} exited with {done.returncode}")
    return done.stdout


def write_claims(results: Path, folder: Path) -> None:
    """Write the output of `rankbench claims` into `folder`, as CSV and as JSON."""
    folder.mkdir(parents=True)
    for form in ("csv", "json"):
        printed = rankbench("claims", "--results", str(results), "--format", form)
        (folder / f"claims.{form}").write_bytes(printed)


def write_figures(results: Path, folder: Path) -> None:
    """Write every CSV of `rankbench figures --all` into `folder`, and the list of all files."""
    command = ["figures", "--all", "--results", str(results), "--out", str(folder)]
    # It exits with 1 where a study, such as `plans`, has nothing to draw.
    rankbench(*command, "--workers", "1", codes=(0, 1))
    keep_csv(folder)


def keep_csv(folder: Path) -> None:
    """List the files of `folder` in files.txt, and delete those that are not CSV."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    for path in files:
        if path.suffix != ".csv":
            path.unlink()
    (folder / "files.txt").write_text("".join(f"{name}\n" for name in names))


PARTS = {"claims": write_claims, "figures": write_figures}


def differences(before: Path, after: Path) -> Iterator[str]:
    """Yield one line for each file that is not the same in both folders."""
    old, new = (
        {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        for folder in (before, after)
    )
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"{name}: no longer written"
        elif name not in old:
            yield f"{name}: new"
        elif old[name].read_bytes() != new[name].read_bytes():
            yield f"{name}: {first_difference(old[name].read_bytes(), new[name].read_bytes())}"


def first_difference(before: bytes, after: bytes) -> str:
    """The first line in which two different files differ."""
    lines = itertools.zip_longest(before.splitlines(True), after.splitlines(True))
    number, old, new = next(
        (number, old, new) for number, (old, new) in enumerate(lines, start=1) if old != new
    )
    return f"line {number}\n  - {shown(old)}\n  + {shown(new)}"


def shown(line: bytes | None) -> str:
    """A line with its line end visible; None stands for the end of the shorter file."""
    return "(end of file)" if line is None else repr(line.decode(errors="replace"))


def main() -> int:
    """Write a baseline or compare with one; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.unchanged")
    parser.add_argument("folder", type=Path, help="folder of the baseline")
    parser.add_argument("--write", action="store_true", help="write the baseline")
    parser.add_argument("--only", choices=PARTS, help="compare only this part (default: all)")
    arguments = parser.parse_args()
    baseline: Path = arguments.folder
    if arguments.write:
        shutil.copytree(REFERENCE, baseline / "results")
        for part, write in PARTS.items():
            write(baseline / "results", baseline / part)
        return 0
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in [arguments.only] if arguments.only else PARTS:
            PARTS[part](baseline / "results", Path(folder, part))
            found += differences(baseline / part, Path(folder, part))
    print("\n".join(found) if found else "nothing has changed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
