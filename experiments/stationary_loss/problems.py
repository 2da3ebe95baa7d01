"""The finite sums of stationary-loss, each with its minimum, its Hessian and its gradient covariance there, dense."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import sympy as sp
from jaxtyping import Array, Float, PyTree
from scipy import linalg

import sdesgd as sg
from sdesgd import gradient_noise, nets, toys
from sdesgd.errors import InputError, require_known
from sdesgd.landscape import flat
from sdesgd.stationary.minimum import descended, unflat

# H and C are dense: 0.3 GB each at this size, and as many Hessian-vector products.
_MAX_PARAMETERS = 6000
_QUADRATIC_HESSIAN = ((1.0, 0.0), (0.0, 0.2))


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One loss at its minimum.

    Attributes:
        name: of its stages; group: the problem it belongs to, a panel of the figure.
        title: in words.
        problem, start, floor: the finite sum, θ* as params, L(θ*).
        hessian, covariance: H and C at θ*, (D, D), in units of loss by squared parameter; exact, no estimates.
        gradient_norm: ‖g(θ*)‖.
        regression: (inputs, targets) where the exact law with C(θ) is known; None elsewhere.
        quadratic: whether L is quadratic and C constant, so that the constant-C law is exact.
        decay: w of the weight decay, which adds wD to Tr H and nothing to C.
    """

    name: str
    group: str
    title: str
    problem: sg.Problem
    start: PyTree
    floor: float
    hessian: np.ndarray
    covariance: np.ndarray
    gradient_norm: float
    regression: tuple[np.ndarray, np.ndarray] | None = None
    quadratic: bool = False
    decay: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether SGD's stationary loss is known exactly."""
        return self.quadratic or self.regression is not None

    @functools.cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """(λ_i, C_ii) in the eigenbasis of H, λ ascending."""
        values, vectors = linalg.eigh(self.hessian)
        return values, np.einsum("ij,ij->j", vectors, self.covariance @ vectors)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a problem is run with, unless options say otherwise; rates and time for m = 0.

    rates: η; batch_size: S; time: of a run, in SDE time; saves: of a run; sgd, sde: replicas of each arm.
    """

    rates: tuple[float, ...]
    batch_size: int
    time: float
    saves: int
    sgd: int
    sde: int


SIZES = {
    "quadratic": Sizes((0.1, 0.25, 0.5, 1.0), 4, 80.0, 40, 4000, 4000),
    "regression": Sizes((0.025, 0.05, 0.1, 0.25), 8, 40.0, 40, 1000, 80),
    "logistic": Sizes((0.05, 0.1, 0.2, 0.5), 32, 60.0, 40, 160, 24),
    "net": Sizes((0.03, 0.06, 0.15, 0.3), 64, 6.0, 20, 384, 64),
}
# Every case in the order of its random streams: a choice of problems doesn't change the others' numbers.
ORDER = ("quadratic-equal", "quadratic-commuting", "quadratic-crossed", "regression", "logistic", "net")


def build(group: str, *, num_examples: int, width: int, logistic_decay: float, net_decay: float, seed: int) -> list:
    """The cases of a problem.

    Args:
        group: quadratic | regression | logistic | net.
        num_examples: N of the digits of logistic and net.
        width: hidden units of the net.
        logistic_decay, net_decay: weight decay w, of the part (w/2)|θ|² of every example's loss.
        seed: of the subset of the digits and of the net's initial weights.

    Raises:
        InputError: an unknown problem, sizes out of range, no minimum found.
    """
    builders: dict[str, Callable[[], list[Case]]] = {
        "quadratic": quadratics,
        "regression": lambda: [regression()],
        "logistic": lambda: [logistic(num_examples, logistic_decay, seed)],
        "net": lambda: [small_net(num_examples, width, net_decay, seed)],
    }
    return builders[require_known("problem", group, builders)]()


# -- the four problems -------------------------------------------------------------------------------------


def quadratics() -> list[Case]:
    """L = ½ θᵀHθ with H = diag(1, 0.2) and three constant C: C = H, one that commutes with H, one that doesn't."""
    x, y = sp.symbols("x y", real=True)
    (a, b), (_, c) = _QUADRATIC_HESSIAN
    value = sp.Rational(str(a)) / 2 * x**2 + sp.Rational(str(b)) * x * y + sp.Rational(str(c)) / 2 * y**2
    potential = toys.from_sympy(value, [x, y], [(-3, 3), (-3, 3)], "the quadratic", [[0, 0]])
    covariances = {
        "equal": ("Quadratic, C = H", _QUADRATIC_HESSIAN),
        "commuting": ("Quadratic, C commutes with H", ((0.4, 0.0), (0.0, 2.0))),
        "crossed": ("Quadratic, C does not commute with H", ((3.2, 1.6), (1.6, 1.6))),
    }
    found = []
    for name, (title, covariance) in covariances.items():
        problem = toys.tilted(potential, toys.tilts_of(covariance))
        found.append(_at_minimum(f"quadratic-{name}", "quadratic", title, problem, quadratic=True))
    return found


