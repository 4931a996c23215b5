"""Checkpoint training and resume it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from rankbench.training.checkpoint import Checkpoint
from rankbench.training.step import set_learning_rate

if TYPE_CHECKING:
    from torch import Tensor, nn

_UNUSABLE = (OSError, ValueError, KeyError, TypeError, SafetensorError)

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class TrainingState:
    """The progress of a training."""

    epoch: int = 0
    """Epochs completed."""
    seconds: float = 0.0
    """Seconds that they took."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """The records yielded so far."""


class Checkpointer:
    """Writes the state of one training to a checkpoint, and restores it.

    The state is the model, the optimiser, the records and every random generator.

    Args:
        checkpoint: The checkpoint's files; None to do nothing.
        data: Hash of the data, if it is not part of the run's id. A checkpoint with another hash
            is not used.
        generators: Every random generator that the task draws from while it trains, by name, so
            that a resumed run continues the same sequence. Torch's global generators are always
            included.
    """

    def __init__(
        self, checkpoint: Checkpoint | None = None, *, data: str = "", **generators: torch.Generator
    ) -> None:
        self.checkpoint, self.data, self.generators = checkpoint, data, generators
        self.resumed_epoch: int | None = None
        self._kept = time.monotonic()

    def facts(self) -> dict[str, Any]:
        """Return the column of `runs` that records where the run was resumed, if it was."""
        return {} if self.resumed_epoch is None else {"resumed_epoch": self.resumed_epoch}

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
        """Restore the model, the optimiser and every generator from the checkpoint, if any.

        Call it before the first step, so that a step is compiled or captured with the restored
        state. A checkpoint that is damaged or does not fit is logged and ignored.

        Args:
            model: The model, whose parameters are replaced in place.
            optimizer: The optimiser, which must not have taken a step.

        Returns:
            The progress at the checkpoint; epoch 0 if there is none.
        """
        if self.checkpoint is None or not self.checkpoint.path.exists():
            return TrainingState()
        try:
            tensors, facts = self.checkpoint.read()
            reached = TrainingState(
                **{name: facts[name] for name in ("epoch", "seconds", "records")}
            )
            self._check(tensors, facts, model, optimizer)
        except _UNUSABLE as error:
            log.warning("checkpoint %s is not used: %s", self.checkpoint.path, error)
            return TrainingState()
        self._restore(tensors, facts["learning_rates"], model, optimizer)
        self.resumed_epoch = reached.epoch
        return reached

    def keep(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, reached: TrainingState
    ) -> None:
        """Write a checkpoint if the last one is at least `every_s` seconds old.

        A checkpoint that cannot be written is logged; training continues.

        Args:
            model: The model.
            optimizer: The optimiser.
            reached: The progress of the training.
        """
        if self.checkpoint is None or time.monotonic() - self._kept < self.checkpoint.every_s:
            return
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        facts = {
            **vars(reached),
            "learning_rates": rates,
            "data": self.data,
            "torch_version": torch.__version__,
        }
        try:
            self.checkpoint.write(self._tensors(model, optimizer), facts)
        except (OSError, SafetensorError) as error:
            log.warning("checkpoint %s cannot be written: %s", self.checkpoint.path, error)
        self._kept = time.monotonic()

    def _tensors(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Return every tensor that later epochs depend on, by name."""
        return {
            **{f"model.{name}": tensor for name, tensor in model.state_dict().items()},
            **{
                f"adam.{number}.{name}": tensor
                for number, state in optimizer.state_dict()["state"].items()
                for name, tensor in state.items()
            },
            **{f"generator.{name}": g.get_state() for name, g in self.generators.items()},
            "torch.cpu": torch.get_rng_state(),
            **({"torch.cuda": torch.cuda.get_rng_state()} if _on_gpu(model) else {}),
        }

    def _check(
        self,
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Raise ValueError unless the checkpoint fits the model, the optimiser and the data."""
        if facts["data"] != self.data:
            raise ValueError("it was trained on other data")
        if len(facts["learning_rates"]) != len(optimizer.param_groups):
            raise ValueError(
                f"it has {len(facts['learning_rates'])} parameter groups and should have "
                f"{len(optimizer.param_groups)}"
            )
        # The optimiser has no state before its first step, so its tensors are listed here.
        expected = self._tensors(model, optimizer)
        for number, parameter in enumerate(_parameters(optimizer)):
            for name in ("exp_avg", "exp_avg_sq"):
                expected[f"adam.{number}.{name}"] = parameter
            expected[f"adam.{number}.step"] = torch.zeros(())
        for name in sorted(expected.keys() | tensors.keys()):
            stored, needed = tensors.get(name), expected.get(name)
            if stored is None or needed is None or _kind(stored) != _kind(needed):
                raise ValueError(f"{name} is {_kind(stored)} and should be {_kind(needed)}")

    def _restore(
        self,
        tensors: Mapping[str, Tensor],
        learning_rates: list[float],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        model.load_state_dict(_below("model.", tensors))
        adam: dict[int, dict[str, Tensor]] = {}
        for place, tensor in _below("adam.", tensors).items():
            number, name = place.split(".")
            adam.setdefault(int(number), {})[name] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": adam})
        for group, rate in zip(optimizer.param_groups, learning_rates, strict=True):
            set_learning_rate(group, rate)
        for name, state in _below("generator.", tensors).items():
            self.generators[name].set_state(state)
        torch.set_rng_state(tensors["torch.cpu"])
        if "torch.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["torch.cuda"])


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _on_gpu(model: nn.Module) -> bool:
    return any(parameter.is_cuda for parameter in model.parameters())


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _kind(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{tensor.dtype} {list(tensor.shape)}"
