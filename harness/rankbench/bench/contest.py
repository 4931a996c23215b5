"""Run a contest: check all contenders on one map, batch and dtype, and time them in turns."""

from __future__ import annotations

import dataclasses
import datetime
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rankbench.bench.contenders import Contender
from rankbench.bench.interleave import MIN_ROUNDS, Failed, Timed, finish_on, interleave
from rankbench.bench.maps import TIME_STEPS, InputMap
from rankbench.bench.workload import Data, Workload
from rankbench.layers.linear import CompressedLinear
from rankbench.measure.timing import peak_memory

SEED = 0
Told = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The conditions that all contenders share."""

    name: str
    """Name of the map; a key of MAPS."""
    input_map: InputMap
    """The map."""
    batch: int
    """Clips in a batch."""
    dtype: str
    """Type of weights and data: float32 or bfloat16."""
    threads: int
    """Torch threads."""
    device: str = "cpu"
    """Torch device: cpu or cuda."""

    @property
    def rows(self) -> int:
        """Rows of the map's input: clips times frames."""
        return self.batch * TIME_STEPS

    def config(self, contender: str) -> dict[str, Any]:
        """Return the settings of a measurement as JSON values, without the layer's defaults."""
        settings = self.input_map.settings
        given = [(f, getattr(settings, f.name)) for f in dataclasses.fields(settings)]
        return {
            "task": {"name": "bench", "batch": self.batch, "time_steps": TIME_STEPS},
            "layer": {f.name: value for f, value in given if value != f.default},
            "cell": {"name": "lstm", "hidden_size": self.input_map.hidden_size},
            "in_features": self.input_map.in_features,
            "contender": contender,
            "dtype": self.dtype,
            **({} if self.device == "cpu" else {"device": self.device}),
        }


@dataclass(kw_only=True)
class Result:
    """The counts and measurements of one contender so far."""

    started_at: datetime.datetime
    """When the contender was built."""
    num_params: int | None = None
    """Parameters of the map, without biases."""
    model_params: int | None = None
    """Parameters of the LSTM and its head."""
    peak_mb: float | None = None
    """Peak memory of a training step in MB."""
    facts: dict[str, Any] = field(default_factory=dict)
    """How a layer of ours was contracted."""
    timed: dict[str, list[Timed]] = field(default_factory=dict)
    """Samples by phase."""
    error: str | None = None
    """One line about what went wrong."""
    traceback: str | None = None
    """Traceback of the error."""

    @property
    def status(self) -> str:
        """error, done if the step has enough samples, else interrupted."""
        if self.error is not None:
            return "error"
        return "done" if self.rounds >= MIN_ROUNDS else "interrupted"

    @property
    def rounds(self) -> int:
        """Number of samples of the step."""
        return len(self.timed.get("step", ()))

    def fail(self, error: Exception) -> None:
        """Store the text of an error, not the exception, whose frames keep tensors alive."""
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        self.error = first if isinstance(error, ValueError) else f"{type(error).__name__}: {first}"
        self.traceback = "".join(traceback.format_exception(error))


class ContestMeasurement:
    """A contest and its results so far.

    Args:
        contest: The conditions.
        contenders: Contenders by name; those that do not support the layer are left out.

    Attributes:
        results: The result of each contender, updated after every sample.
    """

    def __init__(self, contest: Contest, contenders: Mapping[str, Contender]) -> None:
        self.contest = contest
        self.layer = contest.input_map.layer
        self.contenders = {k: c for k, c in contenders.items() if c.supports(self.layer)}
        self.results: dict[str, Result] = {}

    def run(self, budget_s: float, told: Told) -> None:
        """Build and check all contenders, then time them in turns.

        Args:
            budget_s: Seconds for timing all contenders together.
            told: Called with one line before each step.
        """
        lanes = {}
        contest = self.contest
        data = Data.draw(self.layer, contest.batch, contest.dtype, SEED, contest.device)
        for name, contender in self.contenders.items():
            told(f"{name}: check and memory")
            workload = self._build(name, contender, data)
            if workload is not None:
                lanes[name] = workload.lane
        for event in interleave(lanes, budget_s=budget_s, finish=finish_on(contest.device)):
            self._keep(event)
            told(f"{event.lane}: round {self.results[event.lane].rounds}")

    def _build(self, name: str, contender: Contender, data: Data) -> Workload | None:
        result = Result(started_at=datetime.datetime.now(datetime.UTC))
        self.results[name] = result
        try:
            workload = Workload(contender, self.layer, data, SEED)
            # This also warms up: everything that is timed later has run once.
            result.peak_mb = peak_memory(workload.step, self.contest.device)
            workload.clear()
        except Exception as error:  # Peers may raise anything; the other contenders continue.
            result.fail(error)
            return None
        result.num_params, result.model_params = workload.num_params, workload.model_params
        if isinstance(workload.input_map, CompressedLinear):
            result.facts = workload.input_map.facts(self.contest.rows)
        return workload

    def _keep(self, event: Timed | Failed) -> None:
        result = self.results[event.lane]
        if isinstance(event, Failed):
            result.fail(event.error)
        else:
            result.timed.setdefault(event.phase, []).append(event)
