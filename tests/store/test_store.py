"""What is written is read, whatever was interrupted, repeated, merged or damaged in between."""

from __future__ import annotations

import datetime
import errno
import math
import multiprocessing
import os
import resource
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.store import parquet_file as fragments
from rankbench.store import reader as merge
from rankbench.store.schema import SCHEMA_VERSION, TABLES, arrow_schema
from rankbench.store.store import DamagedFileWarning, Store
from tests.helpers.processes import spawn

Write = Callable[..., None]
NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)


def rows(store: Store, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.read(table, columns).to_pylist()]


def files(store: Store, table: str) -> list[str]:
    return sorted(path.name for path in (store.folder / table).iterdir())


# What is written is read.


def test_a_run_comes_back_with_its_types(store: Store) -> None:
    run = {
        "run_id": "a",
        "seed": 3,
        "status": "diverged",
        "error": "training loss is nan",
        "noise": 0.05,
        "in_modes": (8, 8),
        "git_dirty": True,
        "started_at": NOON,
        "rmse": math.inf,
    }
    weights = [{"name": "target", "shape": [1, 2], "values": [0.5, -1.0]}]
    store.write_run({"runs": [run], "weights": weights})
    [read] = store.read("runs").to_pylist()
    assert {key: read[key] for key in run} == run | {"in_modes": [8, 8]}
    assert read["study"] == "demo"
    assert all(read[key] is None for key in read.keys() - run.keys() - {"study"})
    own = {"study": "demo", "run_id": "a"}
    assert store.read("weights").to_pylist() == [own | weights[0]]
    assert store.read("epochs").num_rows == 0


@pytest.mark.parametrize("compacted", [False, True])
def test_tables_have_the_schema_with_units(store: Store, write: Write, compacted: bool) -> None:
    write("a", epochs=1)
    if compacted:
        store.compact()
    for table in TABLES:
        assert store.read(table).schema.equals(arrow_schema(table), check_metadata=False)
    [path] = (store.folder / "runs").glob("*.parquet")
    written = pq.read_schema(path)
    assert written.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    assert written.field("forward_ms").metadata[b"unit"] == b"ms"


def test_rows_come_in_the_order_of_run_id_then_as_written(store: Store, write: Write) -> None:
    for run_id in ("b", "a", "a-b"):
        write(run_id, epochs=2)
    expected = [("a", 1), ("a", 2), ("a-b", 1), ("a-b", 2), ("b", 1), ("b", 2)]
    assert rows(store, "epochs", "run_id", "epoch") == expected
    store.compact()
    write("aa", epochs=1)
    assert rows(store, "epochs", "epoch", "run_id") == [
        *((epoch, run_id) for run_id, epoch in expected[:4]),
        (1, "aa"),
        (1, "b"),
        (2, "b"),
    ]


def test_a_row_keeps_the_study_it_was_first_measured_for(store: Store) -> None:
    store.write_run(
        {
            "runs": [{"run_id": "a", "status": "done", "study": "first"}],
            "epochs": [{"epoch": 1}],
        }
    )
    assert rows(store, "runs", "study") == rows(store, "epochs", "study") == [("first",)]


def test_text_that_is_no_utf8_is_kept_readable(store: Store, write: Write) -> None:
    write("a", error="cannot open 'caf\udce9.jpg'")
    assert rows(store, "runs", "error") == [(r"cannot open 'caf\udce9.jpg'",)]


