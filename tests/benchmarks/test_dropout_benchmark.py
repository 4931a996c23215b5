"""Dropout of a batch of video frames: torch's and ours, on one thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from rankbench.training.dropout import WideDropout

FRAMES = (80, 57600)  # 16 clips of 5 frames


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", [nn.Dropout, WideDropout], ids=["torch", "wide"])
@pytest.mark.parametrize("rate", [0.25, 0.1], ids=["8 bits", "16 bits"])
def test_dropout_of_frames(benchmark: BenchmarkFixture, kind: type[nn.Module], rate: float) -> None:
    benchmark.group = f"dropout {rate}"
    x, dropout = torch.randn(FRAMES), kind(rate)
    assert benchmark(lambda: dropout(x)).shape == x.shape
