"""The native kernel and torch's: tiles, threads, chunks, memory, fallbacks; tuned plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.layers import LAYERS, Layer
from rankbench.layers.contraction.orders import candidates
from rankbench.layers.contraction.stages import contraction
from rankbench.layers.kernels import compiler as native
from rankbench.layers.kernels import lowering
from rankbench.layers.kernels import target as speeds
from rankbench.layers.kernels.compiler import unavailable
from rankbench.layers.kernels.lowering import lower
from rankbench.layers.kernels.native_kernel import apply_native
from rankbench.layers.kernels.target import Target
from rankbench.layers.kernels.torch_kernel import apply_torch
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.planning.apply import apply
from rankbench.layers.planning.choice import choices, choose
from rankbench.layers.planning.tuning import tuned
from rankbench.measure.timing import peak_memory
from tests.helpers.layer_examples import every_way, layer_of, module

needs_native = pytest.mark.skipif(
    unavailable("float64") is not None, reason=f"no native kernel: {unavailable('float64')}"
)
UCF11 = {"in_modes": (8, 20, 20, 18), "out_modes": (16, 4, 4, 4)}
every_decomposition = pytest.mark.parametrize("name", LAYERS)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Any decomposition with up to four modes, some of size 1."""
    name = draw(st.sampled_from(list(LAYERS)))
    d = draw(st.integers(1, 4))
    modes = st.lists(st.integers(1, 4), min_size=d, max_size=d).map(tuple)
    return layer_of(name, draw(modes), draw(modes), draw(st.integers(1, 3)))