# Rows that do not fit are refused, in one line, and nothing is written.


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"runs": [{"run_id": "a", "status": "done", "acuracy": 1.0}]},
            r"^column of the table runs must be one of: study, .*; got 'acuracy' "
            r"\(did you mean 'accuracy'\?\)$",
        ),
        (
            {"runs": [{"run_id": "a", "status": "done", "seed": "three"}]},
            "^seed of the table runs must be int64, got 'three'$",
        ),
        (
            {"runs": [{"run_id": "a", "status": "done", "epochs": 1.5}]},
            "^epochs of the table runs must be int64, got 1.5$",
        ),
        (
            {"runs": [{"run_id": "a", "status": "done", "num_params": 2**63}]},
            "^num_params of the table runs must be int64, got 9223372036854775808$",
        ),
        (
            {"runs": [{"run_id": "a", "status": "done", "ranks": [1.5]}]},
            r"^ranks of the table runs must be list<.*int64>, got \[1.5\]$",
        ),
        (
            {"runs": [{"run_id": "a", "status": "finished"}]},
            "^status must be one of: done, .*; got 'finished'$",
        ),
        ({"runs": []}, "^runs must have exactly 1 row for a run, got 0$"),
        ({"epochs": [{"epoch": 1}]}, "^runs must have exactly 1 row for a run, got 0$"),
        (
            {"runs": [{"run_id": "a", "status": "done"}] * 2},
            "^runs must have exactly 1 row for a run, got 2$",
        ),
        (
            {"runs": [{"run_id": "a", "status": "done"}], "epoch": []},
            r"^table must be one of: runs, .*; got 'epoch' \(did you mean 'epochs'\?\)$",
        ),
        (
            {"runs": [{"run_id": "a", "status": "done"}], "epochs": [{"run_id": "b"}]},
            "^run_id of epochs must be one of: a; got 'b'$",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    store: Store, tables: dict[str, list[dict[str, Any]]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        store.write_run(tables)
    assert not store.folder.exists()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "compact-1", None, 3, "a\n"])
def test_names_that_cannot_be_files_are_refused(store: Store, name: Any) -> None:
    rule = "must consist of letters, digits, _, - and . and not begin with -, . or compact-, got "
    with pytest.raises(ValueError, match=f"^run_id {rule}"):
        store.write_run({"runs": [{"run_id": name, "status": "done"}]})
    with pytest.raises(ValueError, match=f"^study {rule}"):
        Store(store.folder.parent, name)


def test_reading_what_is_not_in_the_schema_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match=r"^table must be one of: .*; got 'run'"):
        store.read("run")
    with pytest.raises(ValueError, match=r"^column of the table epochs must be .*; got 'loss'"):
        store.read("epochs", ["loss"])


# A repeated run replaces the earlier attempt.


@pytest.mark.parametrize("compactions", [(), (1,), (1, 2)])
def test_a_repeated_run_replaces_every_row(
    store: Store, write: Write, compactions: tuple[int, ...]
) -> None:
    write("a", epochs=3, status="error", error="out of luck")
    write("b", epochs=1)
    if 1 in compactions:
        store.compact()
    write("a", epochs=0)
    if 2 in compactions:
        store.compact()
    assert rows(store, "runs", "run_id", "status", "error") == [
        ("a", "done", None),
        ("b", "done", None),
    ]
    assert rows(store, "epochs", "run_id") == [("b",)]


def test_a_repeated_run_leaves_no_stale_file(store: Store, write: Write) -> None:
    write("a", epochs=3)
    write("a", epochs=0)
    assert files(store, "epochs") == []


# Compaction.


def test_compaction_leaves_one_file_a_table_and_the_same_rows(store: Store, write: Write) -> None:
    for number in range(5):
        write(f"run{number}", epochs=number)
    before = {table: store.read(table) for table in TABLES}
    assert store.compact() == 5 + 4
    assert files(store, "runs") == ["compact-1.parquet"]
    assert files(store, "epochs") == ["compact-1.parquet"]
    assert {table: store.read(table) for table in TABLES} == before
    assert store.compact() == 0
    write("run5")
    # The runs, and in epochs the empty fragment: run5 might have been there before.
    assert store.compact() == 2 + 2
    assert files(store, "runs") == ["compact-2.parquet"]
    assert len(rows(store, "runs", "run_id")) == 6


def test_compacting_a_study_that_is_not_there_makes_nothing(store: Store) -> None:
    assert store.compact() == 0
    assert not store.folder.exists()


