"""The benchmark's peers: a hand-written Euler–Maruyama loop and torchsde, on a small equation."""

import importlib.util
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import sdesgd as sg
from experiments.bench.timing import BATCH_SIZE, LEARNING_RATE, Row, in_turns, ratio_row

NOT_INSTALLED = "not installed: pip install .[bench]"


def installed(*names: str) -> bool:
    """Whether all these packages can be imported."""
    return all(importlib.util.find_spec(name) for name in names)


# -- the SDE of a small linear regression ------------------------------------------------------------------

REPLICAS, STEPS = 256, 100


class Regression:
    """ℓ_i(θ) = ½ (x_i·θ − y_i)², N = 32, D = 8: small enough for the dense D×N matrix R(θ)."""

    def __init__(self):
        key_inputs, key_noise = jr.split(jr.key(3))
        self.x = jr.normal(key_inputs, (32, 8))
        self.y = self.x @ jnp.ones(8) + jr.normal(key_noise, (32,))
        self.start = jnp.zeros(8)
        self.problem = sg.Problem(squared_error, self.start, (self.x, self.y))
        self.scale = (LEARNING_RATE / BATCH_SIZE) ** 0.5

    def exact_law(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of θ after the last Euler step, (8,) each.

        θ' = θ − h g + ε R ΔW with g = A θ − b and R Rᵀ = (1/N) Σ r_i² x_i x_iᵀ − g gᵀ, quadratic in θ: so the
        mean and the second moment follow recursions of their own, here in float64.
        """
        x, y = np.asarray(self.x, np.float64), np.asarray(self.y, np.float64)
        num_examples, h = x.shape[0], LEARNING_RATE
        A, b = x.T @ x / num_examples, x.T @ y / num_examples
        mean, second = np.zeros(8), np.zeros((8, 8))
        for _ in range(STEPS):
            squares = np.einsum("id,de,ie->i", x, second, x) - 2 * y * (x @ mean) + y**2
            gradients = A @ second @ A - np.outer(A @ mean, b) - np.outer(b, A @ mean) + np.outer(b, b)
            covariance = (x.T * squares) @ x / num_examples - gradients
            cross = second @ A - np.outer(mean, b)
            second = second - h * (cross + cross.T) + h**2 * gradients + h * self.scale**2 * covariance
            mean = mean - h * (A @ mean - b)
        return mean, np.diag(second) - mean**2


def squared_error(theta: jax.Array, example: tuple[jax.Array, jax.Array]) -> jax.Array:
    """½ (x·θ − y)²."""
    x, y = example
    return 0.5 * (x @ theta - y) ** 2


@eqx.filter_jit
def fused_ensemble(dynamics: Any, problem: sg.Problem, key: jax.Array) -> jax.Array:
    """The last θ of all replicas, (REPLICAS, 8): the library's step and keys, vectorised over replicas."""

    def one(key: jax.Array) -> jax.Array:
        step = lambda n, state: dynamics.step(problem, state, jr.fold_in(key, n), n)  # noqa: E731
        return jax.lax.fori_loop(0, STEPS, step, dynamics.init(problem, problem.params)).params

    return jax.vmap(one)(jax.vmap(jr.fold_in, (None, 0))(key, jnp.arange(REPLICAS)))


@jax.jit
def dense_ensemble(x: jax.Array, y: jax.Array, start: jax.Array, scale: jax.Array, key: jax.Array) -> jax.Array:
    """The same by hand: Euler–Maruyama with the matrix R(θ) formed, one scan, vectorised over replicas."""
    num_examples, h = x.shape[0], jnp.float32(LEARNING_RATE)

    def one(key: jax.Array) -> jax.Array:
        def step(theta, key):
            gradients = x * (x @ theta - y)[:, None]
            mean = gradients.mean(0)
            factor = (gradients - mean).T / num_examples**0.5
            dW = jnp.sqrt(h) * jr.normal(key, (num_examples,))
            return theta - h * mean + scale * factor @ dW, None

        return jax.lax.scan(step, start, jr.split(key, STEPS))[0]

    return jax.vmap(one)(jr.split(key, REPLICAS))


def torchsde_ensemble(regression: Regression, threads: int) -> Callable[[int], np.ndarray]:
    """The same by torchsde, drift and diffusion from one pass (``f_and_g``), without autograd."""
    import torch  # pyright: ignore[reportMissingImports]
    import torchsde  # pyright: ignore[reportMissingImports]

    x, y = torch.tensor(np.asarray(regression.x)), torch.tensor(np.asarray(regression.y))
    times = torch.tensor([0.0, STEPS * LEARNING_RATE])
    root = x.shape[0] ** 0.5

    def f_and_g(t, theta):
        gradients = x * (theta @ x.T - y)[:, :, None]
        mean = gradients.mean(1)
        return -mean, regression.scale / root * (gradients - mean[:, None]).transpose(1, 2)

    equation = SimpleNamespace(
        noise_type="general",
        sde_type="ito",
        f_and_g=f_and_g,
        f=lambda t, theta: f_and_g(t, theta)[0],
        g=lambda t, theta: f_and_g(t, theta)[1],
    )

    def run(k: int) -> np.ndarray:
        torch.set_num_threads(threads)
        torch.manual_seed(k + 1)
        start = torch.zeros(REPLICAS, 8)
        with torch.no_grad():
            path = torchsde.sdeint(equation, start, times, method="euler", dt=LEARNING_RATE)
        return path[-1].numpy()

    return run


def largest_deviation(samples: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> float:
    """max over the coordinates' means and variances of |estimate − exact| in standard errors."""
    count = samples.shape[0]
    centred = samples - mean
    squares = centred**2
    of_mean = centred.mean(0) / (centred.std(0) / count**0.5)
    of_variance = (squares.mean(0) - variance) / (squares.std(0) / count**0.5)
    return float(np.abs([of_mean, of_variance]).max())


def small_equation(rounds: int) -> tuple[list[Row], list[str]]:
    """One small SDE three ways, and a check that the three have the exact law of the Euler recursion."""
    regression = Regression()
    euler = sg.SDE(jnp.float32(LEARNING_RATE), BATCH_SIZE, solver=diffrax.Euler())
    data = (regression.x, regression.y, regression.start, jnp.float32(regression.scale))
    programs: dict[str, Callable[[int], Any]] = {
        "sdesgd": lambda k: fused_ensemble(euler, regression.problem, jr.key(k + 1)),
        # Another seed: split and fold_in give the same keys; the check wants independent replicas.
        "by hand": lambda k: dense_ensemble(*data, jr.key(k + 1000)),
    }
    has_torch = installed("torch", "torchsde")
    if has_torch:
        for n in thread_counts():
            program = torchsde_ensemble(regression, n)
            programs[f"torchsde, {n} thread(s)"] = lambda k, f=program, n=n: f(k + 1000 * n)
    ends: dict[str, list[np.ndarray]] = {name: [] for name in programs}

    def keeping(name: str, program: Callable[[int], Any]) -> Callable[[int], Any]:
        def run(k: int) -> Any:
            end = jax.block_until_ready(program(k))
            if k >= 0:
                ends[name].append(np.asarray(end))
            return end

        return run

    turns = [keeping(name, program) for name, program in programs.items()]
    seconds = in_turns(turns, 2 * rounds).T / STEPS
    sizes = f"linear regression, D = 8, N = 32, {REPLICAS} replicas"
    rows = [ratio_row("Euler step of the SDE ÷ a scan by hand, dense R", sizes, seconds[0], seconds[1])]
    peer = "torchsde, euler, general noise ÷ Euler step of the SDE"
    if has_torch:
        best = 2 + int(np.argmin(np.median(seconds[2:], axis=1)))
        rows.append(ratio_row(peer, f"{sizes}; {list(programs)[best]}", seconds[best], seconds[0]))
    else:
        rows.append(Row(peer, sizes, "–", times=NOT_INSTALLED))
    law = regression.exact_law()
    deviations = {name: largest_deviation(np.concatenate(parts), *law) for name, parts in ends.items()}
    listed = "; ".join(f"{name} {value:.1f}" for name, value in deviations.items())
    verdict = "one law" if max(deviations.values()) < 4 else "NOT one law: these ratios compare unlike things"
    return rows, [
        "Law of the small equation, largest of 16 deviations (8 means, 8 variances) from the exact "
        "moments of the Euler recursion, in standard errors of "
        f"{2 * rounds * REPLICAS:,} replicas: {listed}. So {verdict}."
    ]


def thread_counts() -> list[int]:
    """One, and what torch takes by default: the faster of them counts."""
    import torch  # pyright: ignore[reportMissingImports]

    return sorted({1, torch.get_num_threads()})