def assert_same(layer: Layer, rows: int, run: Any) -> None:
    """`run` of x and the cores, and its gradients, equal the dense product."""
    linear = module(layer)
    x = torch.randn(rows, layer.in_features, dtype=torch.float64, requires_grad=True)
    leaves = [x, *linear.cores.values()]
    y, expected = run(x, leaves[1:]), x @ linear.to_dense().T
    toward = torch.randn_like(expected)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
    for mine, theirs in zip(
        torch.autograd.grad(y, leaves, toward),
        torch.autograd.grad(expected, leaves, toward),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@settings(max_examples=60)
@given(layers(), st.integers(1, 9), st.data())
def test_every_grouping_is_the_same_map_in_torch(
    layer: Layer, rows: int, data: st.DataObject
) -> None:
    found = contraction(layer.network, data.draw(st.sampled_from(candidates(layer.network))))
    assert_same(layer, rows, lambda x, cores: apply_torch(found, x, cores, Target.of(x)))


@needs_native
@settings(max_examples=60)
@given(layers(), st.integers(1, 9), st.integers(1, 3), st.data())
def test_every_grouping_is_the_same_map_in_the_native_kernel(
    layer: Layer, rows: int, threads: int, data: st.DataObject
) -> None:
    found = contraction(layer.network, data.draw(st.sampled_from(candidates(layer.network))))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_same(layer, rows, lambda x, cores: apply_native(found, x, cores))
    finally:
        torch.set_num_threads(before)


@needs_native
@pytest.mark.parametrize("tile", [1, 40, 10**6])
@pytest.mark.parametrize("keep", [0.0, 100.0])
@every_decomposition
def test_tiles_and_what_is_kept_change_nothing(
    name: str, tile: int, keep: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowering, "TILE", tile)
    monkeypatch.setattr(lowering, "KEEP", keep)
    lower.cache_clear()
    layer = layer_of(name, (4, 3, 5), (2, 9, 3), 3)
    for groups in candidates(layer.network)[:12]:
        found = contraction(layer.network, groups)
        assert_same(layer, 3, lambda x, cores, found=found: apply_native(found, x, cores))
    lower.cache_clear()


@needs_native
@pytest.mark.parametrize("rank", [1, 2, 4])
@every_decomposition
def test_gradients_that_lie_in_runs(name: str, rank: int) -> None:
    """scatter.h: rows and columns that are neighbours by two and four, and what is left over."""
    layer = layer_of(name, (4, 6, 3), (2, 4, 4), rank)
    for groups in candidates(layer.network)[:24]:
        found = contraction(layer.network, groups)
        assert_same(layer, 2, lambda x, cores, found=found: apply_native(found, x, cores))


@needs_native
def test_tiles_are_used() -> None:
    layer = LAYERS["block_term"](**UCF11, tucker_rank=4, cp_rank=2)
    chain = lower(choose(layer, 96, Target()).contraction)
    assert len(chain.tiles) > 1
    assert chain.keep


@every_decomposition
def test_chunks_of_rows_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = speeds.HardwareRates(**{**vars(speeds._CPU), "chunk": 1})
    monkeypatch.setattr(speeds, "_CPU", tiny)
    layer = layer_of(name, (4, 3, 5), (2, 9, 3), 3)
    for groups in candidates(layer.network)[:12]:
        found = contraction(layer.network, groups)
        assert_same(layer, 5, lambda x, cores, found=found: apply_torch(found, x, cores, Target()))


@pytest.mark.parametrize("kernel", ["torch", pytest.param("native", marks=needs_native)])
def test_memory_of_a_step_is_bounded(kernel: str) -> None:
    """Forward and backward of BT R=4 at 96 rows, 22 MB of input: tednet's takes 1.18 GB."""
    layer = LAYERS["block_term"](**UCF11, tucker_rank=4, cp_rank=2, kernel=kernel)
    linear = CompressedLinear(layer, 0)
    x = torch.zeros(96, 57600)
    assert peak_memory(lambda: linear(x).sum().backward(), "cpu") < 60


def test_without_a_compiler_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with fresh_native():
        assert unavailable("float32") == "no C compiler (cc, gcc or $CC) was found"
        layer = layer_of("cp", (2, 3), (3, 2), 2)
        assert choose(layer, 4, Target()).kernel == "torch"
        with pytest.raises(ValueError) as error:
            choose(layer_of("cp", (2, 3), (3, 2), 2, kernel="native"), 4, Target())
    assert str(error.value) == (
        "the native kernel cannot be used: no C compiler (cc, gcc or $CC) was found; "
        "choose layer.kernel auto or torch"
    )


def test_a_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken-cc"
    broken.write_text("#!/bin/sh\necho no such target >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with fresh_native():
        assert unavailable("float32") == f"{broken} did not compile it: no such target"


def test_the_native_kernel_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_NATIVE", "0")
    with fresh_native():
        assert unavailable("float32") == "RANKBENCH_NATIVE=0 turns it off"


def test_the_native_kernel_is_for_some_types() -> None:
    assert unavailable("float16") == "dtype must be one of float32, float64, bfloat16, got float16"


@needs_native
@every_decomposition
@pytest.mark.parametrize("tile", [1, 10**6])
def test_bfloat16_is_computed_in_float32(
    name: str, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the input and what comes out are rounded."""
    monkeypatch.setattr(lowering, "TILE", tile)
    lower.cache_clear()
    layer = layer_of(name, (4, 3, 5), (2, 9, 3), 3)
    cores = [core.detach().float() for core in module(layer).cores.values()]
    x = torch.randn(7, layer.in_features).bfloat16()
    toward = torch.randn(7, layer.out_features).bfloat16()
    for groups in candidates(layer.network)[:12]:
        found = contraction(layer.network, groups)
        results = []
        for numbers in (torch.bfloat16, torch.float32):
            leaves = [
                x.to(numbers).requires_grad_(),
                *(core.clone().requires_grad_() for core in cores),
            ]
            y = apply_native(found, leaves[0], leaves[1:])
            results.append([y, *torch.autograd.grad(y, leaves, toward.to(numbers))])
        for low, plain in zip(*results, strict=True):
            assert (low.float() - plain).norm() < 8e-3 * plain.norm()


@needs_native
@pytest.mark.parametrize(("able", "kernel"), [(True, "torch"), (False, "native")])
def test_bfloat16_goes_to_torch_where_the_cpu_multiplies_it(
    able: bool, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "multiplies_bfloat16", lambda: able)
    with fresh_native():
        layer = LAYERS["tensor_train"](**UCF11, tt_ranks=4)
        assert choose(layer, 96, Target(dtype="bfloat16")).kernel == kernel
        assert choose(layer, 96, Target()).kernel == "native"


class fresh_native:  # noqa: N801
    """Forget whether there is a kernel, before and after."""

    def __enter__(self) -> None:
        self._forget()

    def __exit__(self, *error: object) -> None:
        self._forget()

    def _forget(self) -> None:
        native._library.cache_clear()
        choices.cache_clear()


# ---- tuned plans


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path))
    tuned.cache_clear()
    return tmp_path / "plans"


@every_decomposition
def test_a_tuned_plan_is_measured_once_and_remembered(name: str, cache: Path) -> None:
    layer = layer_of(name, (4, 3), (2, 9), 2, plan="tuned")
    first = tuned(layer, 5, Target())
    (file,) = cache.iterdir()
    known = json.loads(file.read_text())
    assert min(known["measured_s"], key=known["measured_s"].get) == first.describe()
    known["measured_s"] = {"not": "measured again"}
    file.write_text(json.dumps(known))
    tuned.cache_clear()
    assert tuned(layer, 5, Target()) == first
    assert json.loads(file.read_text()) == known
    assert_same(layer, 5, lambda x, cores: apply(first, x, cores))


@pytest.mark.parametrize("damage", ["", "{", '{"groups": [[0]], "kernel": "torch"}', "[]"])
def test_a_damaged_memory_is_measured_again(damage: str, cache: Path) -> None:
    layer = layer_of("cp", (4, 3), (2, 9), 2, plan="tuned")
    tuned(layer, 5, Target())
    (file,) = cache.iterdir()
    file.write_text(damage)
    tuned.cache_clear()
    tuned(layer, 5, Target())
    assert "measured_s" in json.loads(file.read_text())


@every_way
def test_a_layer_says_what_it_runs(plan: str, kernel: str, cache: Path) -> None:
    linear = module(layer_of("tensor_train", (4, 3), (2, 9), 2, plan=plan, kernel=kernel))
    choice = linear.choice(5)
    assert choice.kernel == kernel
    assert choice.describe().startswith(f"{kernel}: G")
    assert 0 < choice.forward_s < choice.seconds
