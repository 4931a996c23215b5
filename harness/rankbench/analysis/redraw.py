"""Redraw the figures and tables of every study in a results folder, in parallel processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rankbench.analysis.claims.evaluate import claims, table
from rankbench.analysis.claims.writers import draw as draw_claims
from rankbench.analysis.figures import catalog as figures
from rankbench.analysis.figures.media import MEDIA, shown_on
from rankbench.analysis.tables import writers as written
from rankbench.common.checks import one_of
from rankbench.common.orphan import end_with_parent
from rankbench.store.query import load, studies

# The files that were written, and the reasons why others were not.
Redrawn = tuple[list[Path], list[str]]
CLAIMS = "claims"  # The folder of the claims, which are judged on all studies together.


def redraw(
    root: Path | str, folder: Path, workers: int, medium: str = "screen"
) -> Iterator[tuple[str, Redrawn]]:
    """Write the figures and tables of every study, and the claims, in parallel processes.

    Figures are written by `figures.save`. Tables are written together to `tables.md`, and the
    numbers of each to `table_NAME.csv`. The claims become a figure and `verdicts.csv`.

    Args:
        root: the folder or address of the results.
        folder: where to write: each study to `folder`/STUDY, the claims to `folder`/claims.
        workers: the most processes to use; never more are started than there are studies.
        medium: what the figures are for, one of MEDIA.

    Yields:
        (name, files and reasons) for each study and for "claims", as soon as it is finished.
        A study whose rows allow no figure or no table gives a reason instead.

    Raises:
        ValueError: there are no results in `root`, or `medium` is not one of MEDIA.
    """
    one_of("style", medium, MEDIA)
    found = studies(root)
    if not found:
        raise ValueError(f"there are no results in {root}")
    # Start with the largest studies: one that ran last would leave the other processes idle.
    found = sorted(found, key=lambda study: -len(load(study, root=root, columns=["run_id"])))
    context, count = multiprocessing.get_context("spawn"), max(1, min(workers, len(found)))
    with ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool:
        jobs = {
            pool.submit(_for, medium, redraw_study, one, root, folder / one): one for one in found
        }
        jobs[pool.submit(_for, medium, redraw_claims, root, folder / CLAIMS)] = CLAIMS
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def _for(medium: str, write: Callable[..., Redrawn], *arguments: Any) -> Redrawn:
    with shown_on(medium):
        return write(*arguments)


def redraw_study(study: str, root: Path | str, folder: Path) -> Redrawn:
    """Write the figures and tables of one study to `folder`.

    Returns:
        The paths written, and a reason for each kind (figures, tables) that its rows do not
        allow.
    """
    paths, reasons = [], []
    for write in (_figures, _tables):
        try:
            paths += write(study, root, folder)
        except ValueError as error:
            reasons.append(str(error))
    return paths, reasons


def _figures(study: str, root: Path | str, folder: Path) -> list[Path]:
    return figures.save(figures.draw(study, root), folder)


def _tables(study: str, root: Path | str, folder: Path) -> list[Path]:
    found = written.tables_of(study, root=root)
    paths = [folder / "tables.md"]
    written.write(found, paths[0])
    for name, sheet in found.items():
        paths.append(folder / f"table_{name}.csv")
        written.write({name: sheet}, paths[-1])
    return paths


def redraw_claims(root: Path | str, folder: Path) -> Redrawn:
    """Write the verdict on every claim to `folder`, as a figure and as `verdicts.csv`.

    Returns:
        The paths written, and no reasons: the claims can always be judged.
    """
    judged = claims(root)
    paths = draw_claims(judged, folder)
    table(judged).to_csv(folder / "verdicts.csv", index=False)
    return [*paths, folder / "verdicts.csv"], []
