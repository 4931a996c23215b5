"""The profile task: counts without tensors, raw samples, memory."""

from __future__ import annotations

import statistics

import pytest

from rankbench.cells.settings import CELLS, Cell
from rankbench.layers import LAYERS
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Point
from rankbench.tasks.profile import Profile
from tests.helpers.layer_examples import RANKS
from tests.tasks.test_recovery import run

BUDGET = {"budget_s": 0.05, "batch": 2, "time_steps": 3}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_timed_and_its_raw_samples_kept(name: str) -> None:
    task = Profile(in_features=12, out_features=16, **BUDGET)
    layer = LayerSettings(decomposition=name, **RANKS[name]).resolve(12, 16)
    outcome = run(Point(task=task, layer=layer))
    assert (outcome.status, outcome.error) == ("done", None)
    for phase in ("forward", "backward", "step"):
        times = [row["ms"] for row in outcome.tables["samples"] if row["phase"] == phase]
        assert times  # how many depends on how busy the machine is
        assert outcome.facts[f"{phase}_ms"] == statistics.median(times) > 0
        assert outcome.facts[f"{phase}_peak_mb"] > 0
    assert outcome.facts["model_params"] == layer.num_params
    assert outcome.facts["rows"] == 6
    choice = CompressedLinear(layer, 0).choice(6)
    assert outcome.facts["forward_flops"] == choice.contraction.flops(6)
    assert outcome.facts["kernel"] == choice.kernel
    assert outcome.facts["contraction"] == choice.contraction.describe()
    assert outcome.facts["predicted_forward_ms"] == 1e3 * choice.forward_s > 0
    assert outcome.facts["predicted_backward_ms"] == 1e3 * choice.backward_s > 0


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_timed_whole(name: str) -> None:
    cell = Cell(name=name, hidden_size=4)
    layer = LayerSettings(decomposition="dense").resolve(12, 4, gates=cell.gates)
    outcome = run(Point(task=Profile(in_features=12, **BUDGET), layer=layer, cell=cell))
    assert outcome.status == "done"
    # Input map, hidden map and torch's two biases.
    gates = cell.gates
    assert outcome.facts["model_params"] == gates * (4 * 12 + 4 * 4 + 4 + 4)


def test_counts_alone_build_no_tensor() -> None:
    # Ten petabytes, were it built.
    layer = LayerSettings(decomposition="dense").resolve(10**8, 10**7)
    task = Profile(in_features=10**8, out_features=10**7, timing=False)
    outcome = run(Point(task=task, layer=layer))
    assert outcome.status == "done"
    assert outcome.facts["forward_flops"] == 2 * 96 * 10**15
    assert "samples" not in outcome.tables


def test_memory_that_is_not_there_is_a_status() -> None:
    layer = LayerSettings(decomposition="dense").resolve(10**8, 10**7)
    outcome = run(Point(task=Profile(in_features=10**8, out_features=10**7), layer=layer))
    assert outcome.status == "out_of_memory"


def test_a_cell_decides_the_output_itself() -> None:
    cell = Cell(name="rnn", hidden_size=4)
    layer = LayerSettings(decomposition="dense").resolve(12, 4)
    with pytest.raises(ValueError, match=r"task\.out_features must be null with a cell"):
        Point(task=Profile(in_features=12, out_features=4), layer=layer, cell=cell)