def squared_error(theta: Float[Array, " D"], example: tuple) -> Float[Array, ""]:
    """ℓ_i = ½(x_i·θ − y_i)²."""
    x, y = example
    return 0.5 * (jnp.vdot(x, theta) - y) ** 2


def regression() -> Case:
    """Least squares on scikit-learn's diabetes data: 442 people, 10 features; all columns standardised."""
    from sklearn.datasets import load_diabetes

    data: Any = load_diabetes(scaled=False)
    x, y = np.asarray(data.data, float), np.asarray(data.target, float)
    x, y = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    problem = sg.Problem(squared_error, jnp.zeros(x.shape[1]), (x, y))
    title = f"Linear regression, diabetes: N = {len(x)}, D = {x.shape[1]}"
    return dataclasses.replace(_at_minimum("regression", "regression", title, problem), regression=(x, y))


class DecayedLosses(eqx.Module):
    """ℓ_i = −log softmax(net(x_i))[y_i] + (w/2)|θ|², in nats, of a batch."""

    decay: float

    def __call__(self, net: nets.Net, batch: tuple) -> Float[Array, " batch"]:
        theta = flat(net)
        return nets.cross_entropy(net(batch[0]), batch[1]) + self.decay / 2 * jnp.vdot(theta, theta)


def logistic(num_examples: int, decay: float, seed: int) -> Case:
    """Softmax regression on digits, weight decay on all 650 parameters; convex, so the minimum is the minimum."""
    data = sg.data.load("digits", num_examples, 1, seed)
    net = nets.logistic_regression(data.inputs.shape[1], data.num_classes, key=jr.key(seed))
    problem = _decayed(decay, net, data.inputs, data.labels)
    title = f"Logistic regression, digits: N = {num_examples}, D = {problem.num_parameters}"
    return dataclasses.replace(_at_minimum("logistic", "logistic", title, problem), decay=decay)


def pooled(images: np.ndarray) -> np.ndarray:
    """28×28 digits averaged to 7×7, and standardised again as a whole: (N, 784) → (N, 49)."""
    small = images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
    return (small - small.mean()) / small.std()


def small_net(num_examples: int, width: int, decay: float, seed: int) -> Case:
    """A tanh net of one hidden layer on 7×7-pooled mnist5k, with weight decay, at one of its minima."""
    if width < 1 or 60 * width + 10 > _MAX_PARAMETERS:
        raise InputError(f"width is {width}: pass 1 to {(_MAX_PARAMETERS - 10) // 60} hidden units, H and C are dense")
    data = sg.data.load("mnist5k", num_examples, 1, seed)
    net = nets.mlp(49, data.num_classes, width=width, activation=jnp.tanh, key=jr.key(seed))
    problem = _decayed(decay, net, pooled(data.inputs), data.labels)
    title = f"Tanh net, pooled mnist5k: N = {num_examples}, D = {problem.num_parameters}"
    return dataclasses.replace(_at_minimum("net", "net", title, problem), decay=decay)


def _decayed(decay: float, net: nets.Net, inputs: np.ndarray, labels: np.ndarray) -> sg.Problem:
    wide = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64) if eqx.is_inexact_array(a) else a, net)
    return sg.Problem(DecayedLosses(decay), wide, (np.asarray(inputs, float), labels), batched=True)


# -- the minimum and its matrices --------------------------------------------------------------------------


def _at_minimum(name: str, group: str, title: str, problem: sg.Problem, quadratic: bool = False) -> Case:
    theta, floor, gradient, H = descended(problem, title)
    params = unflat(problem, theta)
    C = np.asarray(gradient_noise.covariance_matrix(problem, params))
    norm = float(np.linalg.norm(gradient))
    return Case(name, group, title, problem, params, floor, H, C, norm, quadratic=quadratic)
