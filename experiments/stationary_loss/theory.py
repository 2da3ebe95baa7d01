"""Theory of stationary-loss: every formula's value at each point, and the solver steps of the SDE."""

import functools
from dataclasses import fields

import numpy as np

from experiments.stationary_loss import laws
from experiments.stationary_loss.config import Config, plan, points, saved_steps
from experiments.stationary_loss.problems import Case
from experiments.stationary_loss.result import CaseResult, Curve, Formulas, Point
from sdesgd.stationary import regression_covariance, trace_covariance_loss, trace_hessian_loss

_CURVE = 40  # points of a curve


def theory(config: Config, case: Case) -> CaseResult:
    """The traces and, for each point, every formula's value for the mean after the burn-in; nothing measured yet.

    Raises:
        InputError: a rate at which SGD, or its second moments, diverge.
    """
    values, noise = case.spectrum
    sizes = plan(config, case.group)
    found = []
    for rate, S in points(config, case, "SGD"):
        made = formulas(config, case, rate, S, saved_steps(rate, sizes.time, sizes.saves))
        substeps, bias = solver_steps(config, case, rate, S)
        found.append(Point(**vars(made), substeps=substeps, integrator_bias=bias))
    grid = np.geomspace(sizes.rates[0], sizes.rates[-1], _CURVE if len(sizes.rates) > 1 else 1)
    curve = [formulas(config, case, float(rate), sizes.batch_size, _nominal_steps(config, case, rate)) for rate in grid]
    columns = {field.name: np.array([getattr(made, field.name) for made in curve]) for field in fields(Curve)}
    return CaseResult(
        group=case.group,
        title=case.title,
        exact=case.exact,
        num_units=case.problem.num_units,
        num_parameters=case.problem.num_parameters,
        trace_hessian=float(values.sum()),
        trace_covariance=float(noise.sum()),
        smallest_curvature=float(values[0]),
        largest_curvature=float(values[-1]),
        gradient_norm=case.gradient_norm,
        floor=case.floor,
        trace_decay=case.decay * case.problem.num_parameters,
        time=sizes.time,
        points=tuple(found),
        curve=Curve(**columns),
    )


def _nominal_steps(config: Config, case: Case, rate: float) -> np.ndarray:
    """``saved_steps`` without rounding, for smooth curves; with momentum steps are whole."""
    sizes = plan(config, case.group)
    if config.momentum:
        return saved_steps(rate, sizes.time, sizes.saves)
    return sizes.time / rate * np.arange(1, sizes.saves + 1) / sizes.saves


def formulas(config: Config, case: Case, rate: float, S: int, steps: np.ndarray) -> Formulas:
    """Every formula's value for the mean over the saved steps after the burn-in."""
    (values, noise), m = case.spectrum, config.momentum
    late = steps > config.burn_in * steps[-1]
    discrete, ou = (
        float(laws.loss_along(values, noise, rate, S, m, steps, law)[late].mean()) for law in ("discrete", "ou")
    )
    stationary = trace_covariance_loss(case.covariance, rate, S, m)
    sgd_law, sde_law = discrete, ou
    if case.regression is not None:
        x, y = case.regression
        sgd_law = regression_covariance(x, y, rate, S, momentum=m).excess_loss
        sde_law = laws.sde_regression_loss(x, case.hessian, case.covariance, rate, S, m)
    return Formulas(
        learning_rate=rate,
        batch_size=S,
        noise=rate / (S * (1 - m)),
        steps=round(steps[-1]),
        trace_hessian=trace_hessian_loss(case.hessian, rate / (1 - m), S),
        trace_covariance=stationary,
        ou=ou,
        discrete=discrete,
        relaxed=ou / stationary,
        sgd_law=sgd_law,
        sde_law=sde_law,
    )


def solver_steps(config: Config, case: Case, rate: float, S: int) -> tuple[int, float]:
    """Solver steps of the SDE a SGD step, and the relative error of the stationary loss that they leave.

    Exact for quadratics and, without momentum, for regression; elsewhere that of the quadratic approximation.
    """
    bias = functools.partial(laws.integrator_bias, *case.spectrum, rate, config.momentum)
    n = laws.substeps_needed(bias, laws.INTEGRATOR_BIAS)
    if case.regression is None or config.momentum:
        return n, bias(n)
    arguments = case.regression[0], case.hessian, case.covariance, rate, S
    law = laws.sde_regression_loss(*arguments, 0.0)
    own = lambda k: laws.integrated_regression_loss(*arguments, k) / law - 1  # noqa: E731
    n = laws.substeps_needed(own, laws.INTEGRATOR_BIAS_REGRESSION, n)
    return n, own(n)
