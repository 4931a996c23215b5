"""The doctor: each damage is found and mended, and no undamaged run ever changes."""

from __future__ import annotations

import fcntl
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from rankbench.cli.main import main
from rankbench.doctor.checks import check_study
from rankbench.doctor.findings import Finding
from rankbench.doctor.mend import mend_study
from rankbench.engine.queue import JOURNAL
from rankbench.store.schema import TABLES, arrow_schema
from rankbench.store.store import Store
from rankbench.tasks import TASKS
from rankbench.tasks.base import Point
from tests.helpers.paths import ROOT
from tests.helpers.probe import Probe, probe_point

Write = Callable[..., None]
Damage = Callable[[Path], object]


def found(store: Store) -> list[Finding]:
    return check_study(store.folder, running=False)


def kinds(store: Store) -> set[str]:
    return {finding.kind for finding in found(store)}


def rows(store: Store) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """run_id -> table -> its rows."""
    held: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for table in TABLES:
        for row in store.read(table).to_pylist():
            held.setdefault(row["run_id"], {}).setdefault(table, []).append(row)
    return held


def quarantined(store: Store) -> set[str]:
    aside = store.folder / "quarantine"
    return {str(path.relative_to(aside)) for path in aside.rglob("*") if path.is_file()}


def fragment(store: Store, table: str, run_id: str) -> Path:
    return store.folder / table / f"{run_id}.parquet"


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    with pq.ParquetFile(path) as file:
        written = change(file.read())
    pq.write_table(written, path, write_page_checksum=True)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    # The last byte of a page: its checksum is of what it holds, not of its header.
    column = pq.read_metadata(path).row_group(0).column(1)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 1] ^= 0x10
    path.write_bytes(content)


@pytest.fixture
def study(store: Store, write: Write) -> Store:
    """Runs a and b in compact files, c and d in fragments, all with two epochs."""
    for run_id in "ab":
        write(run_id, epochs=2)
    store.compact()
    for run_id in "cd":
        write(run_id, epochs=2)
    return store


def mend_is_clean_and_idle_again(store: Store) -> None:
    assert mend_study(store.folder)
    assert found(store) == []
    before, aside = rows(store), quarantined(store)
    assert mend_study(store.folder) == []
    assert (rows(store), quarantined(store)) == (before, aside)


def test_whole_results_are_clean(study: Store) -> None:
    assert found(study) == []


def test_committed_results_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(ROOT / "results" / "reference")]) == 0
    assert "nothing is wrong" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [truncate, empty, flip])
@pytest.mark.parametrize("table", ["runs", "epochs"])
def test_a_damaged_file_is_moved_and_its_run_measured_again(
    study: Store, damage: Damage, table: str
) -> None:
    whole = rows(study)
    damage(fragment(study, table, "c"))
    assert "damaged file" in kinds(study)
    mend_is_clean_and_idle_again(study)
    assert rows(study) == {run_id: whole[run_id] for run_id in "abd"}
    assert quarantined(study) == {"runs/c.parquet", "epochs/c.parquet"}


@pytest.mark.parametrize("damage", [truncate, empty, flip])
def test_a_damaged_compact_file_is_moved_with_what_it_orphans(study: Store, damage: Damage) -> None:
    whole = rows(study)
    damage(study.folder / "runs" / "compact-1.parquet")
    assert kinds(study) == {"damaged compact file", "orphaned rows"}
    mend_is_clean_and_idle_again(study)
    assert rows(study) == {run_id: whole[run_id] for run_id in "cd"}
    assert quarantined(study) == {"runs/compact-1.parquet", "epochs/compact-1.parquet"}


