"""Workers that Ray and Slurm's submitit place, on a real study and a real PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankbench import load
from rankbench.cli import main as cli
from rankbench.common.address import redact_password, split_password
from rankbench.common.exit_codes import USAGE
from rankbench.study.config import load_study
from tests.helpers import processes
from tests.helpers.paths import ROOT
from tests.helpers.postgres import PASSWORD, Server, served
from tests.helpers.processes import HANG_S, wait_until

STUDY = """
task: {name: recovery, in_features: 16, out_features: 16}
training: {epochs: 2}
device: cpu
threads: 1
heartbeat_s: 1
search: {objectives: {rmse: minimize}}
space:
  shared: {task: {noise: [0.0, 0.1, 0.2]}}
  branches: {dense: {layer: {decomposition: dense}}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield from served()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY)
    return path


def command(study: Path, storage: str, *overrides: str) -> list[str]:
    results = f"results={study.parent / 'results'}"
    command = [sys.executable, "-m", "rankbench", "run", str(study)]
    return [*command, f"storage={storage}", results, *overrides]


def start(study: Path, storage: str, *overrides: str, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
    return processes.start(
        command(study, storage, *overrides),
        limit_s=6 * HANG_S,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def all_done(study: Path, count: int) -> bool:
    runs = load(study.stem, root=study.parent / "results")
    return len(runs) == runs["run_id"].nunique() == count and set(runs["status"]) == {"done"}


def files_with(secret: str, folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "engine"),
    [("ray", ["engine=ray"]), ("submitit", ["engine=slurm", "slurm.cluster=local"])],
    ids=["ray", "slurm"],
)
def test_an_engine_measures_a_shipped_study(
    server: Server, tmp_path: Path, package: str, engine: list[str]
) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    study = Path(shutil.copy(ROOT / "studies" / "smoke.yaml", tmp_path))
    placed = start(study, server.database(), *engine, "workers=2", "training.epochs=40")
    told, _ = placed.communicate(timeout=3600)
    assert placed.returncode == 0, told
    assert all_done(study, 56)
    assert "measured now: 56 done" in told
    assert PASSWORD not in told
    assert files_with(PASSWORD, tmp_path) == []


@pytest.mark.slow
def test_a_lost_node_of_ray_costs_no_run(server: Server, study: Path) -> None:
    pytest.importorskip("ray", reason="no ray: pip install 'rankbench[ray]'")
    from ray.cluster_utils import Cluster

    mark = processes.new_mark()
    try:
        with processes.marked(mark):
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
            nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        rows = study.parent / "results" / "tiny" / "runs"
        space = ["training.epochs=300", "seeds=4"]
        address = {"RAY_ADDRESS": cluster.address}
        placed = start(study, server.database(), "engine=ray", *space, **address)
        wait_until(lambda: len(list(rows.glob("[!.]*.parquet"))) >= 2, placed)
        cluster.remove_node(nodes[0], allow_graceful=False)
        told, _ = placed.communicate()
        cluster.shutdown()
    finally:
        processes.kill_marked(mark)
    assert placed.returncode == 0, told
    assert all_done(study, 12)
    assert PASSWORD not in told


def test_an_engine_needs_a_shared_storage(study: Path) -> None:
    for engine in ("ray", "slurm"):
        with pytest.raises(ValueError, match=f"engine={engine} needs storage=postgresql://"):
            load_study(str(study), [f"engine={engine}"])


def test_work_needs_a_shared_storage(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = f"results={study.parent / 'results'}"
    assert cli.main(["work", str(study), results]) == USAGE
    assert "work needs storage=postgresql://USER@HOST/DATABASE" in capsys.readouterr().err


@pytest.mark.parametrize("storage", ["sqlite:///x", "postgresql://me:hush@host", "postgres"])
def test_another_storage_is_refused(
    study: Path, storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", str(study), f"storage={storage}"]) == USAGE
    told = capsys.readouterr().err
    assert "storage must be empty (a journal beside the results) or postgresql://" in told
    assert "hush" not in told


def test_a_password_stands_before_the_host(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = "storage='postgresql://me@host/db?password=hush'"
    assert cli.main(["plan", str(study), storage]) == USAGE
    told = capsys.readouterr().err
    assert "storage must have its password as USER:PASSWORD@HOST" in told
    assert "hush" not in told


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:hush@host/db", "postgresql://host/db?user=me&password=hush&x=1"],
)
def test_a_password_is_hidden(address: str) -> None:
    assert "hush" not in redact_password(f"error at {address}: no")
    assert redact_password("postgresql://me@host/db") == "postgresql://me@host/db"


def test_a_password_is_split_from_its_address() -> None:
    found = split_password("postgresql://me:hush@host:5/db?sslmode=require")
    assert found == ("postgresql://me@host:5/db?sslmode=require", "hush")
    assert split_password("postgresql://me@host/db") == ("postgresql://me@host/db", None)
