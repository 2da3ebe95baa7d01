"""The covariance of SGD at a minimum: measured, and held against each theory that applies."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from sdesgd import evidence, inputs
from sdesgd.dynamics.protocol import check_sampling, finite_population_factor
from sdesgd.dynamics.sgd import SGD, GaussianSGD
from sdesgd.errors import InputError, shown
from sdesgd.gradient_noise.dense import covariance_matrix
from sdesgd.landscape import flat
from sdesgd.problem import Problem
from sdesgd.results import NotEstablished
from sdesgd.simulation.driver import simulate
from sdesgd.stationary.minimum import Minimum, NoMinimum, descended, unflat
from sdesgd.stationary.quadratic import discrete_covariance, ou_covariance
from sdesgd.stationary.quadratic_examples import structure
from sdesgd.stationary.regression import regression_covariance
from sdesgd.stationary.result import StationaryComparison
from sdesgd.types import PRNGKeyArray, RealScalarLike

_MOST_PARAMETERS = 64
_BURN_IN = 5  # relaxation times; what is left of the start's bias of a covariance is e^(−10)
_SAVES = 40  # of a replica, half a relaxation time apart
_FLAT = 1e-10  # curvature relative to the largest, below which H counts as singular
_DRIFT = 5.0  # standard errors between the early and the late half of the runs
_KEPT = 1500  # points kept for figures


class _Theory(NamedTuple):
    covariances: dict[str, np.ndarray]
    exact: str | None


def compare(
    problem: Problem,
    dynamics: SGD | GaussianSGD,
    *,
    key: PRNGKeyArray,
    params: PyTree = None,
    replicas: int = 1024,
    most_steps: int = 200_000,
    margin: RealScalarLike = 0.05,
    progress: str = "",
) -> StationaryComparison:
    """The stationary covariance of SGD about a minimum, measured and by theory, and which theory agrees.

        "OU":          HΓ + ΓH = (fη/S) C                       the SDE's, with C = C(θ*)
        "discrete":    Γ = (I − ηH) Γ (I − ηH) + (fη²/S) C      SGD's own recursion, C constant
        "regression":  the same with C(θ), where ℓ_i = ½(x_i·θ − y_i)² + (w/2)|θ|²

    (without momentum; with it, those of ``ou_covariance`` and so on). The minimum is the one that the start descends
    to. Replicas begin there and burn in for five relaxation times of the slowest direction; then each is looked at 40
    times, and the standard errors are from replica to replica. Computes in 64 bits, whatever JAX is set to.

    Assumptions: a non-degenerate minimum, deep enough for the runs to stay near it. Where all ℓ_i are quadratic with
    one Hessian "discrete" is exact; in linear regression "regression" is; elsewhere no theory here is.

    Args:
        problem: of at most 64 parameters, without masks and groups.
        dynamics: ``SGD`` or ``GaussianSGD`` with a constant learning rate.
        key: of ``jax.random.key``.
        params: where descent begins; default: the problem's params.
        replicas: independent runs.
        most_steps: of a replica, burn-in included.
        margin: of equivalence of an entry, relative to √(Γ_ii Γ_jj) along the eigenvectors of H.
        progress: a label for a progress bar.

    Raises:
        InputError: bad input: another dynamics, reshuffled epochs, a schedule, more parameters, masks or groups.
    """
    key = inputs.as_key(key)
    _check(problem, dynamics, replicas, most_steps, margin)
    with jax.enable_x64(True):
        wide = _in_float64(
            problem if params is None else eqx.tree_at(lambda p: p.params, problem, problem.like(params))
        )
        D, f = wide.num_parameters, finite_population_factor(wide.num_units, dynamics.batch_size, dynamics.sampling)
        try:
            minimum = descended(wide)
        except NoMinimum as refusal:
            nowhere = Minimum(np.full(D, np.nan), math.nan, np.full(D, np.nan), np.full((D, D), np.nan))
            return _result(dynamics, nowhere, np.full((D, D), np.nan), margin, refused=NotEstablished(str(refusal)))
        C = np.asarray(covariance_matrix(wide, unflat(wide, minimum.theta)))
        eta, m = float(np.asarray(dynamics.learning_rate)), float(np.asarray(dynamics.momentum))
        values = np.linalg.eigvalsh(minimum.hessian)
        refused = _unstable(values, eta, m)
        theory = _Theory({}, None)
        if refused is None:
            theory, refused = _theories(wide, dynamics, minimum, C, f)
        if refused is not None:
            return _result(dynamics, minimum, C, margin, theory, refused=refused)
        relaxation = relaxation_steps(values, eta, m)
        spacing = max(1, round(relaxation / 2))
        burn_in = spacing * math.ceil(_BURN_IN * relaxation / spacing)
        total = burn_in + _SAVES * spacing
        sizes = relaxation, burn_in, _SAVES * spacing, replicas
        if total > most_steps:
            reason = f"not mixed: the slowest direction relaxes in {relaxation:,.0f} steps"
            refused = NotEstablished(reason, f"about {total:,} steps per replica")
            return _result(dynamics, minimum, C, margin, theory, sizes, refused=refused)
        run = simulate(
            dynamics,
            eqx.tree_at(lambda p: p.params, wide, unflat(wide, minimum.theta)),
            num_steps=total,
            replicas=replicas,
            key=key,
            observables={"theta": flat},
            save_every=spacing,
            progress=progress,
        )
    if run.interrupted:
        raise KeyboardInterrupt
    if run.diverged.any():
        refused = NotEstablished(f"{int(run.diverged.sum())} of {replicas} replicas diverged", "a lower learning rate")
        return _result(dynamics, minimum, C, margin, theory, sizes, refused=refused)
    late = run.values["theta"][:, 1 + burn_in // spacing :] - minimum.theta
    if _drifts(late):
        refused = NotEstablished("the variance still changes in the late half of the runs", "a deeper minimum")
        return _result(dynamics, minimum, C, margin, theory, sizes, refused=refused)
    return _result(dynamics, minimum, C, margin, theory, sizes, late)


def _check(problem: Any, dynamics: Any, replicas: Any, most_steps: Any, margin: Any) -> None:
    if not isinstance(problem, Problem):
        raise InputError(f"problem is {shown(problem)}: pass a Problem")
    if not isinstance(dynamics, SGD | GaussianSGD):
        raise InputError(f"dynamics is {shown(dynamics)}: pass sg.SGD(learning_rate, batch_size) or a GaussianSGD")
    check_sampling(dynamics.sampling, ("replacement", "no_replacement"), "an epoch's batches depend on each other")
    if callable(dynamics.learning_rate):
        raise InputError("learning_rate is a schedule, so nothing is stationary: pass a number")
    if problem.needs_key:
        raise InputError("the loss draws masks or groups: pass a problem of single examples")
    if problem.num_parameters > _MOST_PARAMETERS:
        raise InputError(f"{problem.num_parameters} parameters: covariances are dense, for at most {_MOST_PARAMETERS}")
    for name, value in (("replicas", replicas), ("most_steps", most_steps)):
        inputs.check_positive_integer(name, value)
    if replicas < 16:
        raise InputError(f"replicas is {replicas}: pass at least 16, for standard errors")
    inputs.check_number("margin", margin, "a positive number", lambda x: x > 0)


def _in_float64(problem: Problem) -> Problem:
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, problem)


def relaxation_steps(curvatures: Any, learning_rate: RealScalarLike, momentum: RealScalarLike = 0.0) -> float:
    """−1/ln ρ: steps in which the slowest direction of SGD on a quadratic forgets its start by a factor of e.

    ρ is the largest modulus of the eigenvalues of [[1 − ηλ, m], [−ηλ, m]]; for small η it is (1 − m)/(ηλ_min) steps.

    Args:
        curvatures: λ, (D,), the eigenvalues of H.
        learning_rate: η.
        momentum: m.

    Returns:
        Infinite where some direction forgets nothing.
    """
    rates = learning_rate * np.atleast_1d(inputs.as_float64(curvatures, "curvatures", "(D,)"))
    steps = np.empty((len(rates), 2, 2))
    steps[:, 0, 0], steps[:, 1, 0], steps[:, :, 1] = 1 - rates, -rates, momentum
    slowest = float(np.abs(np.linalg.eigvals(steps)).max())
    return math.inf if slowest >= 1 else -1 / math.log(max(slowest, 1e-300))


# -- theory ------------------------------------------------------------------------------------------------


def _unstable(values: np.ndarray, eta: float, m: float) -> NotEstablished | None:
    if values[0] <= _FLAT * values[-1]:
        reason = f"H is singular ({values[0]:.2g} of {values[-1]:.2g}), so nothing is stationary along a direction"
        return NotEstablished(reason, "weight decay")
    if eta * values[-1] >= 2 * (1 + m):
        reason = f"SGD is unstable: η λ_max = {eta * values[-1]:.3g} is not below 2(1+m) = {2 * (1 + m):g}"
        return NotEstablished(reason, f"a learning rate below {2 * (1 + m) / values[-1]:.3g}")
    return None


def _theories(
    problem: Problem, dynamics: SGD | GaussianSGD, minimum: Minimum, C: np.ndarray, f: float
) -> tuple[_Theory, NotEstablished | None]:
    eta, S, m = float(np.asarray(dynamics.learning_rate)), dynamics.batch_size, float(np.asarray(dynamics.momentum))
    found = {
        "OU": ou_covariance(minimum.hessian, f * C, eta, S, m),
        "discrete": discrete_covariance(minimum.hessian, f * C, eta, S, m),
    }
    kind, data = structure(problem, minimum.theta)
    if kind == "constant":
        return _Theory(found, "discrete"), None
    if data is None:
        return _Theory(found, None), None
    x, y, decay = data
    try:
        law = regression_covariance(x, y, eta, S, weight_decay=decay, sampling=dynamics.sampling, momentum=m)
    except InputError as refusal:
        return _Theory(found, None), NotEstablished(str(refusal))
    return _Theory(found | {"regression": law.covariance}, "regression"), None


# -- measurement -------------------------------------------------------------------------------------------


def _drifts(late: Float[np.ndarray, "R K D"]) -> bool:
    """Whether the total variance of the early half differs from that of the late half."""
    squares = ((late - late.mean(axis=(0, 1))) ** 2 / late.var(axis=(0, 1))).mean(axis=2)
    half = squares.shape[1] // 2
    change = squares[:, half:].mean(axis=1) - squares[:, :half].mean(axis=1)
    return bool(abs(change.mean()) > _DRIFT * change.std(ddof=1) / math.sqrt(len(change)))


def moments(points: Float[np.ndarray, "R K D"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean (D,), covariance (D, D) and the standard errors of both, from replica to replica.

    The covariance is about the mean of all points; what the error of that mean takes away is added back.

    Args:
        points: (replicas, saves, D).
    """
    R = len(points)
    by_replica = points.mean(axis=1)
    mean = by_replica.mean(axis=0)
    centred = points - mean
    squares = np.einsum("rki,rkj->rij", centred, centred) / points.shape[1]
    of_mean = np.atleast_2d(np.cov(by_replica.T)) / R
    errors = squares.std(axis=0, ddof=1) / math.sqrt(R)
    return mean, squares.mean(axis=0) + of_mean, np.sqrt(np.diag(of_mean)), errors


