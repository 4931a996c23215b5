"""What comes from others (studies, archives, arrays, names) runs nothing and stays inside."""

from __future__ import annotations

import ast
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from rankbench.cli.main import main
from rankbench.common.terminal import Screen
from rankbench.common.text import plain
from rankbench.data.video.archives import unpack
from rankbench.store.store import Store
from rankbench.study.config import load_study
from tests.test_imports import FILES, module_of

BASE = "task:\n  name: recovery\nlayer:\n  decomposition: dense\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.yaml").write_text("description: stolen\n")
    (tmp_path / "studies").mkdir()
    return tmp_path / "studies"


def study(folder: Path, more: str = "", name: str = "s.yaml") -> str:
    (folder / name).write_text(BASE + more)
    return str(folder / name)


def refusal(path: str, *overrides: str) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:  # one line
        load_study(path, overrides)
    return str(caught.value)


# A study file is data.


@pytest.mark.parametrize(
    "more",
    [
        "_target_: os.system\n",
        "compute:\n  _target_: os.system\n",
        "search:\n  _target_: os.system\n",
        "space:\n  shared:\n    layer: {_target_: os.system}\n",
    ],
)
def test_a_target_is_an_unknown_key(folder: Path, more: str) -> None:
    assert "'_target_'" in refusal(study(folder, more))


@pytest.mark.parametrize("key", ["_target_", "task._target_", "layer._target_"])
def test_a_target_in_an_override_is_an_unknown_key(folder: Path, key: str) -> None:
    assert "'_target_'" in refusal(study(folder), f"+{key}=os.system")


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system", "object/new:os.system", "name:os.system", "module:os"]
)
def test_tags_of_python_make_nothing(folder: Path, tag: str) -> None:
    touched = folder / "touched"
    path = study(folder, f"description: !!python/{tag} ['touch {touched}']\n")
    assert "could not determine a constructor" in refusal(path)
    assert not touched.exists()


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:SECRET}",
        "a ${oc.env:SECRET} b",
        "${oc.env:SECRET,none}",
        "${oc.decode:${oc.env:SECRET}}",
        "${${dtype}:SECRET}",
        "${oc.create:{a:1}}",
        "${hydra:runtime.cwd}",
        "${custom:1}",
    ],
)
def test_resolvers_are_refused_and_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    ran: list[Any] = []
    OmegaConf.register_new_resolver("custom", ran.append, replace=True)
    try:
        in_file = refusal(study(folder, f'description: "{text}"\n'))
        deep = refusal(study(folder, f'space:\n  shared:\n    layer:\n      plan: ["{text}"]\n'))
        overridden = refusal(study(folder), f"description='{text}'")
    finally:
        OmegaConf.clear_resolver("custom")
    for told in (in_file, deep, overridden):
        assert "calls a resolver" in told
        assert "hunter2" not in told
    assert ran == []


def test_a_reference_to_another_setting_is_resolved(folder: Path) -> None:
    loaded = load_study(
        study(folder, "dtype: float32\ndescription: in ${dtype}, see https://a.b\n")
    )
    assert loaded.description == "in float32, see https://a.b"


@pytest.mark.parametrize(
    "name", ["../secret", "../secret@_global_", "/secret", "${x}", "{a: ../b}"]
)
def test_defaults_do_not_reach_outside(folder: Path, name: str) -> None:
    path = study(folder, f"defaults:\n  - {json.dumps(name) if name[0] != '{' else name}\n")
    assert "defaults must name files in" in refusal(path)


def test_defaults_do_not_reach_outside_by_a_link_or_another_file(folder: Path) -> None:
    (folder / "link.yaml").symlink_to(folder.parent / "secret.yaml")
    assert "defaults must name files" in refusal(study(folder, "defaults:\n  - link\n"))
    (folder / "group").mkdir()
    (folder / "group" / "inner.yaml").write_text("defaults:\n  - ../../secret\n")
    assert "defaults must name files" in refusal(study(folder, "defaults:\n  - group/inner\n"))


def test_defaults_within_the_folder_are_composed(folder: Path) -> None:
    (folder / "shared.yaml").write_text("description: shared\n")
    path = study(folder, "defaults:\n  - shared\n  - _self_\n")
    assert load_study(path).description == "shared"


def test_the_search_path_of_hydra_is_not_set(folder: Path) -> None:
    path = study(folder, f"hydra:\n  searchpath: [file://{folder.parent}]\n")
    assert "a study must not configure hydra" in refusal(path)
    assert "a study must not configure hydra" in refusal(
        study(folder), f"hydra.searchpath=[{folder.parent}]"
    )
    assert "a study must not configure hydra" in refusal(study(folder), "hydra/job_logging=none")


@pytest.mark.parametrize("part", ["task", "layer", "training", "compute", "search", "space"])
@pytest.mark.parametrize("value", ["3", "[1]", "text"])
def test_a_part_that_is_no_mapping_is_one_line(folder: Path, part: str, value: str) -> None:
    written = {"task": {"name": "recovery"}, part: OmegaConf.create(f"x: {value}").x}
    path = folder / "s.yaml"
    OmegaConf.save(OmegaConf.create(written), path)
    refusal(str(path))


@pytest.mark.parametrize("space", ["{shared: 3}", "{branches: 3}", "{branches: {a: 3}}"])
def test_a_space_that_is_no_mapping_is_one_line(folder: Path, space: str) -> None:
    assert "must be a mapping" in refusal(study(folder, f"space: {space}\n"))


# No pickle is read.

LOADERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def calls_that_unpickle(source: str) -> list[str]:
    """Calls that may run code of what they read, and imports of modules whose loaders do."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in LOADERS:
                found.append(f"from {node.module}")
        elif isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            found += sorted(f"import {name}" for name in names & LOADERS - {"pickle"})
        elif isinstance(node, ast.Call) and not is_safe(node):
            found.append(ast.unparse(node))
    return found


def is_safe(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name == "torch.load":
        return options.get("weights_only") == "True"
    unpickles = name.endswith(("read_pickle", "Unpickler", "torch.hub.load", "yaml.load"))
    loads = name.partition(".")[0] in LOADERS and "load" in name
    return options.get("allow_pickle", "False") == "False" and not (unpickles or loads)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "import pickle\npickle.loads(b)",
        "from pickle import load",
        "import joblib",
        "import shelve",
        "from marshal import loads",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "np.load(p, allow_pickle=flag)",
        "pd.read_pickle(p)",
        "yaml.load(f)",
    ],
)
def test_the_check_for_pickles_finds_them(source: str) -> None:
    assert calls_that_unpickle(source)


# A program comes from the study's own process, through a pipe that this one made: no file.
ITS_OWN = {"rankbench.engine.supervisor": ["pickle.loads(order.program)"]}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_pickle_is_ever_loaded(path: Path) -> None:
    assert calls_that_unpickle(path.read_text()) == ITS_OWN.get(module_of(path), [])


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def test_features_that_are_objects_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    bomb = np.array([Bomb(tmp_path / "touched")], dtype=object)
    np.savez(tmp_path / "bad.npz", feat=bomb, clip_id=np.array(["a"]))
    assert main(["data", "features", "bad", "--from", str(tmp_path / "bad.npz")]) == 2
    assert "is not a valid .npz: Object arrays cannot be loaded" in capsys.readouterr().err
    assert not (tmp_path / "touched").exists()


# An archive is unpacked into its folder.

OUTSIDE = ("../up.avi", "/absolute.avi", "a/../../up.avi", "..\\up.avi", "./../up.avi")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_zip_writes_nothing_outside(tmp_path: Path, name: str) -> None:
    target = tmp_path / "deep" / "out"
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr(name, b"x")
    unpack(tmp_path / "bad.zip", target)
    assert outside(tmp_path, target) == {"bad.zip"}
    assert not Path("/absolute.avi").exists()


def outside(folder: Path, target: Path) -> set[str]:
    written = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {path.name for path in written if not path.is_relative_to(target)}


def test_links_in_a_zip_are_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        link = zipfile.ZipInfo("clips.avi")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "..")
        file.writestr("clips.avi/up.avi", b"x")
    with pytest.raises(OSError, match=r"clips\.avi"):  # a file stands where a folder should
        unpack(tmp_path / "bad.zip", target)
    assert outside(tmp_path, target) == {"bad.zip"}
    assert not any(path.is_symlink() for path in target.rglob("*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_tar_writes_nothing_outside(tmp_path: Path, kind: bytes) -> None:
    pytest.importorskip("libarchive", exc_type=(ImportError, OSError), reason="no libarchive")
    target = tmp_path / "deep" / "out"
    with tarfile.open(tmp_path / "bad.tar", "w") as file:
        for name in (*OUTSIDE, "sub/inner.avi"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            file.addfile(entry, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link.avi")
        link.type, link.linkname = kind, "../../victim"
        file.addfile(link)
    unpack(tmp_path / "bad.tar", target)
    assert outside(tmp_path, target) == {"bad.tar"}
    assert not any(path.is_symlink() for path in target.rglob("*"))


# Names stay inside the results.


@pytest.mark.parametrize("name", ["..", "../x", "/x", "a/b", ".hidden", "", "compact-1", "a\0b"])
def test_no_name_leaves_the_results(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="study must consist of letters"):
        Store(tmp_path, name)
    with pytest.raises(ValueError, match="run_id must consist of letters"):
        Store(tmp_path, "demo").write_run({"runs": [{"run_id": name, "status": "done"}]})
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("override", ["name=../../up", "++name=/up"])
def test_a_study_has_the_name_of_its_file(folder: Path, override: str) -> None:
    assert load_study(study(folder, "name: ../../up\n"), [override]).name == "s"


# What others wrote is shown, and never obeyed.

EVIL = "\x1b[2J\x1b]0;title\x07[red]x[/red] :smile: [link=http://a.b]y[/link] [/]"


def shown(*what: Any) -> str:
    stream = io.StringIO()
    Screen(file=stream, force_terminal=True, width=200, color_system=None).print(*what)
    return stream.getvalue()


def test_markup_and_escapes_are_shown_as_text() -> None:
    assert shown(EVIL).rstrip("\n") == plain(EVIL)


@given(st.text())
def test_no_text_reaches_the_terminal_as_control(text: str) -> None:
    assert set(plain(text)) <= {letter for letter in plain(text) if letter.isprintable()}
    assert all(letter == "\n" or letter.isprintable() for letter in shown(text))


def test_a_study_s_description_and_errors_are_shown_as_text(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = study(folder, f"description: {json.dumps(EVIL)}\nresults: {folder / 'r'}\n")
    run = {"run_id": "a", "status": "error", "error": EVIL}
    Store(folder / "r", "s").write_run({"runs": [run]})
    for command, shown in (("plan", plain(EVIL)), ("status", "[red]x[/red] :smile:")):
        assert main([command, path]) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "\x07" not in out
        assert shown in out
    assert main(["query", "select error from runs", "--results", str(folder / "r")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[red]x[/red]" in out


def test_an_error_of_the_command_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", f"{EVIL}.yaml"]) == 2
    assert "\x1b" not in capsys.readouterr().err
