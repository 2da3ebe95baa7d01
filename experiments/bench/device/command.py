"""``python -m experiments.bench.device``: the library on the accelerator that JAX finds, in eight minutes.

In this order, as far as the time goes: rates of the device; float32 against float64 on F2 and C1; step times, and the
two nets at the paper's sizes against their SDEs; PyTorch; many replicas. A part that fails is reported with its error,
and the others run. The results are one JSON, written anew after each part, and one figure.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

# The rest of the memory is PyTorch's. Read when JAX first looks for a device.
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.72")

import jax

from experiments._shared.cli import run_app
from experiments.bench.device import precision as precision_part
from experiments.bench.device import problems, speed, verdicts
from experiments.bench.device.parts import Clock, OutOfTime, at_most, peak_bytes
from sdesgd import files
from sdesgd.errors import InputError, require_known

FOLDER = Path(__file__).resolve().parents[2] / "figures"
_PACKAGES = ("jax", "jaxlib", "equinox", "diffrax", "lineax", "matfree", "optax", "numpy", "scipy", "torch")
_FOR_THE_FIGURE = 10.0  # seconds kept back
_SHORTEST = 8.0  # seconds under which no part begins


_PARTS = ("rates", "precision", "steps", "verdicts", "replicas", "PyTorch")


class NotInstalled(Exception):
    """A part has nothing to run."""


class Session:
    """The parts that have run, and the file that says so.

    Args:
        clock: of the whole.
        path: of the JSON.
        settings: that the file repeats.
        only: beginnings of the names of the parts to run; empty: all.
    """

    def __init__(self, clock: Clock, path: Path, settings: dict[str, Any], only: tuple[str, ...] = ()):
        self.clock, self.path, self.only = clock, path, only
        self.found: dict[str, Any] = {"settings": settings, **about(), "parts": {}, "skipped": {}}

    def run(self, name: str, most: float, part: Callable[[dict[str, Any]], Any], *, always: bool = False) -> None:
        """One part, for at most so many seconds; what it found by then is kept whatever happens.

        Args:
            name: of the part.
            most: seconds.
            part: fills the mapping that it is given.
            always: whether it runs when the time is over, too.
        """
        if self.only and not always and not name.startswith(self.only):
            return
        most = most if always else min(most, self.clock.remaining() - _FOR_THE_FIGURE)
        if most < (0.0 if self.clock.toy else _SHORTEST):
            self.found["skipped"][name] = "no time left"
            self.clock.say(f"{name}: skipped, no time left")
            self.write()
            return
        began, result = self.clock.elapsed(), {}
        row: dict[str, Any] = {"status": "running", "result": result}
        self.found["parts"][name] = row
        self.clock.say(f"{name}: begins, {most:.0f} s at most")
        try:
            with at_most(most):
                part(result)
            row["status"] = "done"
        except NotInstalled as error:
            del self.found["parts"][name]
            self.found["skipped"][name] = str(error)
            self.clock.say(f"{name}: skipped, {error}")
        except OutOfTime as stop:
            row.update(status="cut off", error=str(stop))
            self.clock.say(f"{name}: {stop}")
        except Exception as error:  # whatever breaks one part, the others run
            text = f"{type(error).__name__}: {str(error)[:2000]}"
            row.update(status="failed", error=text, traceback=traceback.format_exc()[-4000:])
            self.clock.say(f"{name}: FAILED, {text[:300]}")
        if result.get("agrees") is False and row["status"] != "failed":
            row.update(status="failed", error="float32 at the highest precision is not within what is allowed")
        row["seconds"] = self.clock.elapsed() - began
        row["peak_bytes_so_far"] = peak_bytes()
        self.write()

    def result(self, name: str) -> dict[str, Any]:
        """What a part found, as far as it came; empty if it didn't run."""
        return self.found["parts"].get(name, {}).get("result", {})

    def write(self) -> None:
        """The JSON, whole or not at all."""
        self.found["seconds"] = self.clock.elapsed()
        text = json.dumps(plain(self.found), indent=1, ensure_ascii=False, allow_nan=False)
        files.write(self.path, (text + "\n").encode())

    @property
    def failed(self) -> list[str]:
        """Names of the parts that failed."""
        return [name for name, row in self.found["parts"].items() if row["status"] == "failed"]


def about() -> dict[str, Any]:
    """Device, versions, settings of JAX."""
    device = jax.devices()[0]
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return {
        "device": {"platform": device.platform, "kind": device.device_kind, "cpu_count": os.cpu_count()},
        "versions": {"python": platform.python_version(), **found},
        "jax_default_matmul_precision": jax.config.jax_default_matmul_precision,  # pyright: ignore[reportAttributeAccessIssue]
    }


