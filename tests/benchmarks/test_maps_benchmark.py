"""Our layers on the maps of `rankbench bench`, a group a map; `make bench` keeps what it measured.

Compare two states of the code with `--benchmark-compare`; peers stand in `rankbench bench`.
"""

from __future__ import annotations

from typing import Any

import pytest

from rankbench.bench.contenders import CONTENDERS, OURS
from rankbench.bench.maps import MAPS
from rankbench.bench.workload import Data, Workload

BATCH = 16  # clips of 6 frames
PHASES = ("forward", "forward and backward", "step")


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", MAPS)
def test_map(benchmark: Any, name: str, phase: str) -> None:
    layer = MAPS[name].layer
    data = Data.draw(layer, BATCH, "float32", seed=0)
    workload = Workload(CONTENDERS[OURS], layer, data, seed=0)

    def forward_and_backward() -> None:
        workload.forward()
        workload.backward()

    calls = dict(zip(PHASES, (workload.forward, forward_and_backward, workload.step), strict=True))
    benchmark.group = name
    benchmark.extra_info.update(num_params=layer.num_params, rows=BATCH * 6)
    benchmark.pedantic(calls[phase], setup=workload.clear, rounds=5, warmup_rounds=1)