def test_a_column_that_cannot_be_cast_is_damage(study: Store) -> None:
    def to_text(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("epoch")
        return table.set_column(place, "epoch", pa.array(["one", "two"]))

    rewrite(fragment(study, "epochs", "c"), to_text)
    assert kinds(study) == {"damaged file"}
    mend_is_clean_and_idle_again(study)


def test_a_drifted_column_is_written_again_as_it_should_be(study: Store) -> None:
    def to_integers(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("train_loss")
        return table.set_column(place, "train_loss", pa.array([1, 2]))

    path = fragment(study, "epochs", "c")
    rewrite(path, to_integers)
    whole = rows(study)
    [finding] = found(study)
    assert (finding.kind, finding.what) == ("drifted column", "train_loss is int64")
    mend_is_clean_and_idle_again(study)
    assert rows(study) == whole
    assert quarantined(study) == {"epochs/c.parquet"}


def test_rows_of_an_unknown_run_and_a_crash_s_leftovers_go_aside(study: Store) -> None:
    fragment(study, "runs", "c").unlink()
    (study.folder / "runs" / ".e.parquet.0123.tmp").write_bytes(b"PAR1")
    assert kinds(study) == {"orphaned rows", "leftover file"}
    mend_is_clean_and_idle_again(study)
    assert sorted(rows(study)) == ["a", "b", "d"]
    assert quarantined(study) == {"epochs/c.parquet", "runs/.e.parquet.0123.tmp"}


def test_a_renamed_file_gets_its_name_back(study: Store) -> None:
    whole = rows(study)
    path = fragment(study, "runs", "c")
    path.rename(path.with_name("z.parquet"))
    assert "misnamed file" in kinds(study)
    mend_is_clean_and_idle_again(study)
    assert rows(study) == whole


def test_a_copy_under_another_name_goes_aside(study: Store) -> None:
    whole = rows(study)
    path = fragment(study, "runs", "c")
    path.with_name("z.parquet").write_bytes(path.read_bytes())
    mend_is_clean_and_idle_again(study)
    assert rows(study) == whole
    assert quarantined(study) == {"runs/z.parquet"}


def test_a_file_of_another_table_is_damage(study: Store) -> None:
    path = fragment(study, "runs", "c")
    fragment(study, "epochs", "c").write_bytes(path.read_bytes())
    assert [finding.what for finding in found(study)] == ["it contains the table runs"]
    mend_is_clean_and_idle_again(study)


@pytest.mark.parametrize("name", ["c.parquet", "compact-1.parquet"])
@pytest.mark.parametrize("table", ["runs", "epochs"])
def test_double_rows_are_merged(study: Store, table: str, name: str) -> None:
    whole = rows(study)
    path = study.folder / table / name
    rewrite(path, lambda written: pa.concat_tables([written, written.slice(0, 1)]))
    assert kinds(study) == {"double rows"}
    mend_is_clean_and_idle_again(study)
    held = rows(study)
    assert {run: len(held[run]["epochs"]) for run in held} == dict.fromkeys("abcd", 2)
    for run in whole:
        assert held[run]["runs"] == whole[run]["runs"]


def test_of_double_rows_the_finished_one_is_kept(study: Store) -> None:
    def with_failure(written: pa.Table) -> pa.Table:
        place = written.schema.get_field_index("status")
        failed = written.set_column(place, "status", pa.array(["error"]))
        return pa.concat_tables([written, failed])

    rewrite(fragment(study, "runs", "c"), with_failure)
    mend_is_clean_and_idle_again(study)
    assert rows(study)["c"]["runs"][0]["status"] == "done"


def test_an_unknown_status_is_found(study: Store) -> None:
    def odd(written: pa.Table) -> pa.Table:
        place = written.schema.get_field_index("status")
        return written.set_column(place, "status", pa.array(["fine", "done"]))

    rewrite(study.folder / "runs" / "compact-1.parquet", odd)
    [finding] = found(study)
    assert finding.what == "run a: its status is 'fine'"
    mend_is_clean_and_idle_again(study)
    assert sorted(rows(study)) == ["b", "c", "d"]


def written_point(point: Point, **facts: Any) -> dict[str, Any]:
    ids = {"run_id": point.run_id(1), "point_id": point.point_id, "seed": 1}
    return {**ids, "config": json.dumps(point.config()), "status": "done", **facts}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, None),
        ({"seed": 2}, "its run_id must be"),
        ({"point_id": "0" * 16}, "its point_id is 0000000000000000, but that of its config is"),
        ({"config": "{"}, "its config is not JSON"),
        ({"config": '{"task": {"name": "of a later release"}, "layer": {}}'}, None),
    ],
)
def test_ids_are_the_hashes_of_config_and_seed(
    store: Store, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], why: str | None
) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)
    point = probe_point(value=3)
    store.write_run({"runs": [written_point(point, **facts)]})
    if why is None:
        assert found(store) == []
        return
    [finding] = found(store)
    assert finding.kind == "wrong row"
    assert why in finding.what
    mend_is_clean_and_idle_again(store)
    assert rows(store) == {}


def test_checkpoints_of_finished_runs_are_dropped(study: Store, write: Write) -> None:
    write("e", status="error")
    folder = study.folder / "checkpoints"
    folder.mkdir()
    for name in ("a.json", "a-3.safetensors", "e.json"):
        (folder / name).write_bytes(b"{}")
    assert kinds(study) == {"stale checkpoint"}
    mend_is_clean_and_idle_again(study)
    assert [path.name for path in folder.iterdir()] == ["e.json"]


