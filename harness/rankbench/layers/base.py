"""What every layer knows about itself before a single tensor exists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from rankbench.common.checks import one_of, positive_int, positive_ints
from rankbench.layers.modes import product
from rankbench.layers.network import Core, Network

PLANS = ("auto", "tuned", "paper", "optimal", "halves", "sequential", "dense")
KERNELS = ("auto", "torch", "native")
_LETTERS = 52  # torch.einsum's; the dense weight, a block and a rank index must be nameable


@dataclass(frozen=True, kw_only=True)
class Layer(ABC):
    """A linear map from product(in_modes) to product(out_modes) features, as a tensor network.

    Inputs carry the index labels i1, i2, .., outputs j1, j2, .., the rows of a batch b. Vectors
    are reshaped to modes and back in row-major order; gates are already fused into `out_modes`.
    `plan` is how the cores meet the input: `paper`, one after the other as `cores` lists them;
    `optimal`, fewest FLOPs; `halves`, merged into two; `sequential`, mode by mode from the last;
    `dense`, W materialised; `auto`, whatever a cost model takes for the fastest training step;
    `tuned`, the fastest measured. `kernel`: `torch`, `native` (C, on a CPU), or `auto`.

    Raises ValueError for modes, ranks, a plan or a kernel that cannot be.
    """

    name: ClassVar[str]
    RANKS: ClassVar[tuple[str, ...]]  # the names of its rank settings
    PAIRED: ClassVar[bool]  # whether a core carries in_modes[k] together with out_modes[k]

    in_modes: tuple[int, ...]
    out_modes: tuple[int, ...]
    plan: str = field(default="auto", metadata={"unsaid": "optimal"})
    kernel: str = "auto"

    def __post_init__(self) -> None:
        for name in ("in_modes", "out_modes"):
            self._normalise(name, tupled(getattr(self, name)))
            positive_ints(name, getattr(self, name))
        one_of("plan", self.plan, PLANS)
        one_of("kernel", self.kernel, KERNELS)
        if len(self.in_modes) + len(self.out_modes) + 2 > _LETTERS:
            raise ValueError(
                f"core_order is too large: in_modes and out_modes have "
                f"{len(self.in_modes) + len(self.out_modes)} entries, at most {_LETTERS - 2} fit "
                "the letters of torch.einsum"
            )
        if self.PAIRED and len(self.in_modes) != len(self.out_modes):
            raise ValueError(
                f"{self.name} pairs in_modes with out_modes, which must have equal lengths, "
                f"got {list(self.in_modes)} and {list(self.out_modes)}"
            )

    @abstractmethod
    def cores(self) -> tuple[Core, ...]:
        """The cores in the order in which the paper contracts them with the input."""

    @abstractmethod
    def rank_sizes(self) -> dict[str, int]:
        """The size of every rank index, by its label."""

    def sizes(self) -> dict[str, int]:
        """The size of every index of the cores, by its label."""
        modes = (*self.in_modes, *self.out_modes)
        return dict(zip(self.in_indices + self.out_indices, modes, strict=True)) | self.rank_sizes()

    @cached_property
    def network(self) -> Network:
        """The cores and every index, as contraction takes them."""
        return Network(self.cores(), self.in_indices, self.out_indices, tuple(self.sizes().items()))

    @property
    def in_indices(self) -> tuple[str, ...]:
        """Labels of the input's dimensions."""
        return tuple(f"i{k}" for k in range(1, len(self.in_modes) + 1))

    @property
    def out_indices(self) -> tuple[str, ...]:
        """Labels of the output's dimensions."""
        return tuple(f"j{k}" for k in range(1, len(self.out_modes) + 1))

    @property
    def in_features(self) -> int:
        """Number of input features, I."""
        return product(self.in_modes)

    @property
    def out_features(self) -> int:
        """Number of output features, J, all gates together."""
        return product(self.out_modes)

    @property
    def core_order(self) -> int:
        """Number of input modes, d (n for a tensor ring)."""
        return len(self.in_modes)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Every rank, setting after setting in the order of `RANKS`."""
        settings = (tupled(getattr(self, name)) for name in self.RANKS)
        return tuple(
            r for value in settings for r in (value if isinstance(value, tuple) else (value,))
        )

    @property
    def num_params(self) -> int:
        """Number of parameters: the elements of all cores."""
        sizes = self.sizes()
        return sum(product(tuple(sizes[label] for label in c.indices)) for c in self.cores())

    @property
    def dense_params(self) -> int:
        """Number of parameters of the dense matrix, I * J."""
        return self.in_features * self.out_features

    @property
    def compression_ratio(self) -> float:
        """dense_params / num_params."""
        return self.dense_params / self.num_params

    def _normalise(self, name: str, value: Any) -> None:
        """Give a setting its one normal form, so that equal layers compare and hash equal."""
        object.__setattr__(self, name, value)


def tupled(value: Any) -> Any:
    """`value`, a list made a tuple."""
    return tuple(value) if isinstance(value, list) else value


def broadcast_ranks(name: str, value: Any, length: int) -> tuple[int, ...]:
    """A rank for each of `length` indices from one number for all, or from a full list.

    Raises ValueError for ranks that are not positive integers or a list of another length.
    """
    value = tupled(value)
    if isinstance(value, tuple):
        positive_ints(name, value, length)
        return value
    positive_int(name, value)
    return (value,) * length
