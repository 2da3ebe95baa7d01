"""Completion of names and options by the shell, by typer's own means; the sources are read, JAX isn't imported.

A shell completes the arguments of one word, and ``python -m experiments`` is three. So the script that a shell reads
defines ``experiments`` as short for these, and completes that.
"""

import ast
import os
import shlex
import sys
from pathlib import Path
from typing import Any

WORD = "experiments"
SHELLS = ("bash", "zsh", "fish")
_VARIABLE = f"_{WORD.upper()}_COMPLETE"


def wanted() -> bool:
    """Whether a shell asks."""
    return _VARIABLE in os.environ


def experiment_asked() -> str | None:
    """The second word of the line that is completed."""
    words = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return next(iter(words.split()[1:2]), None)


def script(shell: str) -> str:
    """What the shell reads: ``eval "$(python -m experiments --show-completion bash)"``.

    Args:
        shell: bash | zsh | fish.
    """
    from typer._completion_shared import get_completion_script

    command = f"{shlex.quote(sys.executable)} -m experiments"
    text = get_completion_script(prog_name=WORD, complete_var=_VARIABLE, shell=shell)
    if shell == "fish":
        asks = "(commandline -cp) "
        return f"function {WORD}; {command} $argv; end\n" + text.replace(asks + WORD, asks + command)
    text = text.replace("complete_bash $1 )", f"complete_bash {command} )")
    text = text.replace(f"complete_zsh {WORD})", f"complete_zsh {command})")
    return f'{WORD}() {{ {command} "$@"; }}\n{text}'


def options(config: Path) -> dict[str, tuple[Any, str]]:
    """Option → its type, and its line in --help as far as it is literal, read from the source.

    Args:
        config: the file of the experiment's Config.
    """
    tree = ast.parse(config.read_text(encoding="utf-8"))
    found: dict[str, tuple[Any, str]] = {}
    for node in (node for part in tree.body if isinstance(part, ast.ClassDef) for node in part.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            arguments = node.value.args[1:2] if isinstance(node.value, ast.Call) else []
            help = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else ""
            kind = bool if isinstance(node.annotation, ast.Name) and node.annotation.id == "bool" else str
            found[node.target.id] = kind, str(help)
    return found