def write_journal(store: Store, *trials: tuple[TrialState, str]) -> Path:
    path = store.folder / JOURNAL
    storage = JournalStorage(JournalFileBackend(str(path)))
    told = optuna.create_study(storage=storage, study_name="demo")
    for state, point in trials:
        value = 1.0 if state is TrialState.COMPLETE else None
        told.add_trial(create_trial(state=state, value=value, user_attrs={"point_id": point}))
    return path


def test_a_journal_that_agrees_with_the_rows_is_left_alone(store: Store, write: Write) -> None:
    write("a", point_id="p")
    path = write_journal(store, (TrialState.COMPLETE, "p"), (TrialState.WAITING, "q"))
    assert found(store) == []
    assert mend_study(store.folder) == []
    assert path.exists()


def test_zombies_and_trials_without_rows_are_found(store: Store, write: Write) -> None:
    write("a", point_id="p")
    path = write_journal(store, (TrialState.RUNNING, "q"), (TrialState.COMPLETE, "r"))
    assert [finding.kind for finding in found(store)] == ["zombie trial", "trial without rows"]
    mend_is_clean_and_idle_again(store)
    assert not path.exists()


@pytest.mark.parametrize("tail", [b'{"op_code": 4, "wor', b"garbage\n", b'{"op_code": 99}\n'])
def test_a_torn_journal_is_found(store: Store, write: Write, tail: bytes) -> None:
    write("a", point_id="p")
    path = write_journal(store, (TrialState.COMPLETE, "p"))
    path.write_bytes(path.read_bytes() + tail)
    assert kinds(store) == {"torn journal"}
    mend_is_clean_and_idle_again(store)
    assert not path.exists()


def test_a_study_that_is_being_run_is_never_mended(
    study: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    leftover = study.folder / "runs" / ".e.parquet.0123.tmp"
    leftover.touch()
    with (study.folder / ".run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["doctor", str(study.folder.parent), "--mend"]) == 1
        assert "is being run" in capsys.readouterr().out
        assert leftover.exists()
        assert main(["doctor", str(study.folder.parent)]) == 0  # it may be being written
    assert main(["doctor", str(study.folder.parent)]) == 1


def test_the_command_says_what_is_wrong_and_mends(
    study: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    empty(fragment(study, "runs", "c"))
    root = str(study.folder.parent)
    assert main(["doctor", root]) == 1
    out = capsys.readouterr().out
    assert "damaged file" in out
    assert f"rankbench doctor {root} --mend" in out
    assert quarantined(study) == set()
    assert main(["doctor", root, "--mend"]) == 0
    assert main(["doctor", root]) == 0


def test_results_that_are_no_folder_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(tmp_path / "none")]) == 2
    assert "results must be a folder" in capsys.readouterr().err


# As a property: whatever is damaged, the doctor mends it, and touches nothing else.

RUNS = "abcdef"
DAMAGES: dict[str, Damage] = {
    "truncate": truncate,
    "empty": empty,
    "flip": flip,
    "delete": Path.unlink,
    "rename": lambda path: path.rename(path.with_name("z.parquet")),
    "copy": lambda path: path.with_name("y.parquet").write_bytes(path.read_bytes()),
    "double": lambda path: rewrite(path, lambda t: pa.concat_tables([t, t])),
}


def write_curve(store: Store, run_id: str) -> None:
    curve = [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in (1, 2)]
    store.write_run({"runs": [{"run_id": run_id, "status": "done"}], "epochs": curve})


def runs_of(path: Path) -> set[str]:
    with pq.ParquetFile(path) as file:
        return set(file.read(["run_id"])["run_id"].to_pylist())


@settings(max_examples=15)
@given(
    compacted=st.sets(st.sampled_from(RUNS)),
    hits=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(sorted(DAMAGES))), min_size=1, max_size=5
    ),
)
def test_mending_leaves_every_undamaged_run_as_it_was(
    compacted: set[str], hits: list[tuple[int, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, "demo")
        for run_id in sorted(compacted):
            write_curve(store, run_id)
        store.compact()
        for run_id in sorted(set(RUNS) - compacted):
            write_curve(store, run_id)
        whole = rows(store)
        files = sorted(store.folder.glob("*/*.parquet"))
        owners = {path: runs_of(path) for path in files}
        damaged: set[str] = set()
        for number, damage in hits:
            path = files[number % len(files)]
            if path in owners:
                DAMAGES[damage](path)
                damaged |= owners.pop(path)
        mend_study(store.folder)
        assert found(store) == []
        held = rows(store)
        for run_id in set(RUNS) - damaged:
            assert held[run_id] == whole[run_id]
        again = quarantined(store)
        assert mend_study(store.folder) == []
        assert (rows(store), quarantined(store)) == (held, again)


def test_schema_tells_which_table_it_is() -> None:
    assert {arrow_schema(table).metadata[b"table"].decode() for table in TABLES} == set(TABLES)
