"""The base class of all layers: modes, ranks, cores and counts, without any tensor."""

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
# torch.einsum has 52 letters. An equation that names every mode may also need one letter for a
# block index and one for a rank.
_LETTERS = 52


@dataclass(frozen=True, kw_only=True)
class Layer(ABC):
    """A linear map from product(in_modes) to product(out_modes) features, as a tensor network.

    A layer describes the map and holds no weights; `CompressedLinear` makes a module of it. The
    index labels are i1, i2, .. for the input, j1, j2, .. for the output and b for the rows of a
    batch. Vectors are reshaped to modes and back in row-major order. Write a subclass for each
    decomposition: it states its cores (`cores`) and the sizes of its rank indices (`rank_sizes`).

    Raises:
        ValueError: If a mode or rank is not a positive integer, the numbers of modes do not fit
            the decomposition, or the plan or kernel is unknown.
    """

    name: ClassVar[str]
    """The decomposition's key in `LAYERS`."""
    RANKS: ClassVar[tuple[str, ...]]
    """The names of its rank settings."""
    PAIRED: ClassVar[bool]
    """Whether one core carries in_modes[k] together with out_modes[k]."""

    in_modes: tuple[int, ...]
    """Sizes of the input's modes; their product is the number of input features."""
    out_modes: tuple[int, ...]
    """Sizes of the output's modes; the gates of a cell are already fused into the first one."""
    plan: str = field(default="auto", metadata={"unsaid": "optimal"})
    """The order in which the cores are contracted with the input.

    `paper`: one core after the other, as `cores` lists them. `optimal`: the order with the fewest
    FLOPs. `halves`: the cores merged into two groups. `sequential`: mode by mode, from the last.
    `dense`: W is built and multiplied. `auto`: the order and kernel that a cost model predicts to
    give the fastest training step. `tuned`: the fastest one measured on this machine."""
    kernel: str = "auto"
    """The implementation: `torch`, `native` (compiled C, CPU only), or `auto` for the faster one
    as predicted."""

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
        """Return the cores in the order in which the paper contracts them with the input."""

    @abstractmethod
    def rank_sizes(self) -> dict[str, int]:
        """Return the size of every rank index by its label."""

    def sizes(self) -> dict[str, int]:
        """Return the size of every index of the cores by its label: input, output, then ranks."""
        modes = (*self.in_modes, *self.out_modes)
        return dict(zip(self.in_indices + self.out_indices, modes, strict=True)) | self.rank_sizes()

    @cached_property
    def network(self) -> Network:
        """The cores and index sizes in the form that `rankbench.layers.contraction` takes."""
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
        """Number of output features of all gates together, J."""
        return product(self.out_modes)

    @property
    def core_order(self) -> int:
        """Number of input modes, d; the papers call it n for a tensor ring."""
        return len(self.in_modes)

    @property
    def ranks(self) -> tuple[int, ...]:
        """All ranks in one tuple, in the order of the settings in `RANKS`."""
        settings = (tupled(getattr(self, name)) for name in self.RANKS)
        return tuple(
            r for value in settings for r in (value if isinstance(value, tuple) else (value,))
        )

    @property
    def num_params(self) -> int:
        """Number of parameters, the sum of the elements of all cores."""
        sizes = self.sizes()
        return sum(product(tuple(sizes[label] for label in c.indices)) for c in self.cores())

    @property
    def dense_params(self) -> int:
        """Number of parameters of the dense matrix, I * J."""
        return self.in_features * self.out_features

    @property
    def compression_ratio(self) -> float:
        """Parameters of the dense matrix divided by parameters of this layer."""
        return self.dense_params / self.num_params

    def _normalise(self, name: str, value: Any) -> None:
        """Replace a setting by its normal form, so that equal layers compare and hash equal."""
        object.__setattr__(self, name, value)


def tupled(value: Any) -> Any:
    """Return `value`, converted to a tuple if it is a list."""
    return tuple(value) if isinstance(value, list) else value


def broadcast_ranks(name: str, value: Any, length: int) -> tuple[int, ...]:
    """Return one rank for each index.

    Args:
        name: The setting's name, for the error.
        value: One rank for all indices, or a list with one rank for each.
        length: The number of indices.

    Raises:
        ValueError: If a rank is not a positive integer, or a list has another length.

    Example:
        >>> broadcast_ranks("tucker_rank", 2, 3)
        (2, 2, 2)
    """
    value = tupled(value)
    if isinstance(value, tuple):
        positive_ints(name, value, length)
        return value
    positive_int(name, value)
    return (value,) * length
