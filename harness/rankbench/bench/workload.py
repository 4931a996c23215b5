"""The calls that are timed for every contender: the map alone, and a training step with it.

Shapes: rows = batch * time; in_features, out_features of the map.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from rankbench.bench.contenders import Contender
from rankbench.bench.interleave import Lane
from rankbench.bench.maps import CLASSES, GATES, TIME_STEPS
from rankbench.layers import Layer

TOLERANCES = {"float32": 1e-4, "bfloat16": 5e-2}
DTYPES = tuple(TOLERANCES)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Random data, the same for all contenders."""

    clips: Float[Tensor, "batch time in_features"]
    """Clips drawn from N(0, 1)."""
    gradient: Float[Tensor, "rows out_features"]
    """Gradient of the map's output, drawn from N(0, 1)."""
    labels: Int64[Tensor, " batch"]
    """Class of each clip."""

    @classmethod
    def draw(cls, layer: Layer, batch: int, dtype: str, seed: int, device: str = "cpu") -> Data:
        """Draw `batch` clips of six frames, with the features of `layer`."""
        kind = getattr(torch, dtype)
        source = torch.Generator().manual_seed(seed)
        clips = torch.randn(batch, TIME_STEPS, layer.in_features, generator=source)
        gradient = torch.randn(batch * TIME_STEPS, layer.out_features, generator=source)
        labels = torch.randint(CLASSES, (batch,), generator=source)
        return cls(
            clips=clips.to(device, kind),
            gradient=gradient.to(device, kind),
            labels=labels.to(device),
        )


class LSTMClassifier(nn.Module):
    """A linear head on the last output of an LSTM."""

    def __init__(self, recurrent: nn.Module, hidden_size: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(hidden_size, CLASSES, dtype=dtype)

    def forward(self, clips: Float[Tensor, "batch time in_features"]) -> Float[Tensor, "batch k"]:
        """Return the logit of every class, in float32."""
        outputs, _ = self.recurrent(clips)
        logits: Tensor = self.head(outputs[:, -1])
        return logits.float()


class Workload:
    """The map and the model of one contender, and the calls that are timed.

    `forward` and `backward` run the map alone over all rows, without a gradient of the input.
    `step` clears the gradients and runs the LSTM, the head, the cross entropy, the backward pass
    and fused Adam.

    Args:
        contender: The implementation.
        layer: The layer that it implements.
        data: Inputs, gradient and labels.
        seed: Seed of the weights.

    Raises:
        ValueError: The output of the map is not x W^T, with W rebuilt from its own cores.
    """

    def __init__(self, contender: Contender, layer: Layer, data: Data, seed: int) -> None:
        dtype = data.clips.dtype
        self.data, self.rows = data, data.clips.flatten(0, 1)
        device = data.clips.device
        self.input_map = contender.build(layer, seed, dtype).to(device)
        check_output(contender, self.input_map, self.rows[:TIME_STEPS])
        recurrent = contender.recurrent(layer, self.input_map, seed, dtype)
        self.model = LSTMClassifier(recurrent, layer.out_features // GATES, dtype).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True)
        self.output: Tensor | None = None
        self._make_moments()

    @property
    def lane(self) -> Lane:
        """The three calls, to be timed in turns with those of other contenders."""
        calls = {"forward": self.forward, "backward": self.backward, "step": self.step}
        return Lane(calls=calls, reset=self.clear)

    @property
    def num_params(self) -> int:
        """Parameters of the input map, biases excluded."""
        named = self.input_map.named_parameters()
        return sum(p.numel() for name, p in named if not name.endswith("bias"))

    @property
    def model_params(self) -> int:
        """Parameters of the LSTM and its head."""
        return sum(p.numel() for p in self.model.parameters())

    def clear(self) -> None:
        self.output = None
        self.input_map.zero_grad(set_to_none=True)
        self.model.zero_grad(set_to_none=True)

    def forward(self) -> None:
        self.output = self.input_map(self.rows)

    def backward(self) -> None:
        assert self.output is not None
        self.output.backward(self.data.gradient)

    def step(self) -> Tensor:
        self.clear()
        loss = F.cross_entropy(self.model(self.data.clips), self.data.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def _make_moments(self) -> None:
        """Make Adam create its state, so that it does not count in the peak memory of a step."""
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()
        self.clear()


@torch.no_grad()
def check_output(
    contender: Contender, input_map: nn.Module, x: Float[Tensor, "rows in_features"]
) -> None:
    """Raise ValueError unless the output of a map is x W^T, with W rebuilt from its own cores.

    The norm of the difference may be up to 1e-4 of the norm of x W^T in float32, and 5e-2 in
    bfloat16.
    """
    weight = contender.dense_weight(copy.deepcopy(input_map).double())
    expected = x.double() @ weight.T
    error = float((input_map(x).double() - expected).norm() / expected.norm())
    tolerance = TOLERANCES[str(x.dtype).removeprefix("torch.")]
    if not error <= tolerance:
        raise ValueError(
            f"its output must be x W^T of its own cores with a relative error of at most"
            f" {tolerance:g}, got {error:.2g}"
        )
