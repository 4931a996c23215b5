"""Run one training step: eagerly, compiled, or as a CUDA graph."""

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
# Steps before a capture. They allocate memory, make plans, compile, and create Adam's state, none
# of which may happen during the capture.
WARMUP = 3


class TrainingStep(Generic[Batch]):
    """A training step: clear the gradients, forward, backward, update. Calling it returns the loss.

    The first batch runs eagerly, because plans are made during it, which a compiler cannot trace.
    Later batches of the same shape run compiled or, after WARMUP steps, as a CUDA graph. Batches
    of other shapes, such as the last one of an epoch, run eagerly. If compilation or capture fails,
    it is not tried again, and `execution` records why.

    Args:
        loss: Maps a batch, which is any nesting of tuples of tensors, to a scalar.
        optimizer: The optimiser.
        execution: Whether to compile or capture, and the precision.
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
        with _side_stream() if self._captures else contextlib.nullcontext():
            return self._run(batch, compiled=self._compiles and self._done > 1)

    def settle(self, batch: Batch) -> None:
        """Take steps until every further step of this shape runs in the same way."""
        if self._compiles or self._captures:
            for _ in range(WARMUP + 1):
                self(batch)

    def forward(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch, with the compiled function if there is one by now."""
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
            with warnings.catch_warnings(action="ignore"):  # torch warns about its own internals.
                self._compiled = torch.compile(self.loss, dynamic=False)
                loss = self._gradients(self._compiled, batch)
        except Exception as error:
            # The compiler may fail in many ways on a step that runs eagerly.
            self._compiles, self._compiled = False, None
            self.execution.leave("compile", error)
            return None
        self.execution.follow("compile")
        return loss

    def _replay(self, batch: Batch) -> Tensor | None:
        if self._graph is None:
            # Without gradients from before, the capture allocates gradients of its own.
            self.optimizer.zero_grad(set_to_none=True)
            try:
                self._graph = Graph(
                    lambda static: self._run(static, compiled=self._compiles), batch
                )
            except Exception as error:
                # Not every operation can be captured; the step then runs without a graph.
                self._captures = False
                self.execution.leave("cuda_graph", error)
                return None
            self.execution.follow("cuda_graph")
        return self._graph(batch)


class Graph(Generic[Batch]):
    """A step captured as a CUDA graph.

    The graph reads a batch of its own; a call copies the given batch into it and replays the graph.
    """

    def __init__(self, step: Callable[[Batch], Tensor], batch: Batch) -> None:
        self.static: Batch = torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, batch)
        self.replay, self.loss = _capture(lambda: step(self.static))

    def __call__(self, batch: Batch) -> Tensor:
        for static, new in zip(_tensors(self.static), _tensors(batch), strict=True):
            static.copy_(new)
        self.replay()
        return self.loss.clone()


def set_learning_rate(group: dict[str, Any], rate: float) -> None:
    """Set the learning rate of a parameter group, in place if a CUDA graph may read it."""
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _tensors(batch: Any) -> list[Tensor]:
    return [
        leaf for leaf in torch.utils._pytree.tree_leaves(batch) if isinstance(leaf, torch.Tensor)
    ]


def _capture(step: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record `step` without executing it; return what replays it, and the loss that it writes."""
    graph = torch.cuda.CUDAGraph()
    # A failed capture may leave its stream as the current one, so it runs inside _side_stream.
    with _side_stream(), torch.cuda.graph(graph):
        loss = step()
    return graph.replay, loss


@contextlib.contextmanager
def _side_stream() -> Iterator[None]:
    """Run the work inside on a stream of its own, as a capture does."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)
