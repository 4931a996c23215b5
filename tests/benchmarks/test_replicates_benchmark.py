"""64 replicates of a recovery, one after the other and as one program; `make bench`.

`python -m tests.benchmarks.test_replicates_benchmark [epochs]` runs whole studies of both kinds
in turn, as `rankbench run` does with one worker and one thread, and prints the seconds a run.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from typing import Any

import pytest
import torch

from rankbench.engine.runner import StudyRun
from rankbench.study.config import Study, load_study
from rankbench.tasks.base import Context
from tests.engine.test_study import Silent

REPLICATES = 64
BT = "decomposition: [block_term], core_order: [{d}], tucker_rank: [{R}], cp_rank: [{N}]"
LAYERS_OF_A_STUDY = {
    "block_term d=2 R=4 N=1": BT.format(d=2, R=4, N=1),
    "block_term d=3 R=4 N=2": BT.format(d=3, R=4, N=2),
    "block_term d=4 R=4 N=2": BT.format(d=4, R=4, N=2),
    "block_term d=6 R=2 N=2": BT.format(d=6, R=2, N=2),
    "tensor_ring n=4 R=4": "decomposition: [tensor_ring], core_order: [4], tr_ranks: [4]",
    "tensor_train d=3 R=4": "decomposition: [tensor_train], core_order: [3], tt_ranks: [4]",
}


def study_of(layer: str, *overrides: str) -> Study:
    """studies/recovery-bt.yaml with one layer."""
    space = ["~space.branches.block_term", f"+space.branches.one.layer={{{layer}}}"]
    return load_study("recovery-bt", [*space, "threads=1", "workers=1", *overrides])


@pytest.mark.parametrize("together", [False, True], ids=["single", "together"])
@pytest.mark.parametrize("name", LAYERS_OF_A_STUDY)
@pytest.mark.benchmark(group="64 replicates")
def test_sixty_four_replicates(benchmark: Any, name: str, together: bool, tmp_path: Any) -> None:
    """A single run is timed once and stands for 64: extra_info has the seconds of one."""
    torch.set_num_threads(1)
    study = study_of(LAYERS_OF_A_STUDY[name], "training.epochs=200", f"results={tmp_path}")
    (point,) = StudyRun(study).grid.points.values()  # type: ignore[union-attr]
    contexts = [Context(seed=seed) for seed in range(REPLICATES)]

    def train() -> list[Any]:
        if together:
            return list(point.task.run_together(point, contexts))
        return list(point.task.run(point, contexts[0]))

    rows = benchmark.pedantic(train, rounds=3, warmup_rounds=1)
    runs = REPLICATES if together else 1
    benchmark.extra_info["seconds_a_run"] = benchmark.stats.stats.median / runs
    assert rows


def seconds_a_run(layer: str, epochs: int, seeds: int, replicates: int) -> float:
    """Wall seconds a run of a whole study: child processes, rows and files included."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"training.epochs={epochs}", f"seeds={seeds}", f"replicates={replicates}"]
        execution = StudyRun(study_of(layer, *settings, f"results={folder}"))
        start = time.perf_counter()
        execution.run(Silent())
        assert {row["status"] for row in execution.measured} == {"done"}
        return (time.perf_counter() - start) / seeds


def main(epochs: int = 1500, rounds: int = 3) -> None:
    seconds_a_run(LAYERS_OF_A_STUDY["block_term d=2 R=4 N=1"], 2, 1, 1)  # starts the server
    for name, layer in LAYERS_OF_A_STUDY.items():
        pairs = [
            (seconds_a_run(layer, epochs, 2, 1), seconds_a_run(layer, epochs, REPLICATES, 64))
            for _ in range(rounds)
        ]
        single, together = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = f"{single / together:5.1f} times"
        print(f"{name:24} {single:7.3f} s {together:7.4f} s {ratio}", flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
