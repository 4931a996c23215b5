"""Conformance: what every decomposition in LAYERS must do, each against its written-out weight."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rankbench.layers import LAYERS, Layer
from rankbench.layers.linear import CompressedLinear
from tests.helpers.layer_examples import (
    WAYS,
    every_way,
    examples,
    label,
    layer_of,
    module,
    written_out,
)

EXAMPLES = [layer for way in WAYS for layer in examples(*way)]
every_example = pytest.mark.parametrize("layer", EXAMPLES, ids=label)
every_layer = pytest.mark.parametrize("layer", examples(), ids=label)
every_decomposition = pytest.mark.parametrize("name", LAYERS)


def exactly(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


# ---- the map


@every_example
def test_dense_weight_is_the_decomposition_written_out(layer: Layer) -> None:
    linear = module(layer)
    exactly(linear.to_dense().detach(), written_out(layer, linear.cores))


@every_example
def test_forward_and_gradients_equal_the_dense_product(layer: Layer) -> None:
    linear = module(layer, seed=1)
    source = torch.Generator().manual_seed(2)
    for lead in ((), (5,), (3, 2)):
        shape = (*lead, layer.in_features)
        x = torch.randn(shape, dtype=torch.float64, generator=source, requires_grad=True)
        y = linear(x)
        towards = torch.randn(y.shape, dtype=torch.float64, generator=source)
        leaves = [x, *linear.cores.values()]
        gradients = torch.autograd.grad(y, leaves, towards)
        dense_y = x @ linear.to_dense().T
        dense_gradients = torch.autograd.grad(dense_y, leaves, towards)
        assert y.shape == (*lead, layer.out_features)
        exactly(y, dense_y)
        for gradient, expected in zip(gradients, dense_gradients, strict=True):
            assert gradient.abs().max() > 0
            exactly(gradient, expected)


@every_decomposition
@every_way
def test_gradients_agree_with_finite_differences(name: str, plan: str, kernel: str) -> None:
    linear = module(layer_of(name, (2, 3), (3, 2), 2, plan=plan, kernel=kernel))
    x = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    names = list(linear.cores)

    def forward(x: torch.Tensor, *cores: torch.Tensor) -> torch.Tensor:
        values = {f"cores.{name}": core for name, core in zip(names, cores, strict=True)}
        return torch.func.functional_call(linear, values, (x,))

    cores = [core.detach().requires_grad_() for core in linear.cores.values()]
    assert torch.autograd.gradcheck(forward, (x.requires_grad_(), *cores))


@every_decomposition
def test_empty_batch_gives_empty_output_and_zero_gradients(name: str) -> None:
    linear = module(layer_of(name, (2, 3), (3, 2), 2))
    y = linear(torch.zeros(0, 4, 6, dtype=torch.float64))
    y.sum().backward()
    assert y.shape == (0, 4, 6)
    assert all(not core.grad.any() for core in linear.cores.values())


@every_decomposition
def test_an_input_without_gradient_costs_none(name: str) -> None:
    layer = layer_of(name, (4, 5), (3, 2), 2)
    linear = module(dataclasses.replace(layer, kernel="torch"))  # whose FLOPs torch counts
    x = torch.randn(7, 20, dtype=torch.float64)

    def backward_flops(x: torch.Tensor) -> int:
        y = linear(x)
        with FlopCounterMode(display=False) as counter:
            y.sum().backward()
        return counter.get_total_flops()

    assert backward_flops(x) < backward_flops(x.clone().requires_grad_())
    assert x.grad is None


@every_decomposition
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_output_keeps_the_type_of_weights_and_input(name: str, dtype: torch.dtype) -> None:
    layer = layer_of(name, (4, 5), (3, 2), 2)
    linear = CompressedLinear(layer, 0, dtype=dtype)
    x = torch.randn(8, 20, generator=torch.Generator().manual_seed(1)).to(dtype)
    y = linear(x)
    assert y.dtype == dtype
    exact = x.double() @ module(layer).to_dense().T
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=tolerance)


@every_decomposition
def test_weights_survive_saving_and_loading(name: str) -> None:
    layer = layer_of(name, (2, 3), (3, 2), 2)
    saved, loaded = module(layer, seed=1), module(layer, seed=2)
    assert not torch.equal(saved.to_dense(), loaded.to_dense())
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(saved.to_dense(), loaded.to_dense())


@pytest.mark.parametrize("lead", [(), (2,)], ids=str)
def test_wrong_number_of_features_is_refused(lead: tuple[int, ...]) -> None:
    linear = module(layer_of("tensor_train", (2, 3), (3, 2), 2))
    with pytest.raises(ValueError) as error:
        linear(torch.zeros(*lead, 5, dtype=torch.float64))
    shape = [*lead, 5]
    expected = f"the last dimension of x must be in_features = 6, got shape {shape}"
    assert str(error.value) == expected


def test_a_number_is_no_input() -> None:
    with pytest.raises(ValueError, match="must be in_features = 6, got shape \\[\\]"):
        module(layer_of("dense", (6,), (4,), 1))(torch.tensor(1.0))


@pytest.mark.parametrize("name", ["cp", "block_term", "tensor_train", "tensor_ring"])
def test_twelve_modes(name: str) -> None:
    modes = {"in_modes": (2,) * 6 + (1,) * 6, "out_modes": (1,) * 5 + (2,) * 7}
    linear = module(layer_of(name, modes["in_modes"], modes["out_modes"], 2))
    x = torch.randn(3, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exactly(linear(x), x @ linear.to_dense().T)


# ---- what a layer knows without tensors


@every_layer
def test_counts_are_those_of_the_tensors(layer: Layer) -> None:
    linear = module(layer)
    sizes = layer.sizes()
    for core in layer.cores():
        assert linear.cores[core.name].shape == tuple(sizes[index] for index in core.indices)
    assert layer.num_params == sum(p.numel() for p in linear.parameters())
    assert layer.in_features == math.prod(layer.in_modes)
    assert layer.out_features == math.prod(layer.out_modes)
    assert layer.core_order == len(layer.in_modes)
    assert layer.dense_params == linear.to_dense().numel()
    assert layer.compression_ratio == layer.dense_params / layer.num_params


def expected_params(layer: Layer) -> int:
    """The formulas of FACTS: BT Eq. 15, TR Eq. 7 and the sum of a train's cores."""
    i, j, r = layer.in_modes, layer.out_modes, layer.ranks
    pairs = [a * b for a, b in zip(i, j, strict=False)]
    if layer.name == "dense":
        return math.prod(i) * math.prod(j)
    if layer.name == "low_rank":
        return r[0] * (math.prod(i) + math.prod(j))
    if layer.name == "cp":
        return r[0] * sum(pairs)
    if layer.name == "tucker":
        return sum(p * k for p, k in zip(pairs, r, strict=True)) + math.prod(r)
    if layer.name == "block_term":
        *tucker, n = r
        return n * (sum(p * k for p, k in zip(pairs, tucker, strict=True)) + math.prod(tucker))
    if layer.name == "tensor_train":
        return sum(r[k] * p * r[k + 1] for k, p in enumerate(pairs))
    return sum(r[k] * mode * r[(k + 1) % len(r)] for k, mode in enumerate(i + j))


