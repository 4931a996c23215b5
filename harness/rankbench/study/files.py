"""Study files: where they are found, and their names."""

from __future__ import annotations

from pathlib import Path

from rankbench.common.checks import one_of

SUFFIXES = (".yaml", ".yml")


def study_folders() -> list[Path]:
    """The folders whose files can be named without a path, those searched first in front."""
    return [Path("studies"), Path(__file__).resolve().parents[3] / "studies"]


def study_names() -> list[str]:
    """The names of all studies in `study_folders`, sorted."""
    return sorted({path.stem for folder in study_folders() for path in folder.glob("*.yaml")})


def find_study(study: str) -> Path:
    """The YAML file of a study, given by its name in one of `study_folders` or by its path.

    Raises ValueError for a file that does not exist, and for an unknown name.
    """
    if study.endswith(SUFFIXES):
        if not Path(study).is_file():
            raise ValueError(f"study file {study} does not exist")
        return Path(study)
    one_of("study", study, study_names())
    paths = (folder / f"{study}.yaml" for folder in study_folders())
    return next(path for path in paths if path.is_file())
