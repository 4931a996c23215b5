"""Every figure and table of every study in a results folder, written anew by several processes."""

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

Redrawn = tuple[list[Path], list[str]]  # what was written, and why something was not
CLAIMS = "claims"  # what is written beside the studies, from all of them


def redraw(
    root: Path | str, folder: Path, workers: int, medium: str = "screen"
) -> Iterator[tuple[str, Redrawn]]:
    """Write each study's figures and tables into `folder`/STUDY, and the claims; yield as done.

    Figures as `figures.save` writes them, tables as tables.md and the numbers of each as
    table_NAME.csv, claims as a figure and the verdicts. A study may have neither.

    `medium`: one of MEDIA, what the figures are for.

    Raises ValueError where there are no results, and for another medium.
    """
    one_of("style", medium, MEDIA)
    found = studies(root)
    if not found:
        raise ValueError(f"there are no results in {root}")
    # Those with most runs first: one of them alone at the end would leave the others idle.
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
    """Write the figures and tables of one study; where its rows allow none, the reason."""
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
    """Write the verdict on every claim, as a table and as a figure."""
    judged = claims(root)
    paths = draw_claims(judged, folder)
    table(judged).to_csv(folder / "verdicts.csv", index=False)
    return [*paths, folder / "verdicts.csv"], []
