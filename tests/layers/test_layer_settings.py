"""What a study file may say about a layer, what follows from it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rankbench.layers import CP, LAYERS, BlockTerm, Dense, Layer, LowRank, TensorRing, TensorTrain
from rankbench.layers.modes import product
from rankbench.layers.settings import LayerSettings

RANKS: dict[str, dict[str, Any]] = {
    "dense": {},
    "low_rank": {"rank": 3},
    "cp": {"cp_rank": 2},
    "tucker": {"tucker_rank": 2},
    "block_term": {"tucker_rank": 2, "cp_rank": 2},
    "tensor_train": {"tt_ranks": 2},
    "tensor_ring": {"tr_ranks": 2},
}
PAIRED_MODES = {"in_modes": (8, 20, 20, 18), "out_modes": (4, 4, 4, 4)}


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"decomposition": "dense"}, 58_982_400),
        ({"decomposition": "block_term", **PAIRED_MODES, "tucker_rank": 4, "cp_rank": 2}, 3392),
        ({"decomposition": "tensor_train", **PAIRED_MODES, "tt_ranks": (1, 4, 4, 4, 1)}, 3360),
        ({"decomposition": "tensor_train", **PAIRED_MODES, "tt_ranks": 4}, 3360),
        (
            {
                "decomposition": "tensor_ring",
                "in_modes": (4, 2, 5, 8, 6, 5, 3, 2),
                "out_modes": (4, 4, 2, 4, 2),
                "tr_ranks": (10, *(5,) * 12),
            },
            1725,
        ),
    ],
)
def test_published_ucf11_layers_from_their_settings(settings: dict, count: int) -> None:
    layer = LayerSettings(**settings).resolve(57600, 256, gates=4)
    assert layer.num_params == count
    assert (layer.in_features, layer.out_features) == (57600, 1024)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("gates", [1, 3, 4])
@pytest.mark.parametrize("d", [1, 2, 5, 12])
def test_core_order_gives_modes_that_fit(name: str, gates: int, d: int) -> None:
    settings = LayerSettings(decomposition=name, core_order=d, **RANKS[name])
    layer = settings.resolve(120, 64, gates=gates)
    assert (len(layer.in_modes), len(layer.out_modes)) == (d, d)
    assert (product(layer.in_modes), product(layer.out_modes)) == (120, gates * 64)


def test_core_order_pairs_small_with_large_after_the_gates_are_fused() -> None:
    settings = {"core_order": 3, "cp_rank": 2}
    paired = LayerSettings(decomposition="cp", **settings).resolve(120, 64, gates=4)
    assert paired == CP(in_modes=(4, 5, 6), out_modes=(16, 4, 4), cp_rank=2)


def test_core_order_of_a_ring_leaves_the_modes_in_order() -> None:
    ring = LayerSettings(decomposition="tensor_ring", core_order=3, tr_ranks=2)
    expected = TensorRing(in_modes=(6, 5, 4), out_modes=(16, 4, 4), tr_ranks=(2,) * 6)
    assert ring.resolve(120, 64, gates=4) == expected


def test_written_modes_stay_as_they_are() -> None:
    settings = LayerSettings(
        decomposition="tensor_train", in_modes=(2, 60), out_modes=(2, 32), tt_ranks=3
    )
    expected = TensorTrain(in_modes=(2, 60), out_modes=(8, 32), tt_ranks=(1, 3, 1))
    assert settings.resolve(120, 64, gates=4) == expected


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("dense", Dense(in_modes=(120,), out_modes=(256,))),
        ("low_rank", LowRank(in_modes=(120,), out_modes=(256,), rank=3)),
    ],
)
def test_matrices_need_no_modes(name: str, layer: Layer) -> None:
    settings = LayerSettings(decomposition=name, **RANKS[name])
    assert settings.resolve(120, 64, gates=4) == layer


def test_plan_and_kernel_are_passed_on() -> None:
    settings = LayerSettings(decomposition="dense", plan="paper", kernel="torch").resolve(4, 4)
    assert (settings.plan, settings.kernel) == ("paper", "torch")
    layer = LayerSettings(decomposition="dense").resolve(4, 4)
    assert (layer.plan, layer.kernel) == ("auto", "auto")


def test_lists_are_as_good_as_tuples() -> None:
    settings = LayerSettings(
        decomposition="block_term",
        in_modes=[2, 3],
        out_modes=[3, 2],
        tucker_rank=[2, 1],
        cp_rank=1,
    )
    expected = BlockTerm(in_modes=(2, 3), out_modes=(3, 2), tucker_rank=(2, 1), cp_rank=1)
    assert settings.resolve(6, 6) == expected


TRAIN = {"decomposition": "tensor_train", "tt_ranks": 2}
BAD = [
    (
        {**TRAIN, "in_modes": (8, 8), "out_modes": (9, 9)},
        "in_modes [8, 8] multiply to 64, the task's input has 81 features",
    ),
    (
        {**TRAIN, "in_modes": (9, 9), "out_modes": (8, 8)},
        "out_modes [8, 8] multiply to 64, the layer's output has 81 features",
    ),
    (
        {**TRAIN, "in_modes": (9, 9), "out_modes": (9, 3, 3)},
        "tensor_train pairs in_modes with out_modes, which must have equal lengths, "
        "got [9, 9] and [9, 3, 3]",
    ),
    (
        {**TRAIN, "in_modes": (9, 0), "out_modes": (9, 9)},
        "every entry of in_modes must be a positive integer, got 0",
    ),
    (
        {**TRAIN},
        "tensor_train needs core_order or both in_modes and out_modes, got neither",
    ),
    (
        {**TRAIN, "in_modes": (9, 9)},
        "tensor_train needs core_order or both in_modes and out_modes, got in_modes = [9, 9]",
    ),
    (
        {"decomposition": "dense", "out_modes": (9, 9)},
        "dense needs core_order or both in_modes and out_modes, got out_modes = [9, 9]",
    ),
    (
        {**TRAIN, "core_order": 2, "in_modes": (9, 9)},
        "give either core_order or in_modes and out_modes, got core_order = 2 and "
        "in_modes = [9, 9]",
    ),
    ({**TRAIN, "core_order": 0}, "core_order must be a positive integer, got 0"),
    ({**TRAIN, "core_order": 2, "tt_ranks": 0}, "tt_ranks must be a positive integer, got 0"),
    (
        {"decomposition": "tensor_train", "core_order": 2},
        "tensor_train needs tt_ranks, got none",
    ),
    (
        {"decomposition": "block_term", "core_order": 2},
        "block_term needs tucker_rank and cp_rank, got none",
    ),
    (
        {"decomposition": "block_term", "core_order": 2, "cp_rank": 1},
        "block_term needs tucker_rank, got none",
    ),
    (
        {**TRAIN, "core_order": 2, "cp_rank": 3},
        "cp_rank is not a setting of tensor_train, got cp_rank = 3; its rank settings: tt_ranks",
    ),
    (
        {"decomposition": "dense", "tt_ranks": (1, 2, 1)},
        "tt_ranks is not a setting of dense, got tt_ranks = [1, 2, 1]; its rank settings: none",
    ),
    (
        {"decomposition": "tucker", "core_order": 2, "rank": 0},
        "rank is not a setting of tucker, got rank = 0; its rank settings: tucker_rank",
    ),
    (
        {"decomposition": "tensor_trian"},
        "decomposition must be one of: dense, low_rank, cp, tucker, block_term, tensor_train, "
        "tensor_ring; got 'tensor_trian' (did you mean 'tensor_train'?)",
    ),
    (
        {"decomposition": "dense", "plan": "fast"},
        "plan must be one of: auto, tuned, paper, optimal, halves, sequential, dense; got 'fast'",
    ),
    (
        {"decomposition": "dense", "kernel": "metal"},
        "kernel must be one of: auto, torch, native; got 'metal'",
    ),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[message[:60] for _, message in BAD])
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        LayerSettings(**settings).resolve(81, 81)
    assert str(error.value) == message


def test_every_rank_setting_of_every_decomposition_can_be_set() -> None:
    fields = LayerSettings.__dataclass_fields__
    assert {name for kind in LAYERS.values() for name in kind.RANKS} <= set(fields)