def test_compact_files_count_from_the_newest(store: Store, write: Write) -> None:
    (folder := store.folder / "runs").mkdir(parents=True)
    for number, error in ((2, "old"), (10, "new"), (9, "older")):
        table = fragments.to_arrow("runs", [{"run_id": "a", "status": "error", "error": error}])
        pq.write_table(table, folder / f"compact-{number}.parquet")
    assert rows(store, "runs", "error") == [("new",)]
    store.compact()
    assert files(store, "runs") == ["compact-11.parquet"]
    assert rows(store, "runs", "error") == [("new",)]


class Crash(BaseException):
    """The process ends here."""


class Disk:
    """Counts what is changed on the disk, and dies at the operation number `fatal`."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal = fatal
        self.count = 0

    def wrap(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def operate(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.fatal is not None and self.count >= self.fatal:
                raise Crash  # so does all that comes after: nobody is there to clean up
            return operation(*args, **kwargs)

        return operate


@contextmanager
def crashing(fatal: int | None) -> Iterator[Disk]:
    disk = Disk(fatal)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (Path, "replace"),
            (Path, "unlink"),
            (os, "fsync"),
            (pq, "write_table"),
        ):
            patch.setattr(owner, name, disk.wrap(getattr(owner, name)))
        yield disk


def crash_points(prepare: Callable[[], Any], act: Callable[[], Any]) -> Iterator[int]:
    """Crash `act` at its first operation, its second, and so on; yield after each crash."""
    prepare()
    with crashing(None) as disk:
        act()
    assert disk.count > 5
    for fatal in range(1, disk.count + 1):
        prepare()
        with crashing(fatal), pytest.raises(Crash):
            act()
        yield fatal


def test_a_crash_during_compaction_changes_no_row(tmp_path: Path) -> None:
    stores: list[Store] = []

    def prepare() -> None:
        store = Store(tmp_path / str(len(stores)), "demo")
        stores.append(store)
        old = {"runs": [{"run_id": "a", "status": "error"}], "epochs": [{"epoch": 9}]}
        store.write_run(old)
        store.compact()
        store.write_run({"runs": [{"run_id": "a", "status": "done"}]})
        store.write_run({"runs": [{"run_id": "b", "status": "done"}], "epochs": [{"epoch": 1}]})

    for fatal in crash_points(prepare, lambda: stores[-1].compact()):
        for _ in range(2):
            assert rows(stores[-1], "runs", "run_id", "status") == [("a", "done"), ("b", "done")]
            assert rows(stores[-1], "epochs", "run_id", "epoch") == [("b", 1)], fatal
            stores[-1].compact()
        assert [name for name in files(stores[-1], "runs") if not name.startswith("compact")] == []


def test_a_crash_during_a_write_leaves_the_old_run_or_the_new(tmp_path: Path) -> None:
    stores: list[Store] = []

    def attempt(status: str, epochs: int) -> None:
        curve = [{"epoch": epoch} for epoch in range(epochs)]
        stores[-1].write_run({"runs": [{"run_id": "a", "status": status}], "epochs": curve})

    def prepare() -> None:
        stores.append(Store(tmp_path / str(len(stores)), "demo"))
        attempt("error", 2)

    seen = set()
    for _ in crash_points(prepare, lambda: attempt("done", 3)):
        [status] = rows(stores[-1], "runs", "status")
        curve = len(rows(stores[-1], "epochs", "epoch"))
        seen.add((*status, curve))
        attempt("done", 3)
        assert rows(stores[-1], "runs", "status") == [("done",)]
    # The row of runs is the last to change: it never speaks of a curve that is not there yet.
    assert seen == {("error", 2), ("error", 3), ("done", 3)}


def test_leftover_temporary_files_are_never_read_and_go_with_compaction(
    store: Store, write: Write
) -> None:
    write("a")
    whole = (store.folder / "runs" / "a.parquet").read_bytes()
    (store.folder / "runs" / ".b.parquet.0123.tmp").write_bytes(whole)
    assert rows(store, "runs", "run_id") == [("a",)]
    store.compact()
    assert files(store, "runs") == ["compact-1.parquet"]


# A disk that is full.


def fill_up_at_fsync(patch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", fsync)


def fill_up_half_way(patch: pytest.MonkeyPatch) -> None:
    def write_table(table: pa.Table, file: Any, **options: Any) -> None:
        file.write(b"PAR1 and half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(pq, "write_table", write_table)


@pytest.mark.parametrize("fill_up", [fill_up_at_fsync, fill_up_half_way])
@pytest.mark.parametrize("act", ["write", "compact"])
def test_a_full_disk_changes_nothing(
    store: Store, write: Write, fill_up: Callable[[pytest.MonkeyPatch], None], act: str
) -> None:
    write("a", epochs=2, status="error")
    write("b", epochs=1)
    before = {table: files(store, table) for table in ("runs", "epochs")}
    with pytest.MonkeyPatch.context() as patch:
        fill_up(patch)
        with pytest.raises(OSError, match=r"results cannot be written: .*") as raised:
            store.compact() if act == "compact" else write("a", epochs=3)
    table, name = ("runs", "compact-1") if act == "compact" else ("epochs", "a")
    path = store.folder / table / f"{name}.parquet"
    expected = f"[Errno 28] results cannot be written: No space left on device: '{path}'"
    assert str(raised.value) == expected
    assert {table: files(store, table) for table in ("runs", "epochs")} == before
    assert rows(store, "runs", "run_id", "status") == [("a", "error"), ("b", "done")]


def test_a_limit_of_the_system_changes_nothing(store: Store, write: Write) -> None:
    write("a", error="first")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(
            OSError, match=r"results cannot be written: File too large: .*a.parquet"
        ):
            write("a", error="x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert files(store, "runs") == ["a.parquet"]
    assert rows(store, "runs", "error") == [("first",)]


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("not a folder")
    with pytest.raises(OSError, match=r"results cannot be written: .*demo/.lock'$"):
        Store(tmp_path, "demo").write_run({"runs": [{"run_id": "a", "status": "done"}]})


# Damaged files.


def truncated(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def flipped(whole: bytes) -> bytes:
    middle = whole.index(b"a damaged letter")
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


DAMAGE = {
    "empty": lambda whole: b"",
    "truncated": truncated,
    "flipped": flipped,
    "text": lambda whole: b"run_id,status\na,done\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_skipped_and_reported(
    store: Store, write: Write, damage: Callable[[bytes], bytes]
) -> None:
    write("a")
    write("b", error="a damaged letter")
    path = store.folder / "runs" / "b.parquet"
    path.write_bytes(damage(path.read_bytes()))
    for compact in (False, True):
        if compact:
            with pytest.warns(DamagedFileWarning):
                store.compact()
        with pytest.warns(DamagedFileWarning) as reported:
            assert rows(store, "runs", "run_id") == [("a",)]
        [line] = [str(warning.message) for warning in reported]
        assert line.startswith(f"{path} is skipped: ")
        assert len(line) > len(f"{path} is skipped: ")
        assert "\n" not in line
    # The file stays for whoever wants to look at it, until the run is measured again.
    assert files(store, "runs") == ["b.parquet", "compact-1.parquet"]
    write("b")
    assert rows(store, "runs", "run_id") == [("a",), ("b",)]


def test_a_damaged_fragment_does_not_hide_an_older_row(store: Store, write: Write) -> None:
    write("a", status="error")
    store.compact()
    (store.folder / "runs" / "a.parquet").write_bytes(b"")
    with pytest.warns(DamagedFileWarning):
        assert rows(store, "runs", "run_id", "status") == [("a", "error")]


def test_rows_hidden_in_a_damaged_compact_file_stay_hidden(store: Store, write: Write) -> None:
    write("a", epochs=2)
    store.compact()
    write("a", epochs=0)
    path = store.folder / "epochs" / "compact-1.parquet"
    whole = path.read_bytes()
    path.write_bytes(truncated(whole))
    with pytest.warns(DamagedFileWarning):
        store.compact()
    path.write_bytes(whole)  # it could not be read for a moment only
    assert rows(store, "epochs", "epoch") == []


def test_a_copy_of_a_fragment_does_not_count_twice(store: Store, write: Write) -> None:
    write("a")
    path = store.folder / "runs" / "a.parquet"
    (store.folder / "runs" / "a copy.parquet").write_bytes(path.read_bytes())
    with pytest.warns(
        DamagedFileWarning, match=r"a copy.parquet is skipped: it holds rows of run a$"
    ):
        assert rows(store, "runs", "run_id") == [("a",)]


def test_a_broken_link_is_reported_not_waited_for(store: Store, write: Write) -> None:
    write("a")
    (store.folder / "runs" / "b.parquet").symlink_to("nowhere")
    with pytest.warns(DamagedFileWarning, match="b.parquet is skipped"):
        assert rows(store, "runs", "run_id") == [("a",)]


# Older and newer schemas.


def test_a_column_that_was_renamed_is_read_under_its_new_name(store: Store, write: Write) -> None:
    write("new", plan="auto")
    old = pa.table({"run_id": ["old"], "status": ["done"], "order": ["paper"]})
    pq.write_table(old, store.folder / "runs" / "old.parquet")
    assert rows(store, "runs", "run_id", "plan") == [("new", "auto"), ("old", "paper")]


def test_other_schemas_are_merged(store: Store, write: Write) -> None:
    write("new", rmse=0.5, num_params=4)
    other = pa.table(
        {
            "run_id": ["old"],
            "status": pa.array(["done"]).dictionary_encode(),
            "rmse": pa.array([2], pa.int32()),
            "num_params": pa.array([3], pa.int32()),
            "forgotten": [1],
        }
    )
    pq.write_table(other, store.folder / "runs" / "old.parquet")
    columns = ("run_id", "status", "rmse", "num_params", "noise")
    expected = [("new", "done", 0.5, 4, None), ("old", "done", 2.0, 3, None)]
    assert rows(store, "runs", *columns) == expected
    store.compact()
    assert rows(store, "runs", *columns) == expected


@pytest.mark.parametrize(
    ("content", "why"),
    [({"seed": [1]}, "it has no column run_id"), ({"run_id": ["b"], "seed": ["x"]}, ".*'x'.*")],
)
def test_a_file_of_another_kind_is_skipped(
    store: Store, write: Write, content: dict[str, list[Any]], why: str
) -> None:
    write("a")
    pq.write_table(pa.table(content), store.folder / "runs" / "b.parquet")
    with pytest.warns(DamagedFileWarning, match=f"b.parquet is skipped: {why}$"):
        assert rows(store, "runs", "run_id") == [("a",)]


# Many at once.


def test_a_compaction_in_the_middle_of_a_read_hides_nothing(
    store: Store, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in "abc":
        write(run_id)
    read_file = merge.read_file
    compacted = []

    def read_slowly(path: Path, schema: pa.Schema) -> pa.Table:
        if path.stem == "b" and not compacted:
            compacted.append(True)
            store.compact()
            write("d")
        return read_file(path, schema)

    monkeypatch.setattr(merge, "read_file", read_slowly)
    assert rows(store, "runs", "run_id") == [("a",), ("b",), ("c",), ("d",)]
    assert compacted


def test_a_listing_torn_by_a_compaction_is_taken_again(
    store: Store, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder is listed piece by piece: the fragment gone already, the compact file not yet seen.
    write("a")
    store.compact()
    listings = [merge.Listing(compacts=(), fragments=())]
    list_now = merge.Listing.of

    def list_torn_once(folder: Path) -> merge.Listing:
        return listings.pop() if listings else list_now(folder)

    monkeypatch.setattr(merge.Listing, "of", list_torn_once)
    assert rows(store, "runs", "run_id") == [("a",)]


def write_many(root: str, worker: int, count: int) -> None:
    store = Store(root, "demo")
    for number in range(count):
        row = {"run_id": f"{worker}-{number:03d}", "status": "done"}
        store.write_run({"runs": [row], "epochs": [{"epoch": 1}, {"epoch": 2}]})


def compact_until(root: str, stop: Any) -> None:
    while not stop.is_set():
        Store(root, "demo").compact()


def test_writers_readers_and_a_compaction_lose_no_row(tmp_path: Path) -> None:
    root, count, seen = str(tmp_path), 25, set[str]()
    store, stop = Store(tmp_path, "demo"), multiprocessing.get_context("spawn").Event()
    writers = [spawn(write_many, root, number, count) for number in (1, 2)]
    compactor = spawn(compact_until, root, stop)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while any(writer.is_alive() for writer in writers):
            now = [run_id for (run_id,) in rows(store, "runs", "run_id")]
            assert len(now) == len(set(now))
            assert seen <= set(now)
            seen = set(now)
    stop.set()
    for process in (*writers, compactor):
        process.join()
        assert process.exitcode == 0
    expected = [f"{worker}-{number:03d}" for worker in (1, 2) for number in range(count)]
    assert rows(store, "runs", "run_id") == [(run_id,) for run_id in expected]
    assert len(rows(store, "epochs", "run_id")) == 2 * len(expected)
    store.compact()
    [name] = files(store, "runs")
    assert name.startswith("compact-")


# Any rows, in any order of writes and compactions.

STRATEGIES = {
    pa.string(): st.text(max_size=20),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.list_(pa.int64()): st.lists(st.integers(0, 10), max_size=3),
    pa.list_(pa.float64()): st.lists(st.floats(), max_size=3),
    pa.timestamp("us", tz="UTC"): st.datetimes(
        datetime.datetime(1970, 1, 2), timezones=st.just(datetime.UTC)
    ),
}


def any_row(table: str, *fixed: str) -> st.SearchStrategy[dict[str, Any]]:
    free = [column for column in TABLES[table] if column.name not in {"run_id", *fixed}]
    values = {column.name: st.none() | STRATEGIES[column.type] for column in free}
    return st.fixed_dictionaries({}, optional=values)


WRITES = st.tuples(
    st.sampled_from("abc"),
    any_row("runs", "status", "study"),
    st.lists(any_row("epochs"), max_size=2),
    st.lists(any_row("weights"), max_size=2),
)


def comparable(row: dict[str, Any]) -> str:
    time = row.get("started_at")
    utc = {} if time is None else {"started_at": time.timestamp()}
    return repr({key: value for key, value in sorted((row | utc).items()) if value is not None})


@settings(max_examples=30)
@given(st.lists(st.just("compact") | WRITES, min_size=1, max_size=6))
def test_rows_survive_any_writes_and_compactions(steps: list[Any]) -> None:
    expected: dict[str, dict[str, list[dict[str, Any]]]] = {table: {} for table in TABLES}
    with tempfile.TemporaryDirectory() as root:
        store = Store(root, "demo")
        for step in steps:
            if step == "compact":
                store.compact()
                continue
            run_id, run, epochs, weights = step
            own = {"study": "demo", "run_id": run_id}
            written = {"runs": [{**run, "status": "done"}], "epochs": epochs, "weights": weights}
            store.write_run({**written, "runs": [{**written["runs"][0], "run_id": run_id}]})
            for table, new in written.items():
                expected[table][run_id] = [{**own, **row} for row in new]
        for table, runs in expected.items():
            wanted = [comparable(row) for run_id in sorted(runs) for row in runs[run_id]]
            assert [comparable(row) for row in store.read(table).to_pylist()] == wanted
