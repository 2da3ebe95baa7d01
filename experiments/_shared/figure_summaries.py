"""The numbers of a figure, stored beside it: what the README says of a run is tested against these files.

    python -m experiments._shared.figure_summaries FIGURE RUN

writes FIGURE with the suffix .json from RUN's summary and manifest. RUN is a run's folder, or one that holds runs, of
which the latest is meant: `make figures` calls it after each figure.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments._shared.terminal import errors
from sdesgd import files
from sdesgd.errors import InputError

DIGITS = 5
LONGEST = 30  # numbers in a list: a longer one is a curve, which is in the figure
_MANIFEST = ("versions", "git", "device")
_LARGEST = 1 << 28  # bytes of a file that is read


def compact(value: Any) -> Any:
    """A summary with its floats rounded to ``DIGITS`` significant digits and without its curves."""
    if isinstance(value, dict):
        return {key: compact(item) for key, item in value.items() if not _is_curve(item)}
    if isinstance(value, list):
        return [compact(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    return value


def _is_curve(value: Any) -> bool:
    return isinstance(value, list) and len(value) > LONGEST and not any(isinstance(x, dict | list | str) for x in value)


def stored(summary: dict, manifest: dict) -> str:
    """The JSON of a figure: the compact summary, whose ``config`` says what was run, and by what.

    Args:
        summary: of a run, as in its summary.json. manifest: of the same run.
    """
    content = {"run": {name: manifest[name] for name in _MANIFEST if name in manifest}, **compact(summary)}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    # Lists of plain numbers on one line each.
    return re.sub(r"\[[\d\s,.eE+\-nul]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


def latest(folder: Path) -> Path:
    """The folder itself if it is a finished run, else the run in it that was finished last.

    Raises:
        InputError: there is none.
    """
    runs = [folder] if _finished(folder) else [run for run in folder.glob("*") if _finished(run)]
    if not runs:
        raise InputError(f"{folder} holds no finished run: pass a run's folder, or results/EXPERIMENT after a run")
    return max(runs, key=lambda run: (run / "manifest.json").stat().st_mtime_ns)


def _finished(run: Path) -> bool:
    return all((run / name).is_file() for name in ("summary.json", "manifest.json"))


def write(figure: Path, run: Path) -> Path:
    """Writes the JSON beside a figure; returns its path.

    Args:
        figure: NAME.svg or NAME.json. run: see ``latest``.

    Raises:
        InputError: no finished run, one that can't be read, or a folder that can't be written to.
    """
    run = latest(run)
    try:
        parts = [json.loads(files.read_bytes(run / name, _LARGEST)) for name in ("summary.json", "manifest.json")]
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{run} can't be read ({str(error)[:80]}): compute the run again") from None
    if not all(isinstance(part, dict) for part in parts):
        raise InputError(f"{run} holds no summary and manifest of an experiment: compute the run again")
    made = figure.with_suffix(".json")
    files.write(made, stored(*parts).encode())
    return made


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0, or 2 for bad input."""
    if len(arguments) != 2:
        errors.print("usage: python -m experiments._shared.figure_summaries FIGURE RUN", markup=False)
        return 2
    try:
        write(Path(arguments[0]), Path(arguments[1]))
    except InputError as error:
        errors.print(f"error: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
