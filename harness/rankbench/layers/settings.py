"""The settings of a layer in a study file, and the layer they resolve to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rankbench.common.checks import one_of, positive_int, positive_ints
from rankbench.layers import LAYERS, Layer
from rankbench.layers.base import KERNELS, PLANS, tupled
from rankbench.layers.modes import factorise, fuse_gates, pair, product

Ranks = int | tuple[int, ...]
Modes = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LayerSettings:
    """The settings of a layer before the task's sizes and the cell's gates are known.

    Give either `core_order` or both `in_modes` and `out_modes`; `dense` and `low_rank` need
    neither. Give exactly the ranks that the decomposition has. `resolve` checks both.

    Raises:
        ValueError: If the decomposition, plan or kernel is unknown.

    Example:
        >>> settings = LayerSettings(decomposition="tensor_train", core_order=4, tt_ranks=4)
        >>> layer = settings.resolve(57600, 256, gates=4)
        >>> layer.in_modes, layer.out_modes, layer.num_params
        ((15, 15, 16, 16), (16, 4, 4, 4), 3200)
    """

    decomposition: str
    """A name in `LAYERS`."""
    core_order: int | None = None
    """Number of modes d, at least 1; the input's and the output's size are factorised evenly."""
    in_modes: Modes | None = None
    """Sizes of the input's modes; their product must be the task's number of input features."""
    out_modes: Modes | None = None
    """Sizes of the output's modes for one gate; the gates are fused into the first one."""
    rank: int | None = None
    """Rank of `low_rank`."""
    cp_rank: int | None = None
    """Number of terms of `cp`, or of block terms of `block_term`."""
    tucker_rank: Ranks | None = None
    """Ranks of `tucker` and `block_term`: one for all modes, or one for each."""
    tt_ranks: Ranks | None = None
    """Ranks of `tensor_train`: one for all inner ranks, or R_0 .. R_d with R_0 = R_d = 1."""
    tr_ranks: Ranks | None = None
    """Ranks of `tensor_ring`: one for all, or R_0 .. R_{n+m-1}."""
    plan: str = "auto"
    """How the cores are contracted with the input; see `Layer.plan`."""
    kernel: str = "auto"
    """`torch`, `native` (compiled C, CPU only) or `auto`; see `Layer.kernel`."""

    def __post_init__(self) -> None:
        one_of("decomposition", self.decomposition, LAYERS)
        one_of("plan", self.plan, PLANS)
        one_of("kernel", self.kernel, KERNELS)
        for name in ("in_modes", "out_modes", *RANK_SETTINGS):
            object.__setattr__(self, name, tupled(getattr(self, name)))

    def resolve(self, in_features: int, out_features: int, gates: int = 1) -> Layer:
        """Return the layer from `in_features` to `gates * out_features` features.

        Args:
            in_features: Number of input features, I.
            out_features: Number of output features of one gate, the cell's hidden size.
            gates: Number of gates: 4 for LSTM, 3 for GRU, 1 for RNN or no cell.

        Raises:
            ValueError: If modes do not multiply to the features, or if settings are missing,
                contradict each other or belong to another decomposition.
        """
        ranks = self._ranks()
        in_modes, out_modes = self._modes(in_features, out_features)
        out_modes = fuse_gates(out_modes, gates)
        kind = LAYERS[self.decomposition]
        if kind.PAIRED and self.core_order is not None:
            in_modes = pair(in_modes, out_modes)
        how = {"plan": self.plan, "kernel": self.kernel}
        return kind(in_modes=in_modes, out_modes=out_modes, **how, **ranks)

    def _ranks(self) -> dict[str, Any]:
        wanted = LAYERS[self.decomposition].RANKS
        given = {name: getattr(self, name) for name in RANK_SETTINGS}
        for name, value in given.items():
            if value is not None and name not in wanted:
                raise ValueError(
                    f"{name} is not a setting of {self.decomposition}, got {name} = "
                    f"{_shown(value)}; "
                    f"its rank settings: {', '.join(wanted) or 'none'}"
                )
        missing = [name for name in wanted if given[name] is None]
        if missing:
            raise ValueError(f"{self.decomposition} needs {' and '.join(missing)}, got none")
        return {name: given[name] for name in wanted}

    def _modes(self, in_features: int, out_features: int) -> tuple[Modes, Modes]:
        if self.core_order is not None:
            self._check_no_modes()
            positive_int("core_order", self.core_order)
            return factorise(in_features, self.core_order), factorise(out_features, self.core_order)
        if self.in_modes is not None and self.out_modes is not None:
            _check_product("in_modes", self.in_modes, "the task's input", in_features)
            _check_product("out_modes", self.out_modes, "the layer's output", out_features)
            return self.in_modes, self.out_modes
        if self.in_modes is None and self.out_modes is None and self._is_matrix():
            return (in_features,), (out_features,)
        raise ValueError(
            f"{self.decomposition} needs core_order or both in_modes and out_modes, "
            f"got {self._given_modes()}"
        )

    def _check_no_modes(self) -> None:
        if self.in_modes is not None or self.out_modes is not None:
            raise ValueError(
                f"give either core_order or in_modes and out_modes, got {self._given_modes()}"
            )

    def _given_modes(self) -> str:
        names = ("core_order", "in_modes", "out_modes")
        given = [f"{n} = {_shown(getattr(self, n))}" for n in names if getattr(self, n) is not None]
        return " and ".join(given) or "neither"

    def _is_matrix(self) -> bool:
        return self.decomposition in ("dense", "low_rank")


# The rank settings of all decompositions, in the order of the fields of LayerSettings.
RANK_SETTINGS = tuple(dict.fromkeys(name for kind in LAYERS.values() for name in kind.RANKS))


def _check_product(name: str, modes: Modes, owner: str, features: int) -> None:
    positive_ints(name, modes)
    if product(modes) != features:
        raise ValueError(
            f"{name} {list(modes)} multiply to {product(modes)}, {owner} has {features} features"
        )


def _shown(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