@every_layer
def test_parameters_follow_the_closed_form(layer: Layer) -> None:
    assert layer.num_params == expected_params(layer)


def test_a_layer_needs_no_tensors_to_be_counted() -> None:
    huge = layer_of("block_term", (2**10,) * 12, (2**10,) * 12, 40)
    assert huge.num_params == 40 * (12 * 2**20 * 40 + 40**12)


# ---- identity and bad input


def test_equal_settings_make_equal_layers() -> None:
    modes = {"in_modes": (2, 3), "out_modes": (3, 2)}
    number = LAYERS["tucker"](**modes, tucker_rank=2)
    written = LAYERS["tucker"](in_modes=[2, 3], out_modes=[3, 2], tucker_rank=[2, 2])
    assert number == written
    assert hash(number) == hash(written)
    assert dataclasses.asdict(number)["tucker_rank"] == (2, 2)
    assert number != LAYERS["block_term"](**modes, tucker_rank=2, cp_rank=1)
    assert LAYERS["tensor_train"](**modes, tt_ranks=4).ranks == (1, 4, 1)
    assert LAYERS["tensor_ring"](**modes, tr_ranks=4).ranks == (4, 4, 4, 4)
    assert LAYERS["block_term"](**modes, tucker_rank=(3, 2), cp_rank=5).ranks == (3, 2, 5)


