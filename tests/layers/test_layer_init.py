"""Initial weights: Glorot's mean square for every decomposition, order and rank, and a seed."""

from __future__ import annotations

import math

import pytest
import torch

from rankbench.layers import LAYERS, Layer, TensorRing
from rankbench.layers.contraction.einsum import plan_squared_norm
from rankbench.layers.init import generator, initial_cores
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.modes import factorise
from tests.helpers.layer_examples import layer_of, module, written_out

UCF11_RING = TensorRing(
    in_modes=(4, 2, 5, 8, 6, 5, 3, 2), out_modes=(16, 4, 2, 4, 2), tr_ranks=(10, *(5,) * 12)
)
DEEP = [
    UCF11_RING,
    layer_of("tensor_ring", (4, 2, 5, 8, 6, 5, 3, 2), (16, 4, 2, 4, 2), 5),
    layer_of("tensor_ring", (4, 2, 5, 8, 6, 5, 3, 2), (16, 4, 2, 4, 2), 1),
    layer_of("tensor_train", (8, 20, 20, 18), (16, 4, 4, 4), 4),
    layer_of("block_term", (8, 20, 20, 18), (16, 4, 4, 4), 4),
    layer_of("cp", (8, 20, 20, 18), (16, 4, 4, 4), 1),
    layer_of("tucker", (8, 20, 20, 18), (16, 4, 4, 4), 4),
    layer_of("low_rank", (57600,), (1024,), 3),
]
every_decomposition = pytest.mark.parametrize("name", LAYERS)


def glorot(layer: Layer) -> float:
    return 2 / (layer.in_features + layer.out_features)


@every_decomposition
@pytest.mark.parametrize("d", range(1, 7))
def test_dense_weight_has_glorots_mean_square(name: str, d: int) -> None:
    for rank in range(1, 9):
        layer = layer_of(name, factorise(32, d), factorise(64, d), rank)
        linear = module(layer, seed=rank)
        mean_square = linear.to_dense().square().mean().item()
        assert mean_square == pytest.approx(glorot(layer), rel=1e-9), rank


@every_decomposition
def test_squared_norm_is_that_of_the_weight_written_out(name: str) -> None:
    layer = layer_of(name, (2, 3, 2), (4, 1, 2), 3)
    cores = initial_cores(layer, seed=0)
    norm = plan_squared_norm(layer.network).run([*cores.values(), *cores.values()]).item()
    assert norm == pytest.approx(written_out(layer, cores).square().sum().item(), rel=1e-12)


@every_decomposition
def test_entries_are_centred(name: str) -> None:
    """The mean of an entry over seeds is within four standard errors of zero."""
    layer = layer_of(name, (2, 3), (3, 2), 3)
    seeds = 200
    weights = torch.stack([module(layer, seed).to_dense().detach() for seed in range(seeds)])
    error = math.sqrt(glorot(layer) / seeds)
    assert weights.mean(dim=0).abs().max().item() < 4 * error
    assert weights.mean().abs().item() < 4 * error / math.sqrt(layer.dense_params)


@every_decomposition
def test_every_core_has_an_equal_share(name: str) -> None:
    cores = initial_cores(layer_of(name, (8, 9, 10), (9, 8, 7), 12), seed=0)
    spreads = [core.std().item() for core in cores.values()]
    assert max(spreads) / min(spreads) < 1.1
    assert all(abs(core.mean().item()) < 0.1 * core.std().item() for core in cores.values())


@pytest.mark.parametrize("layer", DEEP, ids=lambda layer: f"{layer.name}-{max(layer.ranks)}")
def test_outputs_of_published_shapes_neither_vanish_nor_explode(layer: Layer) -> None:
    """Over rows, outputs and seeds the output's variance is I times the weight's mean square.

    One draw of a deep rank-1 network weighs few inputs heavily, so single draws scatter widely.
    """
    squares = []
    for seed in range(4):
        x = torch.randn(16, layer.in_features, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            squares.append(CompressedLinear(layer, seed)(x).square().mean().item())
    expected = layer.in_features * glorot(layer)
    assert all(0.4 < math.sqrt(square / expected) < 2.5 for square in squares), squares
    assert math.sqrt(sum(squares) / len(squares) / expected) == pytest.approx(1, abs=0.25)


def test_deep_ring_of_rank_5_spreads_over_its_outputs() -> None:
    x = torch.randn(64, 57600, generator=torch.Generator().manual_seed(0))
    for seed in range(3):
        with torch.no_grad():
            y = CompressedLinear(UCF11_RING, seed)(x)
        spread = y.std(dim=0)
        expected = math.sqrt(57600 * glorot(UCF11_RING))
        assert 0.2 < spread.median().item() / expected < 2
        assert spread.max().item() / expected < 8
        assert abs(y.mean().item()) < 0.1 * expected


@every_decomposition
def test_cores_have_the_variance_of_their_share(name: str) -> None:
    """On average over seeds sigma^2 = (target / prod R)^(1/K), for K cores."""
    layer = layer_of(name, (6, 7), (7, 6), 5)
    cores = len(layer.cores())
    paths = math.prod(layer.rank_sizes().values())
    drawn = [core for seed in range(20) for core in initial_cores(layer, seed).values()]
    variance = torch.cat([core.flatten() for core in drawn]).square().mean().item()
    assert variance == pytest.approx((glorot(layer) / paths) ** (1 / cores), rel=0.15)


@every_decomposition
def test_seed_decides_everything(name: str) -> None:
    layer = layer_of(name, (2, 3), (3, 2), 2)
    torch.manual_seed(0)
    first = module(layer, seed=7)
    torch.manual_seed(1)
    second, third = module(layer, seed=7), module(layer, seed=8)
    for key, core in first.cores.items():
        assert torch.equal(core, second.cores[key])
        assert not torch.equal(core, third.cores[key])


@every_decomposition
def test_initialising_leaves_torchs_random_numbers_alone(name: str) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    module(layer_of(name, (2, 3), (3, 2), 2))
    assert torch.equal(torch.rand(1), expected)


@every_decomposition
def test_types_share_the_same_draw(name: str) -> None:
    layer = layer_of(name, (2, 3), (3, 2), 2)
    exact, rounded = module(layer, 5), CompressedLinear(layer, 5, dtype=torch.float32)
    for key, core in exact.cores.items():
        assert rounded.cores[key].dtype == torch.float32
        assert torch.equal(core.float(), rounded.cores[key])


def test_plan_does_not_change_the_weights() -> None:
    paper, optimal = (layer_of("cp", (2, 3), (3, 2), 2, plan=p) for p in ("paper", "optimal"))
    assert torch.equal(module(paper).to_dense(), module(optimal).to_dense())


def test_generators_for_different_purposes_are_independent() -> None:
    drawn = [torch.rand(5, generator=generator(0, purpose)) for purpose in ("a", "b", "a")]
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    generator(2**40, "a")
    generator(-1, "a")
