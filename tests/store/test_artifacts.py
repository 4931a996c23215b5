"""Files beside the rows of a run: whole, replaced whole, and no damage to a doctor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.doctor.checks import check_study
from rankbench.store import artifacts
from rankbench.store.artifacts import Artifacts
from rankbench.tasks import TASKS
from rankbench.tasks.base import Context, Row
from tests.engine.test_study import execute, make_study
from tests.helpers.probe import Probe

FILES = {"a.png": b"one", "b.png": b""}


def stored(held: Artifacts) -> dict[tuple[str, str], bytes]:
    return {(file["run_id"], file["name"]): file["content"] for file in held.read()}


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["r1", "r2", "r3"]),
        st.dictionaries(st.sampled_from(["a.png", "b", "c_1.txt"]), st.binary(max_size=99)),
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, runs: dict[str, dict[str, bytes]]
) -> None:
    held = Artifacts(tmp_path_factory.mktemp("results"), "study")
    for run_id, files in runs.items():
        held.write(run_id, files)
    expected = {(run, name): runs[run][name] for run in runs for name in runs[run]}
    assert stored(held) == expected
    assert list(stored(held)) == sorted(expected)


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Artifacts(tmp_path, "study")
    held.write("r", FILES)
    held.write("r", {"a.png": b"two"})
    assert stored(held) == {("r", "a.png"): b"two", ("r", "b.png"): b""}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts.os, "fsync", full)
    with pytest.raises(OSError, match="results cannot be written: No space left on device"):
        held.write("r", {"a.png": b"three"})
    assert stored(held)[("r", "a.png")] == b"two"
    assert sorted(path.name for path in (tmp_path / "study/artifacts/r").iterdir()) == [*FILES]


@pytest.mark.parametrize("name", ["../a.png", "a/b", ".hidden", ""])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="the name of an artifact must consist of letters"):
        Artifacts(tmp_path, "study").write("r", {name: b""})
    with pytest.raises(ValueError, match="run_id must consist of letters"):
        Artifacts(tmp_path, "study").write(name, FILES)
    assert list(tmp_path.iterdir()) == []


class Leaving(Probe):
    """A probe that leaves two files of one name, and another."""

    def run(self, point: Any, context: Context) -> Iterator[Row]:
        for name, content in (("a.png", b"zero"), *FILES.items()):
            yield "artifacts", {"name": name, "content": content}
        yield from super().run(point, context)


@pytest.mark.parametrize(("how", "left"), [("done", FILES), ("bug", {})])
def test_a_run_that_is_done_has_its_files_and_a_doctor_finds_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, left: dict[str, bytes]
) -> None:
    monkeypatch.setitem(TASKS, "probe", Leaving)
    study = make_study(tmp_path, {"task": {"how": (how,)}})
    [row] = execute(study).measured
    found = stored(Artifacts(study.results, study.name))
    assert found == {(row["run_id"], name): content for name, content in left.items()}
    assert list(check_study(Path(study.results) / study.name, running=False)) == []
