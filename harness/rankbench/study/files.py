"""Find study files by name or path."""

from __future__ import annotations

from pathlib import Path

from rankbench.common.checks import one_of

SUFFIXES = (".yaml", ".yml")


def study_folders() -> list[Path]:
    """Return the folders whose studies can be given by name, in search order."""
    return [Path("studies"), Path(__file__).resolve().parents[3] / "studies"]


def study_names() -> list[str]:
    """Return the sorted names of all studies in `study_folders`."""
    return sorted({path.stem for folder in study_folders() for path in folder.glob("*.yaml")})


def find_study(study: str) -> Path:
    """Return the YAML file of a study.

    Args:
        study: Name of a study in one of `study_folders`, or path of a file.

    Raises:
        ValueError: The name is unknown, or the file does not exist.
    """
    if study.endswith(SUFFIXES):
        if not Path(study).is_file():
            raise ValueError(f"study file {study} does not exist")
        return Path(study)
    one_of("study", study, study_names())
    paths = (folder / f"{study}.yaml" for folder in study_folders())
    return next(path for path in paths if path.is_file())
