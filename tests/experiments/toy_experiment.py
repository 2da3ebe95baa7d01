"""An experiment of no cost whose run writes every kind of file, to be tried on full disks.

    python -m tests.experiments.toy_experiment RESULTS LIMIT

runs it once for each of its files, with RLIMIT_FSIZE at LIMIT bytes while that file is written, and prints a line of
JSON for each: file, status, what was said, what was left, what the same command did afterwards.
"""

import contextlib
import dataclasses
import io
import json
import re
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments._shared import cli
from experiments._shared.experiment import Experiment
from experiments._shared.options import option
from experiments._shared.result import ExperimentResult
from sdesgd import files, netcdf
from sdesgd.store import sealed

FILES = (
    *("one.nc", "two.nc", "result.nc", "summary.json", "manifest.json", "figure.png"),
    *("figure.svg", "report.html", "copy.svg"),
)
COMPUTED: list[str] = []


@dataclasses.dataclass(frozen=True)
class Config:
    """A toy."""

    size: int = option(3000, "Numbers of a stage.")
    rate: float = option(0.5, "A rate.")
    rates: str = option("0.1,0.2", "Rates.", numbers=float)
    data: str = option("none", "Text.")
    seed: int = option(0, "Seed.")

    def label(self) -> str:
        return f"{self.data}-n{self.size}-eta{self.rate:g}"


def numbers(name, seed, size):
    """A stage."""
    COMPUTED.append(name)
    return xr.Dataset({"x": ("row", np.random.default_rng(seed).normal(size=size))})


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """Numbers of no meaning."""

    parts = (Config,)
    config: Config
    mean: float
    curve: np.ndarray
    data: xr.Dataset

    def to_xarray(self):
        return self.data

    def sizes(self):
        return {"rows": [1] * 2000}

    def answer(self):
        return f"the mean is {self.mean:.3f}"

    def how_to_read(self):
        return "A curve of no meaning: <b> & 'quotes'."

    def plot(self):
        figure = Figure(figsize=(4, 3))
        figure.subplots().plot(self.curve)
        return figure

    def report(self, console):
        console.print(f"mean η·x = {self.mean:.3f} over {self.config.size} numbers: ≈ 0")

    def summary(self):
        return {**super().summary(), "curve": self.curve.tolist()}


def compute(config, folder):
    stages = [folder.stage(name, numbers, name, config.seed, config.size) for name in ("one", "two")]
    return Result(config, float(stages[0]["x"].mean()), stages[1]["x"].values, xr.concat(stages, "stage"))


EXPERIMENT = Experiment("toy", Config, compute, Result)


def script(results) -> str:
    """Python's text of a process that runs this experiment once."""
    import_it = "import sys; from tests.experiments import toy_experiment as t"
    return f"{import_it}; sys.exit(t.main('--results', {str(results)!r}))"


def main(*arguments):
    return cli.main({"toy": EXPERIMENT}, ["toy", *map(str, arguments)])


@contextlib.contextmanager
def before_writing(name, act):
    """Calls ``act`` just before a file of this name is written."""
    genuine = files.write

    def write(path, *rest):
        if known_as(path) == name:
            act()
        return genuine(path, *rest)

    files.write = netcdf.write = sealed.write = write
    try:
        yield
    finally:
        files.write = netcdf.write = sealed.write = genuine


def known_as(path) -> str:
    """The name of a file, that of a stage without its key."""
    return re.sub(r"-[0-9a-f]{20}(?=\.)", "", Path(path).name)


def stage_files(results) -> dict:
    """name → path of the stages that are kept."""
    return {known_as(path).removesuffix(".nc"): path for path in sorted(Path(results).glob("stages/*/*.nc"))}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _limited(results, limit):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name in FILES:
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir()
        command = ["--results", results / "runs", "--figure", results / "copy.svg"]
        told = io.StringIO()
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            with before_writing(name, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))):
                status = main(*command)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            left = sorted(contents(results))
            COMPUTED.clear()
            again = main(*command)
        found = {"file": name, "status": status, "told": told.getvalue().split("\nstage '")[0], "left": left}
        print(json.dumps({**found, "again": again, "computed": COMPUTED}), flush=True)


if __name__ == "__main__":
    _limited(Path(sys.argv[1]), int(sys.argv[2]))
