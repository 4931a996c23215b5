"""WideDropout: the rate and scale of its masks, where they come from, and what is left alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankbench.training.dropout import WideDropout

COUNT = 200_003  # no multiple of the bytes in a word


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.1, 0.2, 1 / 256, 0.99])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    y = WideDropout(rate)(torch.ones(COUNT, dtype=dtype)).double()
    spread = math.sqrt(rate * (1 - rate) / COUNT)
    assert (y == 0).double().mean().item() == pytest.approx(rate, abs=6 * spread + 2**-17)
    kept = y[y > 0].unique()
    assert kept.tolist() == [
        pytest.approx(1 / (1 - rate), rel=2**-7 if dtype.itemsize == 2 else 2e-3)
    ]


@given(rate=st.floats(0.001, 0.99))
def test_the_scale_is_that_of_the_rate_which_is_drawn(rate: float) -> None:
    values = 256 if (256 * rate).is_integer() else 65536
    y = WideDropout(rate)(torch.ones(4096, dtype=torch.float64))
    expected = values / (values - round(rate * values))
    assert set(y.tolist()) <= {0.0, expected}


def test_neighbouring_values_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (WideDropout(0.25)(torch.ones(8 * 50_000)) == 0).double().view(-1, 8)
    together = dropped.T @ dropped / len(dropped)
    expected = torch.full((8, 8), 0.0625, dtype=torch.float64).fill_diagonal_(0.25)
    assert torch.allclose(together, expected, atol=6 * 0.25 / math.sqrt(len(dropped)))


def test_masks_come_from_the_generator_that_checkpoints_keep() -> None:
    x, dropout = torch.ones(1000), WideDropout(0.25)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = dropout(x), dropout(x)
    assert not torch.equal(first, second)
    torch.set_rng_state(before)
    assert torch.equal(dropout(x), first)


def test_gradients_pass_where_values_are_kept() -> None:
    x = torch.randn(500, requires_grad=True)
    y = WideDropout(0.2)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad * x.detach(), y.detach())


def test_nothing_is_dropped_in_evaluation_or_at_rate_0() -> None:
    x = torch.randn(10)
    assert WideDropout(0.5).eval()(x) is x
    assert WideDropout(0.0)(x) is x


def test_the_shape_is_kept_for_any_strides() -> None:
    x = torch.ones(6, 5, 4).transpose(0, 2)
    assert WideDropout(0.5)(x).shape == (4, 5, 6)
    assert WideDropout(0.5)(torch.ones(0, 3)).shape == (0, 3)
