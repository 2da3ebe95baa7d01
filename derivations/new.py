"""``python -m derivations new NAME``: the file of a new claim, which holds as it is."""

import re
from pathlib import Path

import derivations

TEMPLATE = Path(__file__).with_name("template.py")
# Arguments of the command line, which a claim can't be called.
_COMMANDS = ("list", "new")


def create(name: str, chapter: str, folder: Path) -> Path:
    """Copies the template.

    Args:
        name: as on the command line, such as ``my-claim``.
        chapter: the folder of claims that it goes to.
        folder: of the derivations.

    Raises:
        ValueError: not a name, not a chapter, or there is such a claim.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or name in _COMMANDS:
        raise ValueError(f"{name!r} is no name for a claim: use small letters, digits and hyphens, such as my-claim")
    if chapter not in derivations.CHAPTERS:
        raise ValueError(f"{chapter!r} is no folder of claims: choose among {', '.join(derivations.CHAPTERS)}")
    module = name.replace("-", "_")
    for taken in (folder / other / f"{module}.py" for other in derivations.CHAPTERS):
        if taken.exists():
            raise ValueError(f"{taken} exists: choose another name")
    file = folder / chapter / f"{module}.py"
    file.write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    return file
