"""Recover a weight matrix from noisy samples of its map: y = W x + e.

Letters: n samples, i input features, o output features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float

from rankbench.common.checks import number, one_of, positive_int
from rankbench.layers import LAYERS, Layer
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Context, Replicate, Row, RunCost, Task
from rankbench.tasks.permuting import check_permutation, new_order, said
from rankbench.training.early_stopping import Monitor
from rankbench.training.settings import Compute, Diverged

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rankbench.layers.linear import CompressedLinear
    from rankbench.tasks.base import Point
    from rankbench.training.execution import Execution
    from rankbench.training.resume import Checkpointer

LEARNERS = ("adam", "least_squares")
PICTURES = ("disk", "ring", "cross", "stripes", "checkerboard")
TARGETS = (*PICTURES, *LAYERS)


@dataclass(frozen=True, kw_only=True)
class Recovery(Task):
    """Recover W (o, i) from pairs y = W x + e with x ~ N(0, input_variance), e ~ N(0, noise).

    W is scaled to a mean square of 1, so that the RMSE of a recovered W is relative. The seed of
    the run draws x, e and the initial layer. The loss is quadratic,

        L = (tr(V Sxx V^T) - 2 tr(V Syx^T) + tr(Syy)) / o,   Sab = mean over n of a b^T,

    where V is the layer's dense weight. Adam therefore can use the sufficient statistics S of the
    samples: loss and gradients are those of training on all samples, at a cost that does not depend
    on n.

    Source: BT Fig. 9, TR Fig. 5 and 6.

    Raises:
        ValueError: A value is out of its range.

    Example:
        >>> task = Recovery(in_features=8, out_features=8, target="ring", noise=0.05)
        >>> tuple(task.true_weight().shape)
        (8, 8)
    """

    name: ClassVar[str] = "recovery"
    uses_cell: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    trains_together: ClassVar[bool] = True

    in_features: int = 64
    """Columns of W, i."""
    out_features: int = 64
    """Rows of W, o."""
    samples: int = 3200
    """Pairs to learn from, n."""
    input_variance: float = 0.5
    """Variance of each input value; above 0."""
    noise: float = 0.0
    """Variance of the noise on each output value; 0 or more."""
    target: str = "disk"
    """The true W: the name of a picture, or of a decomposition from which W is drawn."""
    target_settings: Any = ()
    """Modes and ranks of the target's decomposition, as in the settings of a layer."""
    target_seed: int = 0
    """Seed of the target."""
    permute: str = "none"
    """Order of the input features: none, pixels or modes; see `new_order`."""
    permute_seed: int = 0
    """Seed of the permutation; 0 without one."""
    learner: str = "adam"
    """adam trains the layer; least_squares solves for a dense W (the line of TR Fig. 5, 6)."""
    statistics: bool = True
    """Whether adam uses the sufficient statistics instead of the samples."""
    fresh_samples: int = 1000
    """Samples, not used for training, on which predictions are tested."""
    keep_weights: bool = field(default=True, metadata={"identity": None})
    """Whether to store the true and the recovered W; not part of a point's id."""

    def __post_init__(self) -> None:
        for name in ("in_features", "out_features", "samples", "fresh_samples"):
            positive_int(f"task.{name}", getattr(self, name))
        number("task.input_variance", self.input_variance, 0.0, math.inf, open_low=True)
        number("task.noise", self.noise, 0.0, math.inf)
        one_of("task.target", self.target, TARGETS)
        one_of("task.learner", self.learner, LEARNERS)
        check_permutation(self.permute, self.permute_seed)
        if isinstance(self.target_settings, Mapping):
            pairs = tuple(sorted(self.target_settings.items()))
            object.__setattr__(self, "target_settings", pairs)

    def sizes(self) -> tuple[int, int]:
        return self.in_features, self.out_features

    def check(self, point: Point) -> None:
        if point.cell is not None:
            raise ValueError(
                "cell must be null with task recovery, which learns a layer alone; "
                f"got {point.cell}"
            )
        if self.learner == "least_squares" and point.layer.name != "dense":
            raise ValueError(
                "layer.decomposition must be dense with task.learner=least_squares, "
                f"which solves for a dense W; got {point.layer.name}"
            )
        if self.learner == "adam" and point.training is None:
            raise ValueError("task recovery with learner adam needs training settings, got none")
        self._check_compute(point.compute)
        if self.target in LAYERS:
            self._target_layer()

    def monitor(self) -> Monitor:
        return "rmse", "minimize"

    def describe(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "noise": float(self.noise),
            "samples": self.samples,
            "learner": self.learner,
            "permute": said(self.permute),
        }

    def run_cost(self, point: Point) -> RunCost:
        cores = len(point.layer.cores())
        steps = point.training.epochs if point.training and self.learner == "adam" else 1
        return RunCost(
            flops=3.0 * layer_cost(point.layer, self.rows(point)).flops,
            calls=20 + 8 * cores,
            steps=steps,
        )

    def rows(self, point: Point) -> int:
        return self.in_features if self.statistics else self.samples

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        import torch

        from rankbench.layers.linear import CompressedLinear  # loads torch
        from rankbench.training.execution import Execution
        from rankbench.training.resume import Checkpointer

        dtype = getattr(torch, point.dtype)
        W = self.true_weight().to(context.device, dtype)
        x, y = self.draw_samples(W, context.seed)
        x_fresh = self.draw_fresh(W, context.seed)
        precision = point.compute.products(dtype)
        model = CompressedLinear(point.layer, context.seed, dtype, context.device, precision)
        yield "runs", {"model_params": sum(p.numel() for p in model.parameters())}

        def errors(V: Tensor) -> dict[str, float]:
            return {"rmse": _rms(V - W), "rmse_prediction": _rms(x_fresh @ (V - W).T)}

        if self.learner == "least_squares":
            recovered = torch.linalg.lstsq(x, y).solution.T
            yield "runs", {**errors(recovered), "train_loss": _rms(y - x @ recovered.T) ** 2}
        else:
            execution = Execution(point.compute, context.device, point.dtype)
            checkpointer = Checkpointer(context.checkpoint)
            yield from self._train(model, point, execution, checkpointer, x, y, errors)
            recovered = model.to_dense().detach()
        yield from self.weight_rows(W, recovered)

    def run_together(
        self, point: Point, contexts: Sequence[Context]
    ) -> Iterator[Sequence[Replicate]]:
        """Train replicates on one stack of cores if possible, otherwise one after the other.

        A stack needs the learner adam, default `compute` settings and no early stopping. It always
        forms W and applies W to the samples; the layer's plan has no effect.
        """
        stops = point.training is not None and point.training.patience is not None
        if self.learner == "adam" and point.compute == Compute() and not stops:
            yield from self._run_stacked(point, contexts)
        else:
            for index, context in enumerate(contexts):
                yield [(index, row) for row in self.run(point, context)]

    def _run_stacked(
        self, point: Point, contexts: Sequence[Context]
    ) -> Iterator[Sequence[Replicate]]:
        """Train all seeds as one stack, on the device that their contexts share."""
        import torch

        from rankbench.layers.stacked import StackedLinear  # loads torch
        from rankbench.tasks.recovery.replicated import second_moments, stack_samples, train_stack
        from rankbench.training.execution import Execution

        assert point.training is not None
        seeds, device = [context.seed for context in contexts], contexts[0].device
        W = self.true_weight().to(device, getattr(torch, point.dtype))
        model = StackedLinear(point.layer, seeds, dtype=W.dtype, device=device)
        execution = Execution(device=device, dtype=point.dtype).facts()
        facts = {"model_params": point.layer.num_params, **execution}
        yield [(index, ("runs", facts)) for index in range(len(seeds))]
        samples = (self.draw_samples(W, seed) for seed in seeds)
        data = stack_samples(samples, W.dtype if self.statistics else None)
        fresh = second_moments(self.draw_fresh(W, seed) for seed in seeds)
        running = set(range(len(seeds)))
        for records in train_stack(model, point.training, W, data, fresh):
            rows: list[Replicate] = []
            for index, record in records:
                if isinstance(record, Diverged):
                    running.remove(index)
                    rows.append((index, record))
                else:
                    rows.extend((index, row) for row in self.record_rows(record))
            yield rows
        recovered = model.to_dense().detach()
        for index in running:
            yield [(index, row) for row in self.weight_rows(W, recovered[index])]

    @staticmethod
    def record_rows(record: dict[str, Any]) -> tuple[Row, Row]:
        """Split a record of the training into a row of `epochs` and a row of `runs`."""
        curve = {key: record[key] for key in ("epoch", "train_loss", "seconds", "rmse")}
        latest = {key: record[key] for key in ("train_loss", "rmse", "rmse_prediction")}
        return ("epochs", curve), ("runs", {**latest, "epochs": record["epoch"]})

    def weight_rows(
        self, W: Float[Tensor, "o i"], recovered: Float[Tensor, "o i"]
    ) -> Iterator[Row]:
        """Yield the true and the recovered W as rows of `weights`, if `keep_weights` is set."""
        import torch

        for name, weight in (("target", W), ("recovered", recovered)) if self.keep_weights else ():
            values = weight.to("cpu", torch.float64).flatten().tolist()
            yield "weights", {"name": name, "shape": list(weight.shape), "values": values}

    def true_weight(self) -> Float[Tensor, "o i"]:
        """Return the true W in float64, scaled to a mean square of 1."""
        import torch

        generator = torch.Generator().manual_seed(self.target_seed)
        if self.target in PICTURES:
            from rankbench.tasks.recovery.pictures import draw  # loads torch

            W = draw(self.target, self.out_features, self.in_features, generator)
        else:
            from rankbench.layers.linear import CompressedLinear  # loads torch

            layer = self._target_layer()
            W = CompressedLinear(layer, self.target_seed, dtype=torch.float64).to_dense().detach()
        W = W[:, new_order(self.in_features, self.permute, self.permute_seed)]
        return W / _rms(W)

    def draw_samples(
        self, W: Float[Tensor, "o i"], seed: int
    ) -> tuple[Float[Tensor, "n i"], Float[Tensor, "n o"]]:
        """Draw x and y = W x + e with a seed, on the device and in the type of W."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        x = self._inputs(self.samples, generator).to(W)
        e = torch.randn(self.samples, self.out_features, generator=generator, dtype=torch.float64)
        return x, x @ W.T + (e * math.sqrt(self.noise)).to(W)

    def draw_fresh(self, W: Float[Tensor, "o i"], seed: int) -> Float[Tensor, "n i"]:
        """Draw the x on which predictions are tested, on the device and in the type of W."""
        import torch

        return self._inputs(self.fresh_samples, torch.Generator().manual_seed(seed + 2**31)).to(W)

    def _inputs(self, n: int, generator: torch.Generator) -> Float[Tensor, "n i"]:
        import torch

        x = torch.randn(n, self.in_features, generator=generator, dtype=torch.float64)
        return x * math.sqrt(self.input_variance)

    def _train(
        self,
        model: CompressedLinear,
        point: Point,
        execution: Execution,
        checkpointer: Checkpointer,
        x: Tensor,
        y: Tensor,
        errors: Callable[[Tensor], dict[str, float]],
    ) -> Iterator[Row]:
        assert point.training is not None
        from rankbench.tasks.recovery.sample import Moments  # loads torch
        from rankbench.training.loop import train

        moments = Moments.of(x, y)

        def loss(_: None) -> Tensor:
            if self.statistics:
                return moments.loss(model.to_dense())
            residual: Tensor = model(x) - y
            return residual.square().mean()

        def evaluate() -> dict[str, float]:
            return errors(model.to_dense())

        for record in train(
            model,
            point.training,
            batches=lambda: [None],
            loss=loss,
            evaluate=evaluate,
            execution=execution,
            checkpointer=checkpointer,
            monitor=self.monitor(),
        ):
            curve, (table, latest) = self.record_rows(record)
            yield curve
            yield table, {**latest, **execution.facts(), **checkpointer.facts()}

    def _check_compute(self, compute: Compute) -> None:
        if self.learner == "least_squares" and compute != Compute():
            raise ValueError(
                "compute must be left out with task.learner=least_squares, which takes no training"
                " steps"
            )
        if self.statistics and compute.precision != "float32":
            raise ValueError(
                f"compute.precision={compute.precision} needs task.statistics=false: with"
                " statistics, the layer is trained on moments, not on products with the samples"
            )

    def _target_layer(self) -> Layer:
        settings = LayerSettings(decomposition=self.target, **dict(self.target_settings))
        return settings.resolve(self.in_features, self.out_features)


def _rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()
