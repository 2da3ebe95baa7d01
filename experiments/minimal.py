"""The whole idea in plain JAX: SGD, its Gaussian twin and its SDE are one step with three laws of example weights.

    θ ← θ − η Σ_i w_i ∇ℓ_i(θ),  E[w_i] = 1/N

Run it: ``python -m experiments.minimal``. It trains logistic regression on real digits (3 against 8) by minibatch SGD
and asks two questions of the SDE dθ = −g dt + √(η/S) R dW: is the loss the same, and if not, why not?
"""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np


def losses(theta, x, y):
    """(ℓ_1, …, ℓ_N): logistic loss with weight decay, labels ±1."""
    return jnp.logaddexp(0.0, -y * (x @ theta)) + 0.005 * theta @ theta


def weighted_gradient(theta, weights, x, y):
    """∇_θ Σ_i w_i ℓ_i(θ): one backward pass for any weights; R and C are never formed."""
    return jax.grad(lambda t: jnp.vdot(weights, losses(t, x, y)))(theta)


def increment_weights(dt, dW, scale):
    """Weights with Σ w_i ∇ℓ_i = g dt − scale · R dW, where R = [∇ℓ_i − g]/√N."""
    return dt / len(dW) - scale * (dW - dW.mean()) / math.sqrt(len(dW))


def sgd_step(theta, batch, eta, x, y):
    """A real minibatch: S indices drawn with replacement."""
    weights = jnp.full(len(batch), 1 / len(batch))
    return theta - eta * weighted_gradient(theta, weights, x[batch], y[batch])


def gaussian_step(theta, xi, eta, batch_size, x, y):
    """Weights of the same mean and covariance, but Gaussian. This is Euler–Maruyama of the SDE with h = η."""
    return theta - eta * weighted_gradient(theta, increment_weights(1.0, xi, batch_size**-0.5), x, y)


def sde_step(theta, xi, eta, batch_size, x, y):
    """One step h = η of the SDE by the small-noise Runge–Kutta method: noise enters once, so the limit is Itô's."""
    n = len(xi)
    alpha = (24 - math.sqrt(96)) / 40
    beta = 3 - 4 * alpha

    def drift(t):  # h a(t) = −η g(t)
        return -weighted_gradient(t, jnp.full(n, eta / n), x, y)

    k1 = drift(theta)
    dW = math.sqrt(eta) * xi
    noise = -weighted_gradient(theta + k1 / 2, increment_weights(0.0, dW, math.sqrt(eta / batch_size)), x, y)
    k2 = drift(theta + k1 / 2 + alpha * noise)
    k3 = drift(theta - k1 + 2 * k2 + beta * noise)
    return theta + (k1 + 4 * k2 + k3) / 6 + noise


def run(x, y, eta, batch_size, num_steps, replicas, seed=0):
    """Final losses (replicas,) of SGD, of Gaussian SGD and of the SDE; the last two share their random numbers."""
    n = len(y)

    def mean_loss(theta):
        return losses(theta, x, y).mean()

    def one(key):
        def step(k, thetas):
            key_batch, key_xi = jr.split(jr.fold_in(key, k))
            batch = jr.randint(key_batch, (batch_size,), 0, n)
            xi = jr.normal(key_xi, (n,))
            sgd, gaussian, sde = thetas
            return (
                sgd_step(sgd, batch, eta, x, y),
                gaussian_step(gaussian, xi, eta, batch_size, x, y),
                sde_step(sde, xi, eta, batch_size, x, y),
            )

        start = jnp.zeros(x.shape[1])
        return jnp.stack([mean_loss(t) for t in jax.lax.fori_loop(0, num_steps, step, (start,) * 3)])

    return np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(seed), replicas))).T


def main():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    chosen = np.isin(labels, (3, 8))
    x = jnp.asarray(np.asarray(images)[chosen] / 16 - 0.5)
    y = jnp.asarray(np.where(np.asarray(labels)[chosen] == 3, 1.0, -1.0))
    eta, batch_size, replicas = 0.1, 4, 1000
    sgd, gaussian, sde = run(x, y, eta, batch_size, num_steps=50, replicas=replicas)
    deviation = sgd.std(ddof=1)

    def show(what, differences_or_pair):
        if isinstance(differences_or_pair, tuple):  # independent ensembles
            a, b = differences_or_pair
            mean, error = a.mean() - b.mean(), math.sqrt((a.var() + b.var()) / replicas)
        else:  # shared random numbers
            mean, error = differences_or_pair.mean(), differences_or_pair.std() / math.sqrt(replicas)
        print(f"{what:55s} {mean / deviation:+.3f} ± {1.96 * error / deviation:.3f}")

    print(
        f"N = {len(y)}, eta = {eta}, S = {batch_size}, 50 steps: loss {sgd.mean():.4f}, SD of one run {deviation:.4f}"
    )
    print("differences of mean loss in SDs of SGD, with 95 % intervals:")
    show("SGD - SDE", (sgd, sde))
    show("  SGD - Gaussian SGD (noise is not Gaussian)", (sgd, gaussian))
    show("  Gaussian SGD - SDE (eta is finite; shared path)", gaussian - sde)


if __name__ == "__main__":
    main()
