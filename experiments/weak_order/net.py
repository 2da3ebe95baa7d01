"""Weak errors on a small net: Gaussian SGD minus the SDEs on shared Brownian increments, in float64.

SGD appears here as its Gaussian twin. One step's first two moments agree; the third differs by η³κ₃/S², so SGD and
Gaussian SGD are O(η²) apart at fixed S: too little to touch the slope of order 1, but of the order of order 2's error.
What is measured for order 2 is therefore Gaussian SGD's slope; SGD's own is measured on exact laws.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

import sdesgd as sg
from sdesgd import evidence

OBSERVABLES = ("train loss", "test loss")


def cross_entropy(net, example) -> Float[Array, ""]:
    """−log softmax(net(x))[y], in nats."""
    x, y = example
    return optax.softmax_cross_entropy_with_integer_labels(net(x), y)


def pooled(images: np.ndarray) -> np.ndarray:
    """8×8 digits averaged to 4×4: (N, 64) → (N, 16)."""
    return images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)


def build(num_examples: int, width: int, starts: int, seed: int) -> tuple[sg.Problem, dict, list]:
    """A tanh net of one hidden layer on pooled digits: the problem, its observables, and starts.

    Args:
        num_examples: N, and as many held out.
        width: hidden units.
        starts: initial nets.
        seed: of the subset of the data and of the starts.
    """
    data = sg.data.load("digits", num_examples, num_examples, seed)
    keys = jr.split(jr.key(seed), starts)
    # equinox's smaller start, not sdesgd.nets': at its curvatures these η are small enough for the asymptotics.
    nets = [eqx.nn.MLP(16, data.num_classes, width, 1, jax.nn.tanh, key=key) for key in keys]
    problem = sg.Problem(cross_entropy, nets[0], (pooled(data.inputs), data.labels))
    test = sg.Problem(cross_entropy, nets[0], (pooled(data.test_inputs), data.test_labels))
    return problem, dict(zip(OBSERVABLES, (problem.loss, test.loss), strict=True)), nets


def errors(
    problem: sg.Problem,
    observables: dict,
    nets: list,
    *,
    time: float,
    steps: Sequence[int],
    batch_size: int,
    replicas: int,
    key: PRNGKeyArray,
) -> xr.Dataset:
    """E φ(Gaussian SGD) − E φ(SDE) at time T for both orders, each number of steps, start and observable.

    Every number of steps has Brownian paths of its own, so that the points of a fit are independent. The
    integrator's own error is estimated too, as h against h/2 at the largest η.

    Args:
        time: T = steps·η.
        replicas: coupled pairs.
    """
    shape = 2, len(steps), len(nets), len(observables)
    mean, standard_error, halving = np.zeros(shape), np.zeros(shape), np.zeros((2, 2, len(nets), len(observables)))
    diverged = 0
    for k, order in enumerate((1, 2)):
        for i, n in enumerate(steps):
            eta = time / n
            sde = sg.SDE(eta, batch_size, order=order)
            pairs: list[tuple[Any, Any]] = [(sg.GaussianSGD(eta, batch_size), sde)]
            if n == min(steps):
                pairs.append((sde, sg.SDE(eta, batch_size, order=order, substeps=2)))
            for j, net in enumerate(nets):
                for c, (first, second) in enumerate(pairs):
                    one, two = sg.simulate_coupled(
                        first,
                        second,
                        problem,
                        observables=observables,
                        num_steps=n,
                        save_every=n,
                        replicas=replicas,
                        key=jr.fold_in(jr.fold_in(jr.fold_in(jr.fold_in(key, order), n), j), c),
                        params=net,
                        progress=f"order {order}, η = {eta:.3g}, start {j + 1}",
                    )
                    if one.interrupted:
                        return xr.Dataset(attrs={"interrupted": 1})
                    diverged += int((one.diverged | two.diverged).sum())
                    for o, name in enumerate(observables):
                        found = evidence.paired_difference(one.values[name], two.values[name])
                        values = np.asarray(found.mean)[-1], np.asarray(found.standard_error)[-1]
                        if c:
                            halving[:, k, j, o] = values
                        else:
                            mean[k, i, j, o], standard_error[k, i, j, o] = values
    dims = "net_order", "net_eta", "net_start", "net_observable"
    variables = {
        "net_mean": (dims, mean),
        "net_standard_error": (dims, standard_error),
        "net_halving_mean": ((dims[0], *dims[2:]), halving[0]),
        "net_halving_standard_error": ((dims[0], *dims[2:]), halving[1]),
    }
    coordinates = {
        "net_order": [1, 2],
        "net_eta": [time / n for n in steps],
        "net_observable": list(observables),
    }
    sizes = {"net_parameters": problem.num_parameters, "net_diverged": diverged, "dtype": str(problem.dtype)}
    return xr.Dataset(variables, coordinates, sizes)


def supremum(mean: np.ndarray, standard_error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest |mean| over starts and observables, and the standard error of that one.

    Where several are nearly as large it is biased up, by a part of that standard error.

    Args:
        mean, standard_error: (..., starts, observables).
    """
    flat, errors = (x.reshape(*x.shape[:-2], -1) for x in (np.abs(mean), standard_error))
    largest = np.nan_to_num(flat, nan=-1.0).argmax(axis=-1)[..., None]
    return np.take_along_axis(flat, largest, -1)[..., 0], np.take_along_axis(errors, largest, -1)[..., 0]
