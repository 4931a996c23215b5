"""The notebooks run from top to bottom, with results and without, and draw their figures."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from rankbench.common.orphan import end_with_parent
from tests.helpers.frames import (
    Row,
    block_term,
    bt_lstm,
    epochs,
    lstm,
    ring,
    run,
    store_runs,
    weights,
)
from tests.helpers.paths import REFERENCE, ROOT
from tests.helpers.processes import HANG_S

NOTEBOOKS = ROOT / "analysis"
TARGET = np.eye(4)


def execute(name: str, roots: list[Path], monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """The outputs of a notebook for each folder of results, one kernel for all of them."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "harness"))
    stored = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    whole = new_notebook(metadata=stored.metadata)
    for root in roots:
        setting = f"import os; os.environ['RANKBENCH_RESULTS'] = {str(root)!r}"
        whole.cells += [new_code_cell(setting), *deepcopy(stored.cells)]
    place = {"metadata": {"path": str(NOTEBOOKS)}}
    patience = {"timeout": int(HANG_S), "startup_timeout": int(HANG_S)}
    NotebookClient(whole, kernel_name="python3", resources=place, **patience).execute()
    each = len(whole.cells) // len(roots)
    return [outputs(whole.cells[k * each : (k + 1) * each]) for k in range(len(roots))]


def outputs(cells: list[Any]) -> list[Any]:
    return [output for cell in cells for output in cell.get("outputs", [])]


def write_results(root: Path) -> None:
    """A few runs of every study the notebooks draw."""
    counted = {1: 1048577, 2: 2049, 3: 321}
    store_runs(root, "params", [block_term(1, 1, d, num_params=p) for d, p in counted.items()])
    store_runs(root, "recovery-bt", *_recovered([block_term(4, num_params=528, rmse=0.2)]))
    least = {"decomposition": "dense", "learner": "least_squares"}
    sweep = [run(**least, rmse=noise, noise=noise) for noise in (0.05, 0.2)]
    sweep += [ring(5, num_params=400, rmse=noise / 2, noise=noise) for noise in (0.05, 0.2)]
    store_runs(root, "recovery-tr", *_recovered(sweep))
    clips = [lstm(0.6), bt_lstm(4, 3392, 0.8)]
    curve = [r for row in clips for r in epochs(row, train_loss=[1.0, 0.5], accuracy=[0.2, 0.6])]
    store_runs(root, "ucf11", clips, *curve)


def _recovered(rows: list[Row]) -> tuple[list[Row], *tuple[Row, ...]]:
    kept = [r for row in rows for r in weights(row, target=TARGET, recovered=TARGET * 0.9)]
    return rows, *kept


@pytest.mark.parametrize(
    ("name", "studies"),
    [
        ("bt_lstm", ["params", "ucf11", "recovery-bt"]),
        ("tr_lstm", ["recovery-tr", "recovery-tr", "ucf11"]),
    ],
)
def test_a_notebook_draws_what_there_is(
    name: str, studies: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(tmp_path / "full")
    full, none = execute(name, [tmp_path / "full", tmp_path / "none"], monkeypatch)
    assert [output.output_type for output in full] == ["display_data"] * 3
    assert all("image/png" in output.data for output in full)
    commands = {study: f"rankbench run {study}" for study in studies}
    commands["ucf11"] = "rankbench run ucf11 task.frames=PATH"
    assert [output.text for output in none] == [
        f"{study} has no results in {tmp_path / 'none'}; make them with: {commands[study]}\n"
        for study in studies
    ]


# Their stored outputs are those of the committed results, so that they can be read unrun.
DRAWN = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def kinds(found: list[Any]) -> list[list[str]]:
    return [sorted(output.get("data", {})) for output in found]


@pytest.fixture(scope="module")
def drawn_again() -> dict[str, list[Any]]:
    """What each notebook shows when it is run; two at once, a kernel waits more than it works."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, initializer=end_with_parent) as pool:
        return dict(zip(DRAWN, pool.map(_drawn, DRAWN), strict=True))


def _drawn(name: str) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        return execute(name, [REFERENCE], patch)[0]


@pytest.mark.parametrize("name", DRAWN)
def test_a_notebook_of_committed_results_draws_them_again(
    name: str, drawn_again: dict[str, list[Any]]
) -> None:
    stored = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert kinds(drawn_again[name]) == kinds(outputs(stored.cells))


@pytest.mark.parametrize("name", DRAWN)
def test_a_notebook_of_committed_results_has_an_output_wherever_it_shows_one(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    showing = [cell for cell in notebook.cells if "display(" in cell.source]
    assert len(showing) > 2, name
    for cell in showing:
        assert cell.outputs
        for output in cell.outputs:
            assert output.output_type == "display_data"
            assert {"image/png", "text/html"} & set(output.data)
