"""``python -m experiments runs``: what is kept, looked at and compared, removed, exported. Nothing is computed."""

import datetime
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments._shared.cli import run_app
from experiments._shared.experiment import Experiment
from experiments._shared.terminal import console

_FILES = ("result.nc", "summary.json", "manifest.json")
_LARGEST = 1 << 26  # bytes of a manifest
_Results = Annotated[str, typer.Option("--results", help="Where runs are kept.", metavar="PATH")]


class Run:
    """A run's folder.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path):
        self.path, self.experiment, self.name = path, path.parent.name, path.name
        self.manifest = _manifest(path / "manifest.json")
        self.config, self.git = (_mapping(self.manifest.get(name)) for name in ("config", "git"))

    @property
    def finished(self) -> bool:
        return bool(self.manifest) and all((self.path / name).is_file() for name in _FILES)

    @property
    def when(self) -> float:
        """Seconds since 1970 at which the last file was written."""
        return max((file.stat().st_mtime for file in self.path.iterdir() if file.is_file()), default=0.0)

    @property
    def options(self) -> dict[str, Any]:
        """Those that differ from the default."""
        return _mapping(self.manifest.get("options"))

    def stages(self) -> list[Path]:
        """The files of its stages that are there."""
        names = [_mapping(about).get("file") for about in _mapping(self.manifest.get("stages")).values()]
        home = self.path.parent.parent / "stages" / self.experiment
        return [home / name for name in names if isinstance(name, str) and "/" not in name and (home / name).is_file()]

    def size(self) -> int:
        """Bytes of its own files."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def _manifest(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return {}
        return _mapping(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}


def _mapping(found: Any) -> dict[str, Any]:
    """What a manifest should hold, which may come from anywhere."""
    return found if isinstance(found, dict) else {}


def all_runs(results: str) -> list[Run]:
    """The runs that are kept, the latest first.

    Args:
        results: the folder in which they are.
    """
    found = [Run(path) for path in _folders(Path(results))]
    return sorted(found, key=lambda run: run.when, reverse=True)


def _folders(results: Path) -> Iterator[Path]:
    for home in sorted(results.iterdir()) if results.is_dir() else ():
        if home.is_dir() and home.name != "stages":
            for path in sorted(home.iterdir()):
                if path.is_dir() and any((path / name).is_file() for name in _FILES):
                    yield path


def find(results: str, text: str) -> Run:
    """The run that is meant.

    Args:
        results: the folder in which runs are kept.
        text: a run's folder, or a part of its name that no other run's has.

    Raises:
        InputError: there is none, or several.
    """
    from sdesgd.errors import InputError

    if not text.strip():
        raise InputError(f"run is {text!r}: pass a run's folder, or a part of its name")
    runs = all_runs(results)
    path = Path(text)
    chosen = [run for run in runs if path.is_dir() and run.path.resolve() == path.resolve()]
    chosen = chosen or [run for run in runs if text in f"{run.experiment}/{run.name}"]
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise InputError(f"no run in {results} is called {text}: `python -m experiments runs` lists them")
    names = ", ".join(f"{run.experiment}/{run.name}" for run in chosen[:3])
    raise InputError(f"{text} is in the names of {len(chosen)} runs ({names}, …): write more of the name")


