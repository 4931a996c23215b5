"""One training step, as a Compute asks: eager, compiled, or replayed as a CUDA graph."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from rankbench.training.execution import Execution

if TYPE_CHECKING:
    from torch import Tensor

    Shapes = list[tuple[torch.Size, torch.dtype]]

Batch = TypeVar("Batch")
WARMUP = 3  # steps before a capture: allocations, plans, compilation and Adam's state


class TrainingStep(Generic[Batch]):
    """Clear the gradients, forward, backward, the optimiser's update; returns the loss.

    `loss` maps a batch, tensors in any nest of tuples, to a scalar. The first batch runs as
    written, for what is planned once is no part of a trace; later ones of its shape run compiled
    or, after WARMUP steps, captured. A batch of another shape, such as the last of an epoch, runs
    as written. What fails is left out from then on, and `execution` is told why.
    """

    def __init__(
        self,
        loss: Callable[[Batch], Tensor],
        optimizer: torch.optim.Optimizer,
        execution: Execution,
    ) -> None:
        self.loss, self.optimizer, self.execution = loss, optimizer, execution
        self._compiles, self._captures = execution.compute.compile, execution.captures
        self._compiled: Callable[[Batch], Tensor] | None = None
        self._graph: Graph[Batch] | None = None
        self._shapes: Shapes | None = None
        self._done = 0

    def __call__(self, batch: Batch) -> Tensor:
        if not (self._compiles or self._captures) or not self._is_usual(batch):
            return self._run(batch)
        self._done += 1
        if self._captures and self._done > WARMUP and (replayed := self._replay(batch)) is not None:
            return replayed
        with _beside() if self._captures else contextlib.nullcontext():
            return self._run(batch, compiled=self._compiles and self._done > 1)

    def settle(self, batch: Batch) -> None:
        """Take the steps after which every further one of this shape runs alike."""
        if self._compiles or self._captures:
            for _ in range(WARMUP + 1):
                self(batch)

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch, by the compiled function where there is one by now."""
        return (self._compiled or self.loss)(batch)

    def _is_usual(self, batch: Batch) -> bool:
        shapes = [(leaf.shape, leaf.dtype) for leaf in _tensors(batch)]
        if self._shapes is None:
            self._shapes = shapes
        return shapes == self._shapes

    def _run(self, batch: Batch, *, compiled: bool = False) -> Tensor:
        with self.execution.scope():
            loss = self._compiled_gradients(batch) if compiled else None
            if loss is None:
                loss = self._gradients(self.loss, batch)
            self.optimizer.step()
        return loss.detach()

    def _gradients(self, loss_of: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = loss_of(batch)
        loss.backward()
        return loss

    def _compiled_gradients(self, batch: Batch) -> Tensor | None:
        try:
            if self._compiled is not None:
                return self._gradients(self._compiled, batch)
            with warnings.catch_warnings(action="ignore"):  # those of torch about itself
                self._compiled = torch.compile(self.loss, dynamic=False)
                loss = self._gradients(self._compiled, batch)
        except Exception as error:
            # Whatever the compiler trips over, the step itself may be sound.
            self._compiles, self._compiled = False, None
            self.execution.leave("compile", error)
            return None
        self.execution.follow("compile")
        return loss

    def _replay(self, batch: Batch) -> Tensor | None:
        if self._graph is None:
            self.optimizer.zero_grad(set_to_none=True)  # so that the graph has its own gradients
            try:
                self._graph = Graph(lambda own: self._run(own, compiled=self._compiles), batch)
            except Exception as error:
                # Not every operation can be captured; the step runs without.
                self._captures = False
                self.execution.leave("cuda_graph", error)
                return None
            self.execution.follow("cuda_graph")
        return self._graph(batch)


class Graph(Generic[Batch]):
    """A step captured with a batch of its own, which a replay fills with the batch at hand."""

    def __init__(self, step: Callable[[Batch], Tensor], batch: Batch) -> None:
        self.own: Batch = torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, batch)
        self.replay, self.loss = _capture(lambda: step(self.own))

    def __call__(self, batch: Batch) -> Tensor:
        for own, new in zip(_tensors(self.own), _tensors(batch), strict=True):
            own.copy_(new)
        self.replay()
        return self.loss.clone()


def set_learning_rate(group: dict[str, Any], rate: float) -> None:
    """Set the rate of an optimiser's group, in place where a captured step reads it."""
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _tensors(batch: Any) -> list[Tensor]:
    return [
        leaf for leaf in torch.utils._pytree.tree_leaves(batch) if isinstance(leaf, torch.Tensor)
    ]


def _capture(step: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """What replays `step`, which is recorded but not executed, and the loss it writes."""
    graph = torch.cuda.CUDAGraph()
    # A capture that fails may leave its stream as the current one.
    with _beside(), torch.cuda.graph(graph):
        loss = step()
    return graph.replay, loss


@contextlib.contextmanager
def _beside() -> Iterator[None]:
    """Work inside runs on a stream of its own, as a capture does."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)
