"""Results on an object store: a real S3 server on the loopback, many writers, readers, kills."""

from __future__ import annotations

import dataclasses
import random
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rankbench.cli.main import main
from rankbench.store.artifacts import Artifacts
from rankbench.store.location import redact_url
from rankbench.store.object_store.attempts import Catalog
from rankbench.store.query import load, query, studies
from rankbench.store.store import DamagedFileWarning, Store
from rankbench.tasks import TASKS
from tests.engine.test_study import execute, make_study
from tests.helpers.probe import Probe
from tests.helpers.processes import spawn
from tests.helpers.s3 import CREDENTIALS, make_bucket, serving, url


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as found:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in CREDENTIALS.items():
                patch.setenv(name, value)
            make_bucket(found)
        yield found


@pytest.fixture
def root(address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return url(address, prefix=request.node.name.replace("[", "/").rstrip("]"))


def write(store: Store, run_id: str, epochs: int = 0, **facts: Any) -> None:
    curve = [{"epoch": epoch} for epoch in range(1, epochs + 1)]
    store.write_run({"runs": [{"run_id": run_id, "status": "done", **facts}], "epochs": curve})


def rows(store: Store, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.read(table, columns).to_pylist()]


def objects(store: Store, table: str) -> list[str]:
    return sorted(store.tables.objects.sizes(table))  # type: ignore[union-attr]


def test_what_is_written_is_read_by_every_reader(root: str) -> None:
    store = Store(root, "demo")
    assert rows(store, "runs", "run_id") == []
    assert studies(root) == []
    for run_id in ("b", "a"):
        write(store, run_id, epochs=2, rmse=0.5)
    assert rows(store, "runs", "run_id", "status") == [("a", "done"), ("b", "done")]
    assert rows(store, "epochs", "run_id", "epoch") == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert studies(root) == ["demo"]
    assert list(load("demo", root=root)["rmse"]) == [0.5, 0.5]
    [answer] = query("select count(*) as n from runs join epochs using (run_id)", root).to_pylist()
    assert answer == {"n": 4}


@pytest.mark.parametrize("compactions", [(), (1,), (1, 2)])
def test_a_later_attempt_replaces_every_row(root: str, compactions: tuple[int, ...]) -> None:
    store = Store(root, "demo")
    write(store, "a", epochs=3, status="error")
    write(store, "b", epochs=1)
    if 1 in compactions:
        assert store.compact() == 4
    write(Store(root, "demo"), "a", epochs=0)  # another machine, whatever its clock says
    if 2 in compactions:
        store.compact()
        assert store.compact() == 0
        assert [len(objects(store, table)) for table in ("runs", "epochs")] == [1, 1]
    assert rows(store, "runs", "run_id", "status") == [("a", "done"), ("b", "done")]
    assert rows(store, "epochs", "run_id") == [("b",)]


def test_rows_without_their_manifest_do_not_count(root: str) -> None:
    store = Store(root, "demo")
    write(store, "a", epochs=1)
    put, store.tables.objects.put = store.tables.objects.put, _dying  # type: ignore
    with pytest.raises(KeyboardInterrupt):
        write(store, "a", epochs=5)
    store.tables.objects.put = put  # type: ignore[union-attr]
    assert rows(store, "epochs", "run_id") == [("a",)]
    store.compact()
    assert rows(store, "epochs", "run_id") == [("a",)]


def _dying(name: str, content: Any) -> None:
    raise KeyboardInterrupt


def test_what_a_killed_compactor_left_counts_once(root: str) -> None:
    store = Store(root, "demo")
    for run_id in "abc":
        write(store, run_id, epochs=1)
    store.tables.objects.delete = lambda name: None  # type: ignore[union-attr, method-assign]
    store.compact()
    store.compact()
    again = Store(root, "demo")
    assert len(objects(again, "runs")) == 5
    assert rows(again, "runs", "run_id") == [("a",), ("b",), ("c",)]
    assert rows(again, "epochs", "run_id") == [("a",), ("b",), ("c",)]
    again.compact()
    assert len(objects(again, "runs")) == 1
    assert rows(again, "epochs", "run_id") == [("a",), ("b",), ("c",)]


def test_a_damaged_object_is_skipped_and_reported(root: str) -> None:
    store = Store(root, "demo")
    write(store, "a")
    write(store, "b", status="error")
    write(store, "b")
    name = objects(store, "runs")[-1]
    store.tables.objects.put(name, memoryview(b"PAR1"))  # type: ignore
    for table in ("runs", "epochs"):
        with pytest.warns(DamagedFileWarning, match=r"s3://results/.*parquet is skipped: .+$"):
            store.read(table)
    with pytest.warns(DamagedFileWarning):
        left = rows(store, "runs", "run_id", "status")
    assert left == [("a", "done"), ("b", "error")]
    store.compact()
    assert name in objects(store, "runs")


def test_the_doctor_finds_and_moves_what_is_damaged(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(root, "demo")
    write(store, "a", epochs=2)
    write(store, "b", epochs=2)
    names = [objects(store, table)[-1] for table in ("runs", "epochs")]
    assert doctor(root) == 0
    for name in names:
        store.tables.objects.put(name, memoryview(b"PAR1"))  # type: ignore
    with pytest.warns(DamagedFileWarning):
        assert doctor(root) == 1
    out = capsys.readouterr().out
    assert out.count("damaged object") == 3  # two and how many
    assert "secret" not in out
    assert f"rankbench doctor {redact_url(root)} --mend" in out.replace("\n", "")
    with pytest.warns(DamagedFileWarning):
        assert doctor(root, "--mend") == 0
    assert "quarantine" in capsys.readouterr().out
    assert sorted(store.tables.objects.sizes("quarantine/runs")) == [f"quarantine/{names[0]}"]  # type: ignore[union-attr]
    assert rows(store, "runs", "run_id") == [("a",)]
    row = store.read("runs")
    place = row.schema.get_field_index("status")
    odd = row.set_column(place, "status", pa.array(["odd"]))
    store.tables.write("a", {"runs": odd})
    assert doctor(root, "--mend") == 1
    assert "wrong row in an object" in capsys.readouterr().out


def test_the_doctor_has_nothing_to_say_of_whole_objects(
    root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    execute(dataclasses.replace(make_study(tmp_path), results=root))
    store = Store(root, "probing")
    for _ in range(2):
        assert doctor(root) == 0
        assert "1 studies in s3://" in capsys.readouterr().out.replace("\n", "")
        store.compact()
    double = store.read("runs").slice(0, 1)
    store.tables.write(double["run_id"][0].as_py(), {"runs": pa.concat_tables([double, double])})
    assert doctor(root) == 1
    assert "double rows in an object" in capsys.readouterr().out


def doctor(root: str, *options: str) -> int:
    return main(["doctor", root, *options])


def test_a_copy_of_a_local_folder_is_read_and_written_over(root: str, tmp_path: Path) -> None:
    local, remote = Store(tmp_path, "demo"), Store(root, "demo")
    for run_id in "ab":
        write(local, run_id, epochs=1, status="error")
    local.compact()
    write(local, "c", epochs=2)
    for path in local.folder.rglob("*.parquet"):
        content = memoryview(path.read_bytes())
        remote.tables.objects.put(str(path.relative_to(local.folder)), content)  # type: ignore
    assert rows(remote, "runs", "run_id") == [("a",), ("b",), ("c",)]
    assert rows(remote, "epochs", "run_id") == [("a",), ("b",), ("c",), ("c",)]
    write(remote, "a")
    for _ in range(2):
        assert rows(remote, "runs", "status") == [("done",), ("error",), ("done",)]
        assert rows(remote, "epochs", "run_id") == [("b",), ("c",), ("c",)]
        remote.compact()


# Many at once.


def write_many(root: str, worker: int, count: int) -> None:
    store = Store(root, "demo")
    for number in range(count):
        write(store, f"{worker}-{number:02d}", epochs=2, status="error")
        write(store, f"{worker}-{number:02d}", epochs=1)


def compact_for_ever(root: str) -> None:
    while True:
        Store(root, "demo").compact()


@pytest.mark.slow
def test_writers_readers_and_killed_compactors_lose_no_run(root: str) -> None:
    count, draw, seen = 8, random.Random(0), set[str]()
    store = Store(root, "demo")
    writers = [spawn(write_many, root, number, count) for number in (1, 2)]
    compactors = [spawn(compact_for_ever, root) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while any(writer.is_alive() for writer in writers):
            now = [run_id for (run_id,) in rows(store, "runs", "run_id")]
            assert len(now) == len(set(now))
            assert seen <= set(now)
            seen = set(now)
            if now and draw.random() < 0.3:
                compactors.pop(0).kill()
                compactors.append(spawn(compact_for_ever, root))
    assert [writer.exitcode for writer in writers] == [0, 0]
    for compactor in compactors:
        compactor.kill()
        compactor.join()
    expected = [f"{worker}-{number:02d}" for worker in (1, 2) for number in range(count)]
    for _ in range(2):
        assert rows(store, "runs", "run_id", "status") == [(run, "done") for run in expected]
        assert rows(store, "epochs", "run_id") == [(run_id,) for run_id in expected]
        store.compact()


# What fails is one line.


def test_a_bucket_that_is_missing_is_one_line(root: str, address: str) -> None:
    store = Store(url(address, "nowhere"), "demo")
    line = (
        r"^\[Errno .*results cannot be read: the bucket does not exist: 's3://nowhere/some/where'$"
    )
    for act in (lambda: store.read("runs"), lambda: write(store, "a"), lambda: studies(store.root)):
        with pytest.raises(OSError, match=line):
            act()


@pytest.mark.slow
def test_a_server_that_went_is_one_line_and_what_was_stored_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        gone = url(f"127.0.0.1:{server.server_port}")
    with pytest.raises(OSError, match="results cannot be read: the server does not answer: 's3:"):
        write(Store(gone, "demo"), "a")


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()

    do_PUT = do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, *args: Any) -> None: ...


def test_credentials_that_are_missing_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(OSError, match="credentials are missing or not accepted"):
                Store(url(f"127.0.0.1:{server.server_port}"), "demo").read("runs")
        finally:
            server.shutdown()


def test_an_unknown_kind_of_url_is_refused() -> None:
    line = r"^the scheme of results must be one of: s3, gs, gcs, abfs, abfss; got 'http'"
    with pytest.raises(ValueError, match=line):
        Store("http://host/results", "demo")


def test_keys_in_a_url_are_never_shown() -> None:
    store = Store("s3://key:secret@bucket/some?scheme=http", "demo")
    assert store.place == "s3://bucket/some/demo"
    assert "secret" not in str(store.folder)


def test_files_of_others_are_no_attempts() -> None:
    token = "0" * 12
    names = [
        f"runs/a~{1:012d}-{token}.parquet",
        "runs/a~1.txt",
        "runs/.x.parquet",
        "runs/b.parquet",
    ]
    catalog = Catalog.of(
        "runs", dict.fromkeys([*names, f"runs/compact-{7:012d}-{token}.parquet"], 1)
    )
    assert catalog.plain == ("runs/b.parquet",)
    assert catalog.newest == 7
    assert list(catalog.fragments.values()) == [("a", f"{1:012d}-{token}")]


def test_a_study_runs_with_its_results_on_an_object_store(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    study = dataclasses.replace(make_study(tmp_path), results=root)
    assert len(execute(study).measured) == 3
    again = execute(study)
    assert again.measured == []
    assert again.folder.is_relative_to(tmp_path / "cache")
    assert sorted(load("probing", root=root)["rmse"]) == pytest.approx([1, 2, 3], abs=0.5)


def test_files_of_runs_are_kept_beside_their_rows(root: str) -> None:
    held, store = Artifacts(root, "demo"), Store(root, "demo")
    assert held.read() == []
    write(store, "b")
    for run_id in ("b", "a"):
        held.write(run_id, {"x.png": b"old", "y.png": b""})
    held.write("b", {"x.png": b"new"})
    found = [tuple(file.values()) for file in held.read()]
    assert found == [
        ("a", "x.png", b"old"),
        ("a", "y.png", b""),
        ("b", "x.png", b"new"),
        ("b", "y.png", b""),
    ]
    assert rows(store, "runs", "run_id") == [("b",)]