def main(experiments: Mapping[str, Experiment], arguments: list[str]) -> int:
    """Runs the command; the exit status is 0, or 2 for bad arguments.

    Args:
        experiments: by name, whose runs are meant.
        arguments: of the command line.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__ and __doc__.partition(": ")[2])

    @app.callback(invoke_without_command=True)
    def listing(context: typer.Context, results: _Results = "results") -> None:
        """Lists the runs that are kept, the latest first."""
        from sdesgd.errors import InputError

        if Path(results).exists() and not Path(results).is_dir():
            raise InputError(f"--results {results} is not a folder: pass the folder in which runs are kept")
        context.obj = results
        if context.invoked_subcommand is None:
            console.print(table(all_runs(results)))

    @app.command()
    def show(context: typer.Context, run: str) -> None:
        """What a run was asked, what it answers, by what it was made, and what has changed since."""
        for line in described(find(context.obj, run)):
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    @app.command()
    def compare(context: typer.Context, first: str, second: str) -> None:
        """Two runs side by side: the options in which they differ, and their answers."""
        console.print(side_by_side(find(context.obj, first), find(context.obj, second)), highlight=False)

    @app.command()
    def rm(context: typer.Context, run: str) -> None:
        """Removes a run, and the stages that no other run uses."""
        for line in removed(context.obj, find(context.obj, run)):
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    @app.command()
    def export(context: typer.Context, run: str, csv: Annotated[str, typer.Option(metavar="PATH")]) -> None:
        """Writes the numbers of a run as tables of comma-separated values, one for each set of dimensions."""
        for path in exported(experiments, find(context.obj, run), Path(csv)):
            console.print(str(path), highlight=False, markup=False, soft_wrap=True)

    return run_app(app, arguments, name="python -m experiments runs")


def table(runs: list[Run]) -> Table:
    """A line a run.

    Args:
        runs: in their order.
    """
    found = Table(box=SIMPLE_HEAD, title=None if runs else "no run is kept here yet")
    for heading in ("when", "experiment", "run", "options", "state", "size"):
        found.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for run in runs:
        when = datetime.datetime.fromtimestamp(run.when).strftime("%Y-%m-%d %H:%M")
        options = ", ".join(f"{name} {value}" for name, value in run.options.items()) or "–"
        state = "finished" if run.finished else "unfinished"
        found.add_row(when, run.experiment, run.name, options, state, f"{run.size() / 2**20:.1f} MB")
    return found


def described(run: Run) -> list[str]:
    """What there is to say of a run.

    Args:
        run: one that is kept.
    """
    manifest, git = run.manifest, run.git
    dirty = " with changes" if git.get("dirty") else ""
    lines = [f"{run.path}", "finished" if run.finished else "unfinished: run the same command again"]
    lines += [f"options: {json.dumps(run.options, ensure_ascii=False)} (all others by default)"]
    lines += [f"answer: {manifest['answer']}"] if manifest.get("answer") else []
    lines += [f"made from commit {git['commit'][:12]}{dirty}"] if isinstance(git.get("commit"), str) else []
    stages = run.stages()
    if stages:
        lines.append(f"stages: {len(stages)}, {sum(path.stat().st_size for path in stages) / 2**20:.1f} MB")
        changed = changed_since(stages)
        lines.append(f"changed since: {', '.join(changed)}" if changed else "nothing that its stages use has changed")
    return lines


def changed_since(stages: list[Path]) -> list[str]:
    """Modules whose source isn't any more what a stage was made by.

    Args:
        stages: files of them.
    """
    from sdesgd.store.imports import file_of
    from sdesgd.store.sealed import read_about
    from sdesgd.store.sources import digest_of_file

    code = [about["code"] for about in map(read_about, stages) if isinstance(about.get("code"), dict)]
    before = {(module, digest) for one in code for module, digest in one.items()}
    found = set()
    for module, digest in before:
        file = file_of(module)
        if file is None or digest_of_file(file) != digest:
            found.add(module)
    return sorted(found)


def side_by_side(first: Run, second: Run) -> Table:
    """The options in which two runs differ, and their answers.

    Args:
        first: a run.
        second: another.
    """
    found = Table(box=SIMPLE_HEAD, show_lines=True)
    for heading in ("", first.name, second.name):
        found.add_column(heading, overflow="fold")
    one, two = first.config, second.config
    for name in {**one, **two}:
        if one.get(name) != two.get(name):
            found.add_row(name, str(one.get(name, "–")), str(two.get(name, "–")))
    found.add_row("answer", *(str(run.manifest.get("answer", "–")) for run in (first, second)))
    return found


def removed(results: str, run: Run) -> list[str]:
    """Removes a run, and the stages that no other run uses; says what was removed.

    Args:
        results: where runs are kept.
        run: one of them.
    """
    others = {path for other in all_runs(results) if other.path != run.path for path in other.stages()}
    mine = [path for path in run.stages() if path not in others]
    for path in mine:
        path.unlink()
    shutil.rmtree(run.path)
    return [f"removed {run.path} and {len(mine)} stages that no other run uses"]


def exported(experiments: Mapping[str, Experiment], run: Run, folder: Path) -> list[Path]:
    """Tables of a run's numbers.

    Args:
        experiments: by name.
        run: a finished one.
        folder: where to write them.

    Raises:
        InputError: an unfinished run, or nothing can be written there.
    """
    from experiments._shared.running import read_run
    from sdesgd.errors import InputError, require_known
    from sdesgd.files import cannot_write, write

    if not run.finished:
        raise InputError(f"{run.path} is unfinished: run its command again first")
    require_known("experiment", run.experiment, list(experiments))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    result, _ = read_run(experiments[run.experiment], run.path)
    dataset = result.to_xarray()
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        if variable.dtype.kind in "biuf":
            groups.setdefault(tuple(map(str, variable.dims)), []).append(str(name))
    written = []
    for dims, names in groups.items():
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', '-'.join(dims)).lstrip('.') or 'numbers'}.csv"
        frame = dataset[names].to_dataframe() if dims else dataset[names].to_pandas().to_frame().T
        write(path, frame.to_csv().encode())
        written.append(path)
    return written