@every_decomposition
def test_the_table_and_the_class_agree_on_the_name(name: str) -> None:
    assert LAYERS[name].name == name


MODES = {"in_modes": (2, 3), "out_modes": (3, 2)}
BAD = [
    ("low_rank", {"rank": 0}, "rank must be a positive integer, got 0"),
    ("low_rank", {"rank": (2, 2)}, "rank must be a positive integer, got (2, 2)"),
    ("cp", {"cp_rank": 0}, "cp_rank must be a positive integer, got 0"),
    ("cp", {"cp_rank": True}, "cp_rank must be a positive integer, got True"),
    ("tucker", {"tucker_rank": 0}, "tucker_rank must be a positive integer, got 0"),
    ("tucker", {"tucker_rank": 1.5}, "tucker_rank must be a positive integer, got 1.5"),
    ("tucker", {"tucker_rank": (2, 2, 2)}, "tucker_rank must have 2 entries, got 3: [2, 2, 2]"),
    (
        "block_term",
        {"tucker_rank": (2, 0), "cp_rank": 1},
        "every entry of tucker_rank must be a positive integer, got 0",
    ),
    (
        "block_term",
        {"tucker_rank": 2, "cp_rank": -1},
        "cp_rank must be a positive integer, got -1",
    ),
    ("tensor_train", {"tt_ranks": 0}, "tt_ranks must be a positive integer, got 0"),
    ("tensor_train", {"tt_ranks": (1, 2)}, "tt_ranks must have 3 entries, got 2: [1, 2]"),
    ("tensor_train", {"tt_ranks": (2, 2, 1)}, "tt_ranks must begin and end with 1, got [2, 2, 1]"),
    ("tensor_train", {"tt_ranks": [1, 2, 2]}, "tt_ranks must begin and end with 1, got [1, 2, 2]"),
    ("tensor_ring", {"tr_ranks": "5"}, "tr_ranks must be a positive integer, got '5'"),
    ("tensor_ring", {"tr_ranks": (2, 2)}, "tr_ranks must have 4 entries, got 2: [2, 2]"),
    (
        "dense",
        {"in_modes": (2, 0)},
        "every entry of in_modes must be a positive integer, got 0",
    ),
    (
        "dense",
        {"out_modes": ()},
        "out_modes must be a non-empty list of positive integers, got ()",
    ),
    (
        "dense",
        {"in_modes": 6},
        "in_modes must be a non-empty list of positive integers, got 6",
    ),
    (
        "dense",
        {"plan": "optimum"},
        "plan must be one of: auto, tuned, paper, optimal, halves, sequential, dense; "
        "got 'optimum' (did you mean 'optimal'?)",
    ),
]


@pytest.mark.parametrize(("name", "settings", "message"), BAD, ids=[b[2][:50] for b in BAD])
def test_bad_settings_are_refused(name: str, settings: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        LAYERS[name](**{**MODES, **settings})
    assert str(error.value) == message


@pytest.mark.parametrize("name", [name for name in LAYERS if LAYERS[name].PAIRED])
def test_paired_modes_must_be_equally_many(name: str) -> None:
    with pytest.raises(ValueError) as error:
        layer_of(name, (2, 3), (3, 2, 2), 2)
    assert str(error.value) == (
        f"{name} pairs in_modes with out_modes, which must have equal lengths, "
        "got [2, 3] and [3, 2, 2]"
    )


@pytest.mark.parametrize("name", ["dense", "low_rank", "tensor_ring"])
def test_other_modes_may_differ_in_number(name: str) -> None:
    assert layer_of(name, (2, 3), (3, 2, 2), 2).out_features == 12