def _result(
    dynamics: SGD | GaussianSGD,
    minimum: Minimum,
    C: np.ndarray,
    margin: RealScalarLike,
    theory: _Theory = _Theory({}, None),  # noqa: B008
    sizes: tuple[float, int, int, int] = (math.nan, 0, 0, 0),
    late: Float[np.ndarray, "R K D"] | None = None,
    refused: NotEstablished | None = None,
) -> StationaryComparison:
    D = len(minimum.theta)
    known = np.isfinite(minimum.hessian).all()
    values, vectors = np.linalg.eigh(minimum.hessian) if known else (np.full(D, np.nan), np.full((D, D), np.nan))
    vector, square = np.full(D, np.nan), np.full((D, D), np.nan)
    mean, covariance, mean_errors, errors = vector, square, vector, square
    along, along_errors, decisions, kept = vector, vector, {}, np.zeros((0, D))
    if late is not None:
        mean, covariance, mean_errors, errors = moments(late)
        _, rotated, _, rotated_errors = moments(late @ vectors)
        along, along_errors = np.diag(rotated), np.diag(rotated_errors)
        upper = np.triu_indices(D)
        for name, law in theory.covariances.items():
            there = vectors.T @ law @ vectors
            scale = np.sqrt(np.outer(np.diag(there), np.diag(there)))
            apart, error = ((x / scale)[upper] for x in (rotated - there, rotated_errors))
            decisions[name] = evidence.decide_differences(apart, error, margin)
        kept = late[:, -1][:_KEPT]
    return StationaryComparison(
        learning_rate=float(np.asarray(dynamics.learning_rate)),
        batch_size=int(dynamics.batch_size),
        momentum=float(np.asarray(dynamics.momentum)),
        sampling=dynamics.sampling,
        minimum=minimum.theta,
        hessian=minimum.hessian,
        gradient_covariance=C,
        eigenvalues=values,
        directions=vectors,
        theories=theory.covariances,
        exact=theory.exact,
        measured=covariance,
        standard_errors=errors,
        variances=along,
        variance_errors=along_errors,
        mean=mean,
        mean_errors=mean_errors,
        points=kept,
        decisions=decisions,
        margin=float(margin),
        relaxation_steps=sizes[0],
        burn_in=sizes[1],
        num_steps=sizes[2],
        replicas=sizes[3],
        not_established=refused,
    )
