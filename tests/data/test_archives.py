"""Archives of data sets: read whatever their kind, and never written outside their folder."""

from __future__ import annotations

import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from rankbench.data.video import archives
from rankbench.data.video.archives import is_archive, roots_of, unpack
from tests.helpers.videos import write_folder


def zipped(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, Path(folder.name) / path.relative_to(folder))
    return archive


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in found}


def test_a_zip_is_unpacked_whole(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", 4)
    unpack(zipped(tmp_path / "data.zip", data), tmp_path / "out")
    assert files(tmp_path / "out") == files(data)


def test_a_tar_is_unpacked_by_libarchive(tmp_path: Path) -> None:
    pytest.importorskip("libarchive", exc_type=(ImportError, OSError), reason="no libarchive")
    data = write_folder(tmp_path / "data", 4)
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as file:
        file.add(data, "data")
    unpack(tmp_path / "data.tar.gz", tmp_path / "out")
    assert files(tmp_path / "out") == files(data)


def test_archives_in_a_folder_and_in_archives_are_unpacked(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", 4)
    folder = tmp_path / "download"
    (folder / "inner").mkdir(parents=True)
    zipped(folder / "inner/diving.zip", data / "diving")
    (folder / "inner/._diving.zip").write_bytes(b"what a Mac leaves beside it")
    zipped(tmp_path / "outer.zip", folder)
    told: list[Path] = []
    for path in (folder, tmp_path / "outer.zip"):
        roots = roots_of(path, tmp_path / f"out_{path.stem}", told.append)
        found = {name: content for root in roots for name, content in files(root).items()}
        assert files(data / "diving").items() <= found.items()
    assert [path.name for path in told] == ["diving.zip", "outer.zip", "diving.zip"]


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("../up.avi", b"x")
        file.writestr("/absolute.avi", b"x")
        file.writestr("fine/a.avi", b"x")
        file.writestr("fine/run.sh", b"x")
    unpack(tmp_path / "bad.zip", tmp_path / "out")
    assert files(tmp_path) == {
        "a.avi": b"x",
        "bad.zip": (tmp_path / "bad.zip").read_bytes(),
    }


@pytest.mark.parametrize("keep", [0, 100, -400])
def test_a_damaged_zip_is_told(tmp_path: Path, keep: int) -> None:
    archive = zipped(tmp_path / "data.zip", write_folder(tmp_path / "data", 2))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"^the archive .*data\.zip cannot be read: [^\n]+$"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_damaged_within_a_clip_is_told(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w", method) as file:
        file.writestr("biking/a.avi", bytes(range(256)) * 40)
    content = bytearray((tmp_path / "data.zip").read_bytes())
    content[80:120] = b"\xff" * 40
    (tmp_path / "data.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"^the archive .*data\.zip cannot be read: [^\n]+$"):
        unpack(tmp_path / "data.zip", tmp_path / "out")


def test_a_tar_damaged_within_a_clip_is_told(tmp_path: Path) -> None:
    pytest.importorskip("libarchive", exc_type=(ImportError, OSError), reason="no libarchive")
    (tmp_path / "a.avi").write_bytes(random.Random(0).randbytes(50_000))
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as file:
        file.add(tmp_path / "a.avi", "biking/a.avi")
    content = (tmp_path / "data.tar.gz").read_bytes()
    (tmp_path / "data.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"^the archive .*data\.tar\.gz cannot be read: [^\n]+$"):
        unpack(tmp_path / "data.tar.gz", tmp_path / "out")


def test_a_damaged_rar_is_told(tmp_path: Path) -> None:
    pytest.importorskip("libarchive", exc_type=(ImportError, OSError), reason="no libarchive")
    (tmp_path / "data.rar").write_bytes(b"Rar!\x1a\x07\x00 and no more")
    with pytest.raises(ValueError, match=r"^the archive .*data\.rar cannot be read: [^\n]+$"):
        unpack(tmp_path / "data.rar", tmp_path / "out")


def test_without_libarchive_what_to_install_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(archives.importlib, "import_module", absent)
    (tmp_path / "data.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match=r"needs libarchive: install it .*rankbench\[archives\]"):
        unpack(tmp_path / "data.rar", tmp_path / "out")


def test_archives_are_known_by_their_names(tmp_path: Path) -> None:
    for name in ("a.zip", "b.RAR", "c.tar.gz", "d.tgz", "e.7z"):
        (tmp_path / name).touch()
        assert is_archive(tmp_path / name)
    (tmp_path / "f.avi").touch()
    (tmp_path / "folder.zip").mkdir()
    assert not is_archive(tmp_path / "f.avi")
    assert not is_archive(tmp_path / "folder.zip")
