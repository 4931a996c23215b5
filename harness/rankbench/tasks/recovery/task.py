"""Recover a weight from noisy samples of it: y = W x + e.

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
    """Learn W (o, i) from `samples` pairs with x ~ N(0, input_variance), e ~ N(0, noise).

    `target` is the true W: a picture, or a draw from a decomposition, whose ranks and modes
    `target_settings` gives as a layer's are given; `target_seed` places it. W is scaled to a
    mean square of 1, so that an RMSE of W is relative. The run's seed draws x, e and the layer.
    `permute` puts the input features, W's columns, in an order that `permute_seed` draws, see
    `rankbench.tasks.permuting`.

    `learner` adam trains the layer on all samples at once; least_squares solves for a dense W
    exactly (the linear-regression line of TR Fig. 5 and 6). `keep_weights` stores the target and
    the recovered W; it is no part of a point. The loss is quadratic,

        L = (tr(V Sxx V^T) - 2 tr(V Syx^T) + tr(Syy)) / o,   Sab = mean over n of a b^T,

    so that adam may use the sufficient statistics S of the sample (`statistics`): the same loss
    and gradients as training on the samples, without minibatches, at a cost free of n.

    Raises ValueError for a value out of its range. Source: BT Fig. 9, TR Fig. 5 and 6.
    """

    name: ClassVar[str] = "recovery"
    uses_cell: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    trains_together: ClassVar[bool] = True

    in_features: int = 64
    out_features: int = 64
    samples: int = 3200
    input_variance: float = 0.5
    noise: float = 0.0
    target: str = "disk"
    target_settings: Any = ()
    target_seed: int = 0
    permute: str = "none"
    permute_seed: int = 0
    learner: str = "adam"
    statistics: bool = True
    fresh_samples: int = 1000
    keep_weights: bool = field(default=True, metadata={"identity": None})

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
                f"task recovery learns a bare map; cell must be null, got {point.cell}"
            )
        if self.learner == "least_squares" and point.layer.name != "dense":
            raise ValueError(
                "task.learner least_squares solves for a dense W; "
                f"layer.decomposition must be dense, got {point.layer.name}"
            )
        if self.learner == "adam" and point.training is None:
            raise ValueError("task recovery with learner adam needs training settings")
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
        """Train replicates on one stack of cores; other learners and computes take turns.

        So do those that may stop early. A stack forms W and applies it to the samples, whatever
        the layer's plan.
        """
        stops = point.training is not None and point.training.patience is not None
        if self.learner == "adam" and point.compute == Compute() and not stops:
            yield from self._run_stacked(point, contexts)
        else:
            for place, context in enumerate(contexts):
                yield [(place, row) for row in self.run(point, context)]

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
        yield [(place, ("runs", facts)) for place in range(len(seeds))]
        samples = (self.draw_samples(W, seed) for seed in seeds)
        data = stack_samples(samples, W.dtype if self.statistics else None)
        fresh = second_moments(self.draw_fresh(W, seed) for seed in seeds)
        running = set(range(len(seeds)))
        for records in train_stack(model, point.training, W, data, fresh):
            rows: list[Replicate] = []
            for place, record in records:
                if isinstance(record, Diverged):
                    running.remove(place)
                    rows.append((place, record))
                else:
                    rows.extend((place, row) for row in self.record_rows(record))
            yield rows
        recovered = model.to_dense().detach()
        for place in running:
            yield [(place, row) for row in self.weight_rows(W, recovered[place])]

    @staticmethod
    def record_rows(record: dict[str, Any]) -> tuple[Row, Row]:
        """A record of training as rows of `epochs` and `runs`."""
        curve = {key: record[key] for key in ("epoch", "train_loss", "seconds", "rmse")}
        kept = {key: record[key] for key in ("train_loss", "rmse", "rmse_prediction")}
        return ("epochs", curve), ("runs", {**kept, "epochs": record["epoch"]})

    def weight_rows(
        self, W: Float[Tensor, "o i"], recovered: Float[Tensor, "o i"]
    ) -> Iterator[Row]:
        """The rows of `weights` that `keep_weights` asks for."""
        import torch

        for name, weight in (("target", W), ("recovered", recovered)) if self.keep_weights else ():
            values = weight.to("cpu", torch.float64).flatten().tolist()
            yield "weights", {"name": name, "shape": list(weight.shape), "values": values}

    def true_weight(self) -> Float[Tensor, "o i"]:
        """The target W in float64, its mean square 1."""
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
        """Seeded x and y = W x + e, on the device and in the type of W."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        x = self._inputs(self.samples, generator).to(W)
        e = torch.randn(self.samples, self.out_features, generator=generator, dtype=torch.float64)
        return x, x @ W.T + (e * math.sqrt(self.noise)).to(W)

    def draw_fresh(self, W: Float[Tensor, "o i"], seed: int) -> Float[Tensor, "n i"]:
        """Seeded x that nobody learns from, on the device and in the type of W."""
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
            curve, (table, kept) = self.record_rows(record)
            yield curve
            yield table, {**kept, **execution.facts(), **checkpointer.facts()}

    def _check_compute(self, compute: Compute) -> None:
        if self.learner == "least_squares" and compute != Compute():
            raise ValueError("task.learner least_squares takes no steps; leave compute out")
        if self.statistics and compute.precision != "float32":
            raise ValueError(
                "task.statistics trains W on moments, not through the map; "
                f"compute.precision {compute.precision} needs task.statistics=false"
            )

    def _target_layer(self) -> Layer:
        settings = LayerSettings(decomposition=self.target, **dict(self.target_settings))
        return settings.resolve(self.in_features, self.out_features)


def _rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()
