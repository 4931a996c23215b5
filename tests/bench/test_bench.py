"""The bench: every contender computes its own cores' map, in turns, and rows say so."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from rankbench.analysis.figures.catalog import draw
from rankbench.bench import session
from rankbench.bench.contenders import CONTENDERS, OURS, SAME, Contender
from rankbench.bench.contenders.ours import Rankbench
from rankbench.bench.contenders.sequential import Sequential
from rankbench.bench.contenders.tensorly_torch import TensorlyTorch
from rankbench.bench.contenders.torch_dense import TorchDense
from rankbench.bench.contest import Contest, ContestMeasurement, Result
from rankbench.bench.dense import block_weight, ring_weight, train_weight
from rankbench.bench.floor import Rates, floor_ms, measure_rates, step_floor_ms
from rankbench.bench.interleave import Failed, Lane, Timed, interleave
from rankbench.bench.maps import GATES, MAPS, TIME_STEPS, InputMap
from rankbench.bench.report import best_peer, remarks
from rankbench.bench.rows import tables
from rankbench.bench.workload import DTYPES, Data, Workload, check_output
from rankbench.cli.main import main
from rankbench.layers.linear import CompressedLinear
from rankbench.layers.settings import LayerSettings
from rankbench.store.query import load
from rankbench.store.store import Store
from tests.helpers.figure_checks import drawn
from tests.helpers.processes import HANG_S

# Ranks and modes all differ, so that no axis can be taken for another.
TINY: dict[str, InputMap] = {
    name: InputMap(
        settings=LayerSettings(decomposition=kind, **facts), in_features=24, hidden_size=6
    )
    for name, (kind, facts) in {
        "bt": (
            "block_term",
            {
                "in_modes": (2, 3, 4),
                "out_modes": (2, 1, 3),
                "tucker_rank": (2, 3, 4),
                "cp_rank": 2,
            },
        ),
        "tt": (
            "tensor_train",
            {"in_modes": (2, 3, 4), "out_modes": (2, 1, 3), "tt_ranks": (1, 2, 3, 1)},
        ),
        "tr": (
            "tensor_ring",
            {"in_modes": (2, 3, 4), "out_modes": (2, 3), "tr_ranks": (2, 3, 4, 5, 6)},
        ),
        "dense": ("dense", {}),
    }.items()
}
RATES = Rates(flops_s=1e9, bytes_s=1e9)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny maps gain nothing from threads; other tests find torch's as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def present(name: str) -> Contender:
    contender = CONTENDERS[name]
    reason = contender.missing()
    if reason is not None:
        pytest.skip(f"{contender.distribution} is {reason}")
    return contender


def contest(name: str = "tt", dtype: str = "float32") -> Contest:
    return Contest(name=name, input_map=TINY[name], batch=2, dtype=dtype, threads=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_computes_the_map_of_its_own_cores(name: str, dtype: str) -> None:
    contender = present(name)
    supported = [m.layer for m in TINY.values() if contender.supports(m.layer)]
    assert supported
    for layer in supported:
        data = Data.draw(layer, 2, dtype, seed=0)
        workload = Workload(contender, layer, data, seed=0)
        check_output(contender, workload.input_map, workload.rows)
        assert workload.step().isfinite()
        outputs, _ = workload.model.recurrent(data.clips)
        assert outputs.shape == (2, TIME_STEPS, 6)
        if contender.computes(layer) == SAME:
            assert workload.num_params == layer.num_params


@pytest.mark.parametrize("name", CONTENDERS)
def test_the_map_of_a_cell_is_the_map_that_is_timed_alone(name: str) -> None:
    contender = present(name)
    if name in ("tednet", "torch"):
        pytest.skip("its LSTM has a map of its own")
    layer = next(m.layer for m in TINY.values() if contender.supports(m.layer))
    bare = contender.build(layer, 3, torch.float32)
    clips = torch.randn(2, TIME_STEPS, layer.in_features)
    around = contender.recurrent(layer, bare, 3, torch.float32).get_submodule("input_map")
    torch.testing.assert_close(around(clips).flatten(0, 1), bare(clips.flatten(0, 1)))


@pytest.mark.parametrize("ranks", [2, (1, 2, 3, 1)])
def test_the_reference_train_is_our_layer(ranks: Any) -> None:
    settings = LayerSettings(
        decomposition="tensor_train", in_modes=(2, 3, 4), out_modes=(2, 1, 3), tt_ranks=ranks
    )
    layer = settings.resolve(24, 6, gates=GATES)
    reference, ours = Sequential(), CompressedLinear(layer, 5, torch.float64)
    module = reference.build(layer, 5, torch.float64)
    x = torch.randn(7, 24, dtype=torch.float64)
    torch.testing.assert_close(module(x), x @ ours.to_dense().T)
    torch.testing.assert_close(reference.dense_weight(module), ours.to_dense())


def test_weights_by_the_definition_are_those_of_our_layers() -> None:
    ours = {name: CompressedLinear(m.layer, 1, torch.float64) for name, m in TINY.items()}
    core = {name: list(module.cores.values()) for name, module in ours.items()}
    first, second, third = core["tt"]
    train = train_weight([first[None], second, third[..., None]])
    *factors, middle = core["bt"]
    blocks = [block_weight(middle[n], [f[n] for f in factors]) for n in range(2)]
    for name, weight in {"tt": train, "bt": sum(blocks), "tr": ring_weight(core["tr"], 3)}.items():
        torch.testing.assert_close(weight, ours[name].to_dense())


def test_wrong_output_is_refused() -> None:
    class Doubled(Rankbench):
        def dense_weight(self, module: torch.nn.Module) -> torch.Tensor:
            return 2 * super().dense_weight(module)

    layer = TINY["tt"].layer
    data = Data.draw(layer, 2, "float32", seed=0)
    with pytest.raises(
        ValueError,
        match=r"must be x W\^T of its own cores with a relative error of at most 0.0001, got 0.5",
    ):
        Workload(Doubled(title="doubled"), layer, data, seed=0)


def test_a_stand_in_has_about_the_parameters_of_the_layer() -> None:
    layer = MAPS["bt_r4"].layer
    for factorization in ("Tucker", "CP"):
        stand_in = TensorlyTorch(title="", factorization=factorization)
        assert "of separate input and output modes, rank" in stand_in.computes(layer)
    assert stand_in.computes(layer).endswith("rank 36")  # 95 * 36 = 3420 parameters for 3392


def test_maps_are_those_of_the_papers() -> None:
    params = {name: input_map.layer.num_params for name, input_map in MAPS.items()}
    assert params == {
        "bt_r1": 722,
        "bt_r2": 1472,
        "bt_r4": 3392,
        "tt_r4": 3360,
        "tr_5_10": 1725,
        "tr_2048": 678912,
        "dense": 58982400,
        "dense_2048": 16777216,
    }


def lane(name: str, said: list[str], error: Exception | None = None) -> Lane:
    def call() -> None:
        said.append(name)
        if error is not None:
            raise error

    return Lane(calls={"step": call}, reset=lambda: said.append("reset"))


def test_contenders_are_timed_in_turns() -> None:
    said: list[str] = []
    lanes = {name: lane(name, said) for name in "ABC"}
    events = list(interleave(lanes, budget_s=HANG_S, max_rounds=4))
    assert "".join(name for name in said if name != "reset") == "ABC" * 4
    assert said[::2] == ["reset"] * 12
    assert [event.lane for event in events] == list("ABC" * 4)
    assert all(isinstance(event, Timed) and event.ms >= 0 <= event.cpu_ms for event in events)


def test_everyone_has_three_rounds_and_no_more_than_the_share() -> None:
    said: list[str] = []
    list(interleave({"A": lane("A", said)}, budget_s=1e-9))
    assert said.count("A") == 3


def test_who_raises_leaves_and_the_others_go_on() -> None:
    said: list[str] = []
    lanes = {"A": lane("A", said), "B": lane("B", said, RuntimeError("no bf16"))}
    events = list(interleave(lanes, budget_s=HANG_S, max_rounds=3))
    failed = [event for event in events if isinstance(event, Failed)]
    assert [str(event.error) for event in failed] == ["no bf16"]
    assert (said.count("A"), said.count("B")) == (3, 1)


def test_a_floor_is_the_slower_of_arithmetic_and_memory() -> None:
    layer = TINY["dense"].layer
    flops, elements = 2 * 12 * 24 * 24, 12 * 48 + 576
    slow_memory, slow_flops = (
        Rates(flops_s=1e30, bytes_s=1e6),
        Rates(flops_s=1e6, bytes_s=1e30),
    )
    assert floor_ms(layer, 12, torch.float32, slow_memory) == pytest.approx(elements * 4 / 1e3)
    assert floor_ms(layer, 12, torch.bfloat16, slow_memory) == pytest.approx(elements * 2 / 1e3)
    assert floor_ms(layer, 12, torch.float32, slow_flops) == pytest.approx(flops / 1e3)
    for rates in (slow_memory, slow_flops):
        step = step_floor_ms(layer, 12, torch.float32, rates)
        assert step > floor_ms(layer, 12, torch.float32, rates)


def test_rates_are_measured() -> None:
    rates = measure_rates(torch.float32)
    assert rates.flops_s > 1e6
    assert rates.bytes_s > 1e6


def measured(contenders: Mapping[str, Contender], **facts: Any) -> list[dict[str, Any]]:
    measurement = ContestMeasurement(contest(**facts), contenders)
    measurement.run(0.05, lambda _: None)
    return tables(measurement, RATES)


def test_rows_hold_medians_floors_and_raw_samples(tmp_path: Path) -> None:
    store = Store(tmp_path, "bench")
    for _ in range(2):  # a repeat replaces its rows
        found = measured({OURS: Rankbench(), "sequential": Sequential(), "torch": TorchDense()})
        for one in found:
            store.write_run(one)
    runs, samples = load("bench", root=tmp_path), load("bench", "samples", root=tmp_path)
    assert sorted(runs["contender"]) == [OURS, "sequential"]  # torch has no tensor train
    assert set(runs["status"]) == {"done"}
    assert set(runs["computes"]) == {SAME}
    assert set(runs["rows"]) == {12}
    columns = ["forward_ms", "backward_ms", "step_ms", "step_peak_mb", "step_floor_ms"]
    assert (runs[[*columns, "forward_floor_ms", "gemm_rate", "memory_rate"]] > 0).all(axis=None)
    for run in runs.to_dict("records"):
        own = samples[samples["run_id"] == run["run_id"]]
        assert set(own["phase"]) == {"forward", "backward", "step"}
        assert own.groupby("phase")["ms"].median()["step"] == pytest.approx(run["step_ms"])
        assert (own["cpu_ms"] >= 0).all()


def test_a_failing_contender_is_in_the_rows_and_not_ranked() -> None:
    class Broken(Sequential):
        def build(self, *_: Any) -> torch.nn.Module:
            raise RuntimeError("no such kernel\nand more")

    found = measured({OURS: Rankbench(), "sequential": Broken()})
    ours, broken = (one["runs"][0] for one in found)
    assert (ours["status"], broken["status"]) == ("done", "error")
    assert broken["error"] == "RuntimeError: no such kernel"
    assert "Traceback" in broken["traceback"]
    assert best_peer([ours, broken]) is None
    assert remarks([ours, broken]) == [
        "tt, 12 rows, float32: sequential, ours in plain torch is left out: "
        "RuntimeError: no such kernel"
    ]


def test_other_maps_are_told_and_not_ranked() -> None:
    row = {
        "contender": "tensorly-torch-cp",
        "input_map": "bt",
        "status": "done",
        "computes": "CP of separate modes",
        "step_ms": 1.0,
    }
    peer = {**row, "contender": "tednet", "computes": SAME, "step_ms": 3.0}
    assert best_peer([row, peer]) == 3.0
    assert remarks([row, row, peer]) == [
        "* bt: tensorly-torch, CP computes a different map, CP of separate modes"
    ]


def test_too_few_samples_are_an_interrupted_run() -> None:
    result = Result(started_at=datetime.datetime.now(datetime.UTC))
    sample = Timed(lane="A", phase="step", ms=1.0, cpu_ms=1.0)
    result.timed["step"] = [sample, sample]
    assert result.status == "interrupted"
    result.timed["step"].append(sample)
    assert result.status == "done"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(session, "MAPS", TINY)
    monkeypatch.setattr(session, "measure_rates", lambda *_: RATES)
    return ["bench", "--budget", "0.1"]


def test_the_command_measures_prints_stores_and_is_drawn(
    bench: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    who = ["--contenders", OURS, "sequential", "torch"]
    assert main([*bench, "tt", "dense", "--batch", "2", *who]) == 0
    told = capsys.readouterr().out
    assert "batch 2 (12 rows), bfloat16, 1 thread(s); 1 GFLOP/s, 1 GB/s" in told
    assert "[4/4] dense, batch 2, bfloat16 (0.0 s left)" in told
    assert "results: results/bench\nfigures: rankbench figures bench\n" in told
    assert len(load("bench")) == 8
    figures = draw("bench")
    assert set(figures) == {"timing", "time_vs_parameters"}
    figure = drawn(figures["time_vs_parameters"])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["12 rows, float32, 1 thread", "12 rows, bfloat16, 1 thread"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "rankbench",
        "torch",
        "sequential, ours in plain torch",
        "floor of the map",
    ]


def test_a_gpu_that_is_not_there_is_a_usage_error(
    bench: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([*bench, "tt", "--device", "cuda"]) == 2
    assert "--device is cuda, but torch sees no GPU here" in capsys.readouterr().err


def test_an_interrupt_keeps_what_is_measured(
    bench: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ContestMeasurement.run

    def interrupted(self: ContestMeasurement, *arguments: Any) -> None:
        if self.contest.name == "tt":
            raise KeyboardInterrupt
        whole(self, *arguments)

    monkeypatch.setattr(ContestMeasurement, "run", interrupted)
    once = ["--batch", "1", "--dtype", "float32", "--contenders", OURS]
    assert main([*bench, "dense", "tt", "tr", *once]) == 1
    assert "stopped; what was measured is kept" in capsys.readouterr().out
    assert list(load("bench")["input_map"]) == ["dense"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bt_r9"], "MAP must be one of: bt, tt, tr, dense; got 'bt_r9'"),
        (["--dtype", "float16"], "--dtype must be one of: float32, bfloat16; got 'float16'"),
        (["--batch", "0"], "--batch must be a positive integer, got 0"),
        (["--threads", "-1"], "--threads must be a positive integer, got -1"),
        (["--budget", "0"], "--budget must be a number in (0, 86400], got 0.0"),
        (["--contenders", "tensorly"], "--contenders must be one of: rankbench, tednet"),
        (["--study", "a/b"], "study must consist of letters"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    bench: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([*bench, *arguments]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message in told


def test_a_peer_that_is_not_there_is_said(
    bench: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        CONTENDERS, "tednet", Rankbench(title="tednet", distribution="no-such-peer")
    )
    assert main([*bench, "tt", "--contenders", "tednet"]) == 2
    wanted = "--contenders tednet is not installed: pip install 'rankbench[peers]'"
    assert wanted in capsys.readouterr().err
    assert main([*bench, "dense", "--batch", "1", "--dtype", "float32"]) == 0
    told = capsys.readouterr().out
    assert "no-such-peer is not installed (pip install 'rankbench[peers]')" in told


def test_a_peer_that_cannot_be_imported_is_missing_in_one_line() -> None:
    broken = Rankbench(title="broken", distribution="torch", package="no_such_module")
    wanted = "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    assert broken.missing() == wanted
