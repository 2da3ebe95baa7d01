"""How fast do the SDEs approach SGD as η → 0, and how fast gradient flow? Errors on exact laws and on a small net."""

import dataclasses
import math
from typing import Any

import jax
import jax.random as jr
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

import sdesgd as sg
from experiments._shared import cli as run
from experiments._shared.cli import option
from experiments.weak_order import figure as weak_order_figure
from experiments.weak_order import laws
from experiments.weak_order import net as weak_order_net
from experiments.weak_order import report as weak_order_report
from experiments.weak_order.slopes import COMPARISONS, MOMENTUM, WITHOUT_NOISE, finite, measure
from sdesgd.errors import InputError
from sdesgd.inputs import check_positive_integer


@dataclasses.dataclass(frozen=True)
class Config:
    """How fast the SDEs approach SGD as η → 0, and gradient flow: means, variances, momentum, SVAG, stationarity."""

    time: float = option(0.6, "Circle: SDE time T = steps·η.")
    steps: str = option("12,17,24,34,48,68,96,120", "Circle: SGD steps to T, one number per point.")
    batch_size: int = option(4, "Circle: batch size S.")
    svag_steps: int = option(3, "SVAG: steps to T, so η = T/steps, which stays fixed.")
    ells: str = option("1,2,4,8,16,32", "SVAG: values of ℓ.")
    friction: float = option(1.6, "Momentum: γ = (1−m)/√η, which stays fixed.")
    momentum_time: float = option(2.0, "Momentum: inner time steps·√η.")
    momentum_steps: str = option("20,28,40,56,80,112,160,200", "Momentum: steps to that time, one number per point.")
    stationary: str = option("0.01,0.02,0.04,0.08,0.16", "Stationarity: values of ηλ.")
    net_time: float = option(3.2, "Net: SDE time T = steps·η.")
    net_steps: str = option("16,24,32,48,64", "Net: SGD steps to T, one number per point.")
    net_batch_size: int = option(16, "Net: batch size S.")
    num_examples: int = option(64, "Net: training examples N, and as many held out.")
    width: int = option(4, "Net: hidden units.")
    starts: int = option(3, "Net: initial nets.")
    replicas: int = option(300, "Net: coupled pairs of runs per point and start.")
    seed: int = option(0, "Seed of the net's data, starts and runs.")

    def label(self) -> str:
        """A readable name of the run."""
        return f"T{self.time:g}-s{self.batch_size}-net{self.num_examples}x{self.width}-r{self.replicas}"


# -- input -----------------------------------------------------------------------------------------------


def numbers(config: Config, name: str, kind: type = int, least: int = 4) -> list:
    """The comma-separated numbers of an option.

    Raises:
        InputError: not numbers, not positive, repeated, or fewer than a fit needs.
    """
    text = getattr(config, name)
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} is '{text}': pass comma-separated {kind.__name__}s, say {_default(name)}") from None
    if not all(math.isfinite(x) and x > 0 for x in found) or len(set(found)) < max(least, len(found)):
        raise InputError(f"{name} is '{text}': pass {least} or more different positive numbers, say {_default(name)}")
    return found


def _default(name: str) -> str:
    return next(str(f.default) for f in dataclasses.fields(Config) if f.name == name)


def check(config: Config) -> None:
    """Raises InputError for values out of range, before anything is computed."""
    for name in ("time", "momentum_time", "friction", "net_time"):
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value}: pass a positive finite number, say {_default(name)}")
    for name in ("batch_size", "svag_steps", "net_batch_size", "num_examples", "width", "starts"):
        check_positive_integer(name, getattr(config, name))
    if config.replicas < 2 or config.seed < 0:
        name, least = ("replicas", 2) if config.replicas < 2 else ("seed", 0)
        raise InputError(f"{name} is {getattr(config, name)}: pass at least {least}")
    for name in ("steps", "momentum_steps", "net_steps", "ells"):
        numbers(config, name)
    fewest = min(numbers(config, "momentum_steps"))
    if config.friction * config.momentum_time > fewest:
        least = math.ceil(config.friction * config.momentum_time)
        raise InputError(
            f"momentum_steps {fewest} makes m = 1 − γ√η = {1 - config.friction * config.momentum_time / fewest:.3g} "
            f"negative: pass at least {least} steps"
        )
    largest = max(numbers(config, "stationary", float))
    if largest >= 2:
        raise InputError(f"stationary has ηλ = {largest:g}: SGD has a stationary law below 2 only")
    laws.batches(len(laws.COEFFICIENTS), config.batch_size)


# -- the errors ------------------------------------------------------------------------------------------


