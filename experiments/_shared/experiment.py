"""The protocol: what the folder of an experiment holds, and how it is found. Nothing heavy is imported to list them.

    config.py    Config, a frozen dataclass of options; ``implied(config)`` where choices imply others;
                 EXAMPLES, options to try, for --help
    result.py    Result, a frozen dataclass of config, numbers and verdicts, with ``answer()``, the headline
    compute.py   compute(config, folder) → Result: the only file that may simulate
    figure.py    draw(result) → figure
    report.py    show(result, console): tables and sentences

config ← result ← compute, figure, report. The docstring of the folder's ``__init__.py`` is its line in ``--help``.
"""

import ast
import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments._shared.result import ExperimentResult

FILES = ("config.py", "result.py", "compute.py", "figure.py", "report.py")


class Interrupted(Exception):
    """Ctrl-C or SIGTERM during a run: what was finished before is kept.

    No KeyboardInterrupt, of which typer would not say a word.
    """


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One question and its figure.

    Args:
        name: as on the command line.
        config: a frozen dataclass; each field, with a default and ``metadata={"help": …}``, is an option.
        compute: (config, folder) → result.
        result: the class of what ``compute`` returns.
        implied: config → what its choices (a model, a preset) imply for the options that weren't given.
        examples: options to try, for --help.
    """

    name: str
    config: type
    compute: "Callable[[Any, Any], ExperimentResult]"
    result: "type[ExperimentResult]"
    implied: Callable[[Any], Mapping[str, Any]] = lambda config: {}
    examples: Sequence[str] = ()


class Experiments(Mapping[str, Experiment]):
    """The experiments of a package by name; one is imported when it is asked for.

    Args:
        package: whose folders are experiments, as far as they hold the five files.
        folder: of the package.
    """

    def __init__(self, package: str, folder: Path):
        self.package = package
        self._imported: dict[str, Experiment] = {}
        self.folders = {
            path.name.replace("_", "-"): path
            for path in sorted(folder.iterdir())
            if all((path / name).is_file() for name in FILES)
        }

    def __getitem__(self, name: str) -> Experiment:
        if name not in self._imported:
            self._imported[name] = self._import(name)
        return self._imported[name]

    def _import(self, name: str) -> Experiment:
        home = f"{self.package}.{self.folders[name].name}"
        config, result, compute = (
            importlib.import_module(f"{home}.{part}") for part in ("config", "result", "compute")
        )
        more = {"implied": config.implied} if hasattr(config, "implied") else {}
        more |= {"examples": config.EXAMPLES} if hasattr(config, "EXAMPLES") else {}
        return Experiment(name, config.Config, compute.compute, result.Result, **more)

    def __iter__(self) -> Iterator[str]:
        return iter(self.folders)

    def __len__(self) -> int:
        return len(self.folders)

    def headline(self, name: str) -> str:
        """What an experiment is for, read from its source."""
        source = (self.folders[name] / "__init__.py").read_text(encoding="utf-8")
        return ast.get_docstring(ast.parse(source)) or ""
