"""One contest: every contender on one map, batch and dtype, checked and timed in turns."""

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
    """A map, its name, the number of clips, the dtype, torch's threads and device."""

    name: str
    input_map: InputMap
    batch: int
    dtype: str
    threads: int
    device: str = "cpu"

    @property
    def rows(self) -> int:
        """Rows of the map's input: clips times frames."""
        return self.batch * TIME_STEPS

    def config(self, contender: str) -> dict[str, Any]:
        """What a row is about, as JSON values; settings of the layer at their default left out."""
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
    """What is known of one contender so far: counts, peak memory in MB, samples by phase.

    `facts`: how a layer of ours was contracted.
    """

    started_at: datetime.datetime
    num_params: int | None = None
    model_params: int | None = None
    peak_mb: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    timed: dict[str, list[Timed]] = field(default_factory=dict)
    error: str | None = None
    traceback: str | None = None

    @property
    def status(self) -> str:
        """done with enough samples of a step, error, or interrupted."""
        if self.error is not None:
            return "error"
        return "done" if self.rounds >= MIN_ROUNDS else "interrupted"

    @property
    def rounds(self) -> int:
        """How often the step was timed."""
        return len(self.timed.get("step", ()))

    def fail(self, error: Exception) -> None:
        """Keep what an error says, not its frames, which hold tensors."""
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        self.error = first if isinstance(error, ValueError) else f"{type(error).__name__}: {first}"
        self.traceback = "".join(traceback.format_exception(error))


class ContestMeasurement:
    """A contest under way; `results` says at any moment what is measured, by contender."""

    def __init__(self, contest: Contest, contenders: Mapping[str, Contender]) -> None:
        self.contest = contest
        self.layer = contest.input_map.layer
        self.contenders = {k: c for k, c in contenders.items() if c.supports(self.layer)}
        self.results: dict[str, Result] = {}

    def run(self, budget_s: float, told: Told) -> None:
        """Build and check every contender, then time them in turns; `told` hears who is at work."""
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
            # It warms up as well: what is timed has run once.
            result.peak_mb = peak_memory(workload.step, self.contest.device)
            workload.clear()
        except Exception as error:  # a peer may raise anything; the others go on
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