def circle_errors(config: Config, circle: laws.Circle, make: Any = sg.SDE) -> xr.Dataset:
    """sup-norm errors of E φ on the circle at time T, on exact laws.

    Args:
        make: builds the equations, as ``sg.SDE``.
    """
    T, S, counts = config.time, config.batch_size, numbers(config, "steps")
    found: dict[str, list] = {name: [] for name, c in COMPARISONS.items() if c.panel == "circle"}
    for n in counts:
        eta = T / n
        first, second = (circle.semigroup(make(eta, S, order=order), T) for order in (1, 2))
        sgd, gaussian = circle.sgd(sg.SGD(eta, S)), circle.gaussian(sg.GaussianSGD(eta, S))
        found["sgd_order1"].append(circle.weak_error(sgd, n, first))
        found["sgd_order2"].append(circle.weak_error(sgd, n, second))
        found["gaussian_order1"].append(circle.weak_error(gaussian, n, first))
        found["gaussian_order2"].append(circle.weak_error(gaussian, n, second))
        found["sgd_gaussian"].append(circle.weak_error(sgd, n, np.linalg.matrix_power(gaussian, n)))
        found["integrator"].append(circle.weak_error(circle.gaussian(sg.SDE(eta, S)), n, first))
        found["sgd_flow"].append(circle.weak_error(sgd, n, circle.semigroup(make(eta, S), T, noise=False)))
    return _table("circle", [T / n for n in counts], found)


def variance_errors(config: Config, circle: laws.Circle, make: Any = sg.SDE) -> xr.Dataset:
    """Relative errors of Var φ on the circle at time T, on exact laws.

    Means are no evidence for the noise term: it moves them by O(η), as much as the finite step does, so that gradient
    flow has the same slope. The fluctuations are the noise term's own work.

    Args:
        make: builds the equations, as ``sg.SDE``.
    """
    T, S, counts = config.time, config.batch_size, numbers(config, "steps")
    found: dict[str, list] = {"variance_order1": [], "variance_order2": [], "variance_flow": []}
    for n in counts:
        eta = T / n
        sgd, sdes = circle.sgd(sg.SGD(eta, S)), [make(eta, S, order=order) for order in (1, 2)]
        for order, sde in enumerate(sdes, 1):
            found[f"variance_order{order}"].append(circle.variance_error(sgd, n, circle.semigroup(sde, T)))
        found["variance_flow"].append(circle.variance_error(sgd, n, circle.semigroup(sdes[0], T, noise=False)))
    return _table("variance", [T / n for n in counts], found)


def svag_errors(config: Config, circle: laws.Circle, make: Any = sg.SVAG) -> xr.Dataset:
    """sup-norm errors of SVAG(ℓ) against the order-1 SDE and against gradient flow at fixed η, on exact laws.

    Args:
        make: builds the dynamics, as ``sg.SVAG``.
    """
    eta, S, ells = config.time / config.svag_steps, config.batch_size, numbers(config, "ells")
    inner = [circle.svag_inner(make(eta, S, ell)) for ell in ells]
    found = {}
    for name in ("svag", "svag_flow"):
        law = circle.semigroup(sg.SDE(eta, S), config.time, noise=name == "svag")
        pairs = zip(inner, ells, strict=True)
        found[name] = [circle.weak_error(operator, ell * config.svag_steps, law) for operator, ell in pairs]
    return _table("svag", [1 / ell for ell in ells], found)


def momentum_errors(config: Config, make: Any = sg.SDE) -> xr.Dataset:
    """The larger of the errors of mean and (relative) covariance under heavy-ball SGD, on exact moments.

    γ = (1−m)/√η and the inner time n√η stay fixed.

    Args:
        make: builds the equation, as ``sg.SDE``.
    """
    problem, counts = laws.quadratic(), numbers(config, "momentum_steps")
    found: dict[str, list] = {"momentum_order1": [], "momentum_order2": [], "momentum_flow": []}
    for n in counts:
        root = config.momentum_time / n
        m = 1 - config.friction * root
        sgd = laws.iterate(*laws.recursion(problem, sg.SGD(root**2, 1, momentum=m)), n)
        for order in (1, 2):
            sde = make(root**2, 1, momentum=m, order=order)
            law = laws.flow(*laws.linear_equation(problem, sde), config.momentum_time)
            found[f"momentum_order{order}"].append(max(laws.moment_error(law, sgd, problem.num_parameters)))
            if order == 1:
                still = law[0], np.zeros_like(law[1])
                found["momentum_flow"].append(max(laws.moment_error(still, sgd, problem.num_parameters)))
    return _table("momentum", [(config.momentum_time / n) ** 2 for n in counts], found)


