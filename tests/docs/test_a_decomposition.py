"""The decomposition that the documentation adds passes the conformance tests of `LAYERS`."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rankbench.layers import LAYERS
from rankbench.layers import settings as layer_settings
from tests.helpers.layer_examples import RANKS, WAYS, layer_of, module
from tests.helpers.paths import ROOT
from tests.layers import test_layers as conformance

BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/contribute/a-decomposition.md").read_text(), re.S
)
NAME = "separate_tucker"
SHAPES = [((2, 3), (3, 2)), ((2, 3, 2), (4,)), ((6,), (2, 2))]


@pytest.fixture
def definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Save the file, add the line and the example; gives the weight written out."""
    (tmp_path / f"{NAME}.py").write_text(BLOCKS[0])
    monkeypatch.syspath_prepend(tmp_path)
    made = importlib.import_module(NAME)
    for table in (LAYERS, RANKS):
        monkeypatch.setitem(table, NAME, table["dense"])  # so that both are restored
    names: dict[str, Any] = {"SeparateTucker": made.SeparateTucker}
    for block in BLOCKS[1:4]:
        exec(block, names)
    assert LAYERS[NAME] is made.SeparateTucker
    yield names["written_out"]
    del sys.modules[NAME]


@pytest.mark.parametrize(("plan", "kernel"), WAYS)
@pytest.mark.parametrize(("in_modes", "out_modes"), SHAPES)
def test_it_conforms(
    definition: Any,
    monkeypatch: pytest.MonkeyPatch,
    in_modes: tuple[int, ...],
    out_modes: tuple[int, ...],
    plan: str,
    kernel: str,
) -> None:
    monkeypatch.setattr(conformance, "written_out", definition)
    layer = layer_of(NAME, in_modes, out_modes, 2, plan=plan, kernel=kernel)
    conformance.test_dense_weight_is_the_decomposition_written_out(layer)
    conformance.test_forward_and_gradients_equal_the_dense_product(layer)
    conformance.test_gradients_agree_with_finite_differences(NAME, plan, kernel)


def test_a_study_file_can_name_it(definition: Any) -> None:
    settings = layer_settings.LayerSettings(decomposition=NAME, **RANKS[NAME])
    layer = settings.resolve(16, 8, gates=4)
    assert layer.name == NAME
    assert module(layer)(torch.zeros(2, 16, dtype=torch.float64)).shape == (2, 32)
