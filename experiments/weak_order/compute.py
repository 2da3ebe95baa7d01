"""How fast do the SDEs approach SGD as η → 0, and how fast gradient flow? Errors on exact laws and on a small net."""

from typing import Any

import jax
import jax.random as jr
import numpy as np
import xarray as xr

import sdesgd as sg
from experiments._shared.options import Part, listed
from experiments._shared.run_folder import RunFolder
from experiments.weak_order import laws, net
from experiments.weak_order.config import Config, check
from experiments.weak_order.result import Result
from experiments.weak_order.slopes import ABSCISSA, COMPARISONS, MOMENTUM, measure

# -- the errors ------------------------------------------------------------------------------------------


def circle_errors(config: Config, circle: laws.Circle, make: Any = sg.SDE) -> xr.Dataset:
    """sup-norm errors of E φ on the circle at time T, on exact laws.

    Args:
        make: builds the equations, as ``sg.SDE``.
    """
    T, S, counts = config.time, config.batch_size, listed(config, "steps")
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
    T, S, counts = config.time, config.batch_size, listed(config, "steps")
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
    eta, S, ells = config.time / config.svag_steps, config.batch_size, listed(config, "ells")
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
    problem, counts = laws.quadratic(), listed(config, "momentum_steps")
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
    problem, rates = laws.quadratic(((1.0,),), ((1.0,), (-1.0,))), listed(config, "stationary")
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
    """Coupled Monte Carlo on a small net, and its sup over starts and observables: see ``net.errors``."""
    found = net.errors(
        laws.require_float64(problem),
        observables,
        nets,
        time=config.net_time,
        steps=listed(config, "net_steps"),
        batch_size=config.net_batch_size,
        replicas=config.replicas,
        key=jr.fold_in(jr.key(config.seed), 1),
    )
    if found.attrs.get("interrupted"):
        return found
    sup, standard_error = net.supremum(found["net_mean"].values, found["net_standard_error"].values)
    for k, order in enumerate((1, 2)):
        found[f"net_order{order}"] = "net_eta", sup[k]
        found[f"net_order{order}_standard_error"] = "net_eta", standard_error[k]
    return found


def _table(panel: str, x: list, found: dict[str, list]) -> xr.Dataset:
    dim = f"{panel}_{ABSCISSA[panel]}"
    return xr.Dataset({name: (dim, np.asarray(values)) for name, values in found.items()}, {dim: x})


def compute(config: Config, folder: RunFolder) -> Result:
    """All errors, stage by stage, in float64; then the slopes."""
    check(config)
    circle = laws.Circle()
    with jax.enable_x64(True):
        # Built first: bad sizes are refused before anything is computed.
        built = net.build(config.num_examples, config.width, config.starts, config.seed)
        on_circle = Part(config, "time", "steps", "batch_size")
        of_net = Part(config, "net_time", "net_steps", "net_batch_size", "replicas", "seed")
        stages = [
            folder.stage("circle", circle_errors, on_circle, circle),
            folder.stage("variance", variance_errors, on_circle, circle),
            folder.stage("svag", svag_errors, Part(config, "time", "svag_steps", "batch_size", "ells"), circle),
            folder.stage("momentum", momentum_errors, Part(config, "momentum_time", "momentum_steps", "friction")),
            folder.stage("stationary", stationary_errors, Part(config, "stationary")),
            folder.stage("net", net_errors, of_net, *built),
        ]
    data = xr.merge(stages, combine_attrs="drop_conflicts").assign_attrs(circle_points=circle.points)
    measured = {}
    for name, comparison in COMPARISONS.items():
        x, errors = data[f"{comparison.panel}_{ABSCISSA[comparison.panel]}"].values, f"{name}_standard_error"
        standard_error = data[errors].values if errors in data else None
        measured[name] = measure(comparison, x, data[name].values, standard_error)
    return Result(config, measured, data)