def stationary_errors(config: Config) -> xr.Dataset:
    """|variance of the equation ÷ stationary variance of SGD − 1| on L = θ²/2, exact, without momentum and with it."""
    problem, rates = laws.quadratic(((1.0,),), ((1.0,), (-1.0,))), numbers(config, "stationary", float)
    found: dict[str, list] = {name: [] for name, c in COMPARISONS.items() if c.panel == "stationary"}
    found["stationary_flow"] = [1.0] * len(rates)  # gradient flow comes to rest at the minimum
    for eta in rates:
        for momentum, kind in ((0.0, "order"), (MOMENTUM, "momentum")):
            variance = laws.stationary_variance(*laws.recursion(problem, sg.SGD(eta, 1, momentum=momentum)))
            for order in (1, 2):
                equation = laws.linear_equation(problem, sg.SDE(eta, 1, momentum=momentum, order=order))
                ratio = laws.stationary_variance_of_flow(*equation) / variance
                found[f"stationary_{kind}{order}"].append(abs(ratio - 1))
    return _table("stationary", rates, found)


def net_errors(config: Config, problem: sg.Problem, observables: dict, nets: list) -> xr.Dataset:
    """Coupled Monte Carlo on a small net, and its sup over starts and observables: see ``weak_order_net``."""
    found = weak_order_net.errors(
        laws.require_float64(problem),
        observables,
        nets,
        time=config.net_time,
        steps=numbers(config, "net_steps"),
        batch_size=config.net_batch_size,
        replicas=config.replicas,
        key=jr.fold_in(jr.key(config.seed), 1),
    )
    if found.attrs.get("interrupted"):
        return found
    sup, standard_error = weak_order_net.supremum(found["net_mean"].values, found["net_standard_error"].values)
    for k, order in enumerate((1, 2)):
        found[f"net_order{order}"] = "net_eta", sup[k]
        found[f"net_order{order}_standard_error"] = "net_eta", standard_error[k]
    return found


def _table(panel: str, x: list, found: dict[str, list]) -> xr.Dataset:
    dim = f"{panel}_{weak_order_figure.PANELS[panel].variable}"
    return xr.Dataset({name: (dim, np.asarray(values)) for name, values in found.items()}, {dim: x})


def compute(config: Config, folder: run.RunFolder) -> tuple[xr.Dataset, dict]:
    """All errors, stage by stage, in float64; then the slopes."""
    check(config)
    circle = laws.Circle()
    with jax.enable_x64(True):
        # Built first: bad sizes are refused before anything is computed.
        net = weak_order_net.build(config.num_examples, config.width, config.starts, config.seed)
        stages = [
            folder.stage("circle", lambda: circle_errors(config, circle)),
            folder.stage("variance", lambda: variance_errors(config, circle)),
            folder.stage("svag", lambda: svag_errors(config, circle)),
            folder.stage("momentum", lambda: momentum_errors(config)),
            folder.stage("stationary", lambda: stationary_errors(config)),
            folder.stage("net", lambda: net_errors(config, *net)),
        ]
    dataset = xr.merge(stages, combine_attrs="drop_conflicts")
    return dataset, summarise(dataset, config)


def _abscissa(dataset: xr.Dataset, panel: str) -> np.ndarray:
    return dataset[f"{panel}_{weak_order_figure.PANELS[panel].variable}"].values


def summarise(dataset: xr.Dataset, config: Config) -> dict:
    """Slopes of all comparisons, and what the report needs besides."""
    measured = {}
    for name, comparison in COMPARISONS.items():
        errors = f"{name}_standard_error"
        x = _abscissa(dataset, comparison.panel)
        measured[name] = measure(
            comparison, x, dataset[name].values, dataset[errors].values if errors in dataset else None
        )
    halving = weak_order_net.supremum(dataset["net_halving_mean"].values, dataset["net_halving_standard_error"].values)
    return {
        "experiment": "weak-order",
        "config": dataclasses.asdict(config),
        "comparisons": measured,
        "integrator_on_net": {
            "error": [finite(e) for e in halving[0]],
            "standard_error": [finite(s) for s in halving[1]],
        },
        "without_noise": {
            panel: {"x": _abscissa(dataset, panel).tolist(), "error": dataset[name].values.tolist()}
            for panel, (name, _) in WITHOUT_NOISE.items()
        },
        "sizes": {
            **{name: dataset.attrs[name] for name in ("net_parameters", "net_diverged", "dtype")},
            "circle_points": laws.Circle().points,
            "seed": config.seed,
        },
    }


def plot(dataset: xr.Dataset, summary: dict) -> Figure:
    """See ``weak_order_figure``."""
    del dataset
    return weak_order_figure.draw(summary)


def report(summary: dict, console: Console) -> None:
    """See ``weak_order_report``."""
    weak_order_report.show(summary, console)


EXPERIMENT = run.Experiment("weak-order", Config, compute, plot, report)