def plain(value: Any) -> Any:
    """For JSON: NaN and infinity become null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value


def measure(session: Session, cases: dict[str, problems.Case], replicas: int, precision: str) -> None:
    """All parts, the most important first.

    Args:
        session: keeps what is found.
        cases: net → sizes.
        replicas: of an arm of the verdicts, wanted.
        precision: of the verdicts' matrix products.
    """
    clock, full = session.clock, {}

    def problem(net: str) -> Any:
        if net not in full:
            full[net] = problems.full(cases[net])
            clock.say(f"{net}: {full[net][0].num_parameters:,} parameters, N = {full[net][0].num_examples:,}")
        return full[net]

    def measured() -> dict[str, float]:
        found = session.result("rates")
        return found if "copy" in found else {}

    def verdict(net: str, result: dict[str, Any], seconds: float) -> None:
        # Where the default precision is faster, its own times count.
        times = session.result(f"steps {net}").get("highest" if precision == "highest" else "default", {})
        each = [times.get(name, times.get("gradient", {})).get("seconds", {}).get("median") for name in _PAIR]
        known = sum(each) if all(each) else None
        options = {"replicas": replicas, "precision": precision, "clock": clock, "result": result}
        verdicts.compare(*problem(net), seconds=seconds, pair_seconds=known, **options)

    session.run("rates", 40, lambda result: speed.rates(clock, result))
    for net, case in cases.items():
        # The second net may take what the first has left, but for the verdicts.
        most = 0.25 * clock.remaining()
        session.run(f"precision {net}", most, lambda result, c=case: precision_part.check(c, result, clock.say))
    shares = {"f2": 0.42, "c1": 0.62}
    for net in cases:
        most = 0.2 * clock.remaining()
        session.run(f"steps {net}", most, lambda r, n=net: speed.steps(problem(n)[0], measured(), clock, r))
        seconds = shares[net] * (clock.remaining() - _FOR_THE_FIGURE)
        session.run(f"verdicts {net}", seconds + 5, lambda r, n=net, s=seconds: verdict(n, r, s))
    for net in cases:
        session.run(f"replicas {net}", 45, lambda r, n=net: speed.replicas(problem(n)[0], measured(), clock, r))
    for net in cases:
        session.run(f"PyTorch {net}", 45, lambda r, n=net: torch_part(problem(n)[0], clock, r))

    def matmuls(result: dict[str, Any]) -> None:
        speed.replicas(problems.by_matmuls(problem("c1")[0]), measured(), clock, result)

    session.run("replicas c1 by matrix products", 45, matmuls)


_PAIR = ("Gaussian SGD", "SDE")


def torch_part(problem: Any, clock: Clock, result: dict[str, Any]) -> None:
    """The peers, imported here: PyTorch takes seconds to import, and may not be there."""
    if importlib.util.find_spec("torch") is None:
        raise NotInstalled("PyTorch is not installed")
    from experiments.bench.device import pytorch

    pytorch.peer(problem, clock, result)


def slug(kind: str) -> str:
    """A device's name for a file's."""
    return re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-") or "device"


def run(
    folder: Annotated[Path, typer.Option(help="Where device_<kind>.json and .svg go.")] = FOLDER,
    minutes: Annotated[float, typer.Option(help="When to stop; what isn't done by then is skipped.")] = 8.0,
    replicas: Annotated[int, typer.Option(min=2, help="Runs of each arm of the verdicts.")] = 76,
    precision: Annotated[str, typer.Option(help="Of the verdicts' matrix products: highest | default.")] = "highest",
    only: Annotated[str, typer.Option(help="Parts by the beginnings of their names, as 'steps f2,rates'.")] = "",
    toy: Annotated[bool, typer.Option("--toy", help="Toy sizes: a test of the command, not of the device.")] = False,
) -> None:
    """Checks and times the library on the accelerator that JAX finds."""
    require_known("precision", precision, speed.PRECISIONS)
    if not 0.1 <= minutes < float("inf"):
        raise InputError(f"minutes is {minutes}: pass at least 0.1")
    clock = Clock(60 * minutes, toy)  # imports, a few seconds, come before
    folder.mkdir(parents=True, exist_ok=True)
    kind = jax.devices()[0].device_kind
    base = folder / f"device_{slug(kind)}"
    settings = {"minutes": minutes, "toy": toy, "precision": precision, "only": only}
    parts = tuple(name.strip() for name in only.split(",") if name.strip())
    for part in parts:
        require_known("part", part.split()[0], _PARTS)
    session = Session(clock, base.with_suffix(".json"), settings, parts)
    session.write()  # at once: a folder that can't be written is known before the work
    clock.say(f"{kind}, jax {jax.__version__}")
    measure(session, problems.TOY if toy else problems.PAPER, min(replicas, 6) if toy else replicas, precision)
    session.run("figure", 60, lambda result: draw(session, base.with_suffix(".svg"), result), always=True)
    for name, why in session.found["skipped"].items():
        clock.say(f"skipped: {name}, {why}")
    clock.say(f"{base.with_suffix('.json')} is written" + "".join(f"; FAILED: {name}" for name in session.failed))
    raise SystemExit(1 if session.failed else 0)


def draw(session: Session, path: Path, result: dict[str, Any]) -> None:
    """The figure of what was found."""
    from experiments._shared.run_folder import REMEDY, figure_in
    from experiments.bench.device.figure import figure_of
    from sdesgd import files

    files.write(path, figure_in(figure_of(plain(session.found)), path.suffix.removeprefix(".")), REMEDY)
    result["file"] = path.name


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status is 1 if a part failed, 2 for bad arguments."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=__doc__)(run)
    return run_app(app, arguments, name="python -m experiments.bench.device")
