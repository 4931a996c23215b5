"""What a study file says about a layer, and the layer that follows from it."""

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
    """A layer before the sizes of its task and the gates of its cell are known.

    `decomposition`: a name in LAYERS. Modes: either `in_modes` and `out_modes` (of one gate), or
    `core_order`, by which both sizes are factorised evenly; dense and low_rank need neither.
    `rank` is low_rank's, `cp_rank` of cp and block_term, `tucker_rank` of tucker and block_term,
    `tt_ranks` of tensor_train, `tr_ranks` of tensor_ring. `plan` and `kernel` as in Layer.

    Raises ValueError for an unknown decomposition, plan or kernel.
    """

    decomposition: str
    core_order: int | None = None
    in_modes: Modes | None = None
    out_modes: Modes | None = None
    rank: int | None = None
    cp_rank: int | None = None
    tucker_rank: Ranks | None = None
    tt_ranks: Ranks | None = None
    tr_ranks: Ranks | None = None
    plan: str = "auto"
    kernel: str = "auto"

    def __post_init__(self) -> None:
        one_of("decomposition", self.decomposition, LAYERS)
        one_of("plan", self.plan, PLANS)
        one_of("kernel", self.kernel, KERNELS)
        for name in ("in_modes", "out_modes", *RANK_SETTINGS):
            object.__setattr__(self, name, tupled(getattr(self, name)))

    def resolve(self, in_features: int, out_features: int, gates: int = 1) -> Layer:
        """The layer from `in_features` to `gates * out_features`.

        Raises ValueError for modes that do not multiply to the features, and for settings that
        are missing, contradict each other or belong to another decomposition.
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
                    f"{name} is no setting of {self.decomposition}, got {name} = {_shown(value)}; "
                    f"its rank settings: {', '.join(wanted) or 'none'}"
                )
        missing = [name for name in wanted if given[name] is None]
        if missing:
            raise ValueError(f"{self.decomposition} needs {' and '.join(missing)}, got none")
        return {name: given[name] for name in wanted}

    def _modes(self, in_features: int, out_features: int) -> tuple[Modes, Modes]:
        if self.core_order is not None:
            self._check_alone()
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

    def _check_alone(self) -> None:
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


# Every rank setting of any decomposition, in the order of LayerSettings.
RANK_SETTINGS = tuple(dict.fromkeys(name for kind in LAYERS.values() for name in kind.RANKS))


def _check_product(name: str, modes: Modes, owner: str, features: int) -> None:
    positive_ints(name, modes)
    if product(modes) != features:
        raise ValueError(
            f"{name} {list(modes)} multiply to {product(modes)}, {owner} has {features} features"
        )


def _shown(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
