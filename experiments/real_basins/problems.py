"""The losses of real-basins: tanh nets of two hidden units on a noisy sine and on digits, with weight decay."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import sdesgd as sg
from sdesgd import nets
from sdesgd.errors import require_known
from sdesgd.landscape import Landscape, flat, landscape_of
from sdesgd.toys import tilts_of

WIDTH = 2
PRIMES = (2, 3, 5, 7)


class Decayed(eqx.Module):
    """ℓ_i(θ) + (w/2)|θ|²: the decay is in every example's loss, so it adds to L and H and nothing to C."""

    losses: nets.ExampleLosses
    decay: Float[Array, ""]

    def __call__(self, net: nets.Net, batch: tuple) -> Float[Array, " batch"]:
        squares = [jnp.sum(x**2) for x in jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))]
        return self.losses(net, batch) + self.decay / 2 * sum(squares)


class Shifted(eqx.Module):
    """ℓ_i = L + a_i·θ, for a batch of tilts: the mean loss with a noise of its own. See ``toys.tilted``."""

    value: Any  # a ``FlatLoss``

    def __call__(self, theta: Float[Array, " D"], tilts: Float[Array, "batch D"]) -> Float[Array, " batch"]:
        return self.value(theta) + tilts @ theta


def logistic_loss(outputs: Float[Array, "batch 1"], signs: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """−log σ(y z) of one logit z and labels y = ±1, in nats."""
    return jax.nn.softplus(-signs * outputs[:, 0])


# -- the data ------------------------------------------------------------------------------------------------


class Data(NamedTuple):
    """inputs (N, features) and targets (N,), float64: numbers, or ±1."""

    inputs: np.ndarray
    targets: np.ndarray


def noisy_sine(num_examples: int = 64, seed: int = 1) -> Data:
    """y = sin(5πx/6) + 0.6 ξ with x uniform on [−3, 3]: two and a half periods, and two units make one hump."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-3, 3, num_examples))
    return Data(x[:, None], np.sin(5 * np.pi / 6 * x) + 0.6 * rng.normal(size=num_examples))


def prime_digits(num_examples: int = 128, seed: int = 0) -> Data:
    """Handwritten digits by their first two principal components, each of unit variance; y = +1 for 2, 3, 5 and 7."""
    data = sg.data.load("digits", num_examples, 1, seed)
    images = np.asarray(data.inputs, float)
    images = images - images.mean(axis=0)
    _, _, directions = np.linalg.svd(images, full_matrices=False)
    # Signs of principal components are a convention: here the largest entry of each is positive.
    directions = directions[:2]
    directions = directions * np.sign(np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1))
    scores = images @ directions.T
    return Data(scores / scores.std(axis=0), np.where(np.isin(data.labels, PRIMES), 1.0, -1.0))


# -- the tasks -----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set, a loss, and the rates at which SGD mixes on them or doesn't.

    Attributes:
        title: in figures. data: its maker. loss: (outputs (B, 1), targets (B,)) → (B,). decay: w.
        rates: η of the stationary occupancy. arrival_rates: η of the arrivals. steps: of a stationary run, at each η.
        arrival_time: SDE time of an arrival. pilot_temperature: where the walk that looks for minima goes.
    """

    title: str
    data: Callable[[], Data]
    loss: Callable
    decay: float
    rates: tuple[float, ...]
    arrival_rates: tuple[float, ...]
    steps: int
    arrival_time: float
    pilot_temperature: float


TASKS = {
    "sine": Task(
        "noisy sine", noisy_sine, nets.squared_error, 1e-2, (0.05, 0.1, 0.2), (0.01, 0.02, 0.05), 10_000, 50.0, 0.01
    ),
    "digits": Task(
        "digits: prime or not?",
        prime_digits,
        logistic_loss,
        3e-3,
        (0.4, 0.8),
        (0.02, 0.05, 0.1),
        10_000,
        50.0,
        0.01,
    ),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A task with its finite sum.

    Attributes:
        problem: N examples of ``Decayed``. landscape: L of a flat vector.
    """

    name: str
    task: Task
    data: Data
    problem: sg.Problem
    landscape: Landscape

    @property
    def net(self) -> nets.Net:
        """The net that the problem starts from: the one whose structure all have."""
        return self.problem.params

    def fresh(self, keys: PRNGKeyArray) -> Float[np.ndarray, "K D"]:
        """Randomly initialised nets, one for each key."""
        return np.asarray(jax.vmap(lambda key: flat(_net(self.data, key)))(keys))

    def isotropic(self, variance: float) -> sg.Problem:
        """ℓ_i = L + a_i·θ with C = σ²I, θ a flat vector: SGD on it samples exp(−L/T) as η → 0 at fixed T = ησ²/(2S).

        At S = 1 a step kicks one axis by ±σ√D: isotropic, with an excess kurtosis of D − 3 along each.

        Args:
            variance: σ².
        """
        tilts = tilts_of(variance * np.eye(self.landscape.dimension))
        return sg.Problem(Shifted(self.landscape.value), flat(self.net), tilts, batched=True)


def build(name: str) -> Case:
    """A task by its name, in float64.

    Raises:
        InputError: an unknown name; JAX is set to 32 bits.
    """
    task = TASKS[require_known("problem", name, TASKS)]
    data = task.data()
    losses = Decayed(nets.ExampleLosses(task.loss), jnp.asarray(task.decay))
    problem = sg.Problem(losses, _net(data, jr.key(0)), (data.inputs, data.targets), batched=True)
    return Case(name, task, data, problem, landscape_of(problem, f"the loss of {name}"))


def _net(data: Data, key: PRNGKeyArray) -> nets.Net:
    return nets.mlp(data.inputs.shape[1], 1, width=WIDTH, activation=jnp.tanh, key=key)


# -- the noise of minibatches ----------------------------------------------------------------------------------


@eqx.filter_jit
def _covariances(value: Any, points: Float[Array, "K D"]) -> Float[Array, "K D D"]:
    def one(theta):
        rows = jax.jacfwd(lambda x: value.problem.losses(value.params(x)))(theta)
        rows = rows - jnp.mean(rows, axis=0)
        return rows.T @ rows / rows.shape[0]

    return jax.lax.map(one, points)


def covariances(case: Case, points: Any) -> Float[np.ndarray, "K D D"]:
    """C(θ) = (1/N) Σ (∇ℓ_i − g)(∇ℓ_i − g)ᵀ at each point.

    Args:
        points: (K, D).
    """
    return np.asarray(_covariances(case.landscape.value, jnp.asarray(points)))


@dataclasses.dataclass(frozen=True)
class Anisotropy:
    """How far the noise at a minimum is from isotropic.

    Attributes:
        trace: tr C.
        participation: (tr C)²/(D tr C²), 1 for C ∝ I, 1/D for one direction.
        alignment: the cosine tr(HC)/(‖H‖‖C‖) of C with H.
        isotropic_alignment: that of I with H.
        stiffest: uᵀCu over tr C/D along the stiffest eigenvector of H, 1 for C ∝ I.
        softest: the same along the softest.
    """

    trace: float
    participation: float
    alignment: float
    isotropic_alignment: float
    stiffest: float
    softest: float


def anisotropy(hessian: Float[np.ndarray, "D D"], covariance: Float[np.ndarray, "D D"]) -> Anisotropy:
    """How far C, the noise at a minimum with Hessian H, is from isotropic."""
    values, vectors = np.linalg.eigh(hessian)
    trace, D = float(np.trace(covariance)), len(hessian)
    along = np.einsum("ij,ij->j", vectors, covariance @ vectors) / (trace / D)
    size = np.linalg.norm(covariance)
    return Anisotropy(
        trace=trace,
        participation=trace**2 / (D * float(size) ** 2),
        alignment=float(np.sum(hessian * covariance) / (np.linalg.norm(hessian) * size)),
        isotropic_alignment=float(values.sum() / (math.sqrt(D) * np.linalg.norm(hessian))),
        stiffest=float(along[-1]),
        softest=float(along[0]),
    )


# -- what a net computes -------------------------------------------------------------------------------------


@eqx.filter_jit
def _outputs(value: Any, points: Float[Array, "K D"], inputs: Float[Array, "G features"]) -> Float[Array, "K G"]:
    return jax.lax.map(lambda theta: value.params(theta)(inputs)[:, 0], points)


def outputs(case: Case, points: Any, inputs: Any) -> Float[np.ndarray, "K G"]:
    """The net's output at each of G inputs, for each of K flat vectors.

    Args:
        points: (K, D). inputs: (G, features).
    """
    return np.asarray(_outputs(case.landscape.value, jnp.asarray(points), jnp.asarray(inputs)))
