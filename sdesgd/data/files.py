"""Looking for files nobody has vouched for; ``sdesgd.files`` opens them."""

from pathlib import Path


def present(path: Path) -> bool:
    """Whether something is there; what may not be looked at counts as absent."""
    try:
        return path.exists()
    except OSError:
        return False


def first_file(candidates: list[Path]) -> Path | None:
    """The first regular file; failing that the first thing of any kind, for the error to name; None if nothing."""
    there = [path for path in candidates if present(path)]
    return next((path for path in there if path.is_file()), there[0] if there else None)


def missing_folder(folder: Path | None) -> str | None:
    """Why a folder can't be looked into, None if it can."""
    if folder is None:
        return "no folder was given (--data-dir)"
    try:
        return None if folder.is_dir() else f"{folder} is not a folder"
    except OSError as error:
        return f"{folder} can't be read ({error.strerror})"
