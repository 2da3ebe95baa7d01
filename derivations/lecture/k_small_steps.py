"""Lecture (4): k steps of SGD in one line; every gradient is taken where its own step starts."""

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, eta, k, theta

total = sp.Symbol("G", real=True)  # Σ_j Σ_{x∈B_j} ∇ℓ(x; w_{t+j}), every gradient taken along the way
i, j, t = sp.symbols("i j t", integer=True)
grad, position = sp.Function("∇ℓ"), sp.IndexedBase("w")


def steps(formula):
    """Induction over the steps."""
    batch_sum = sp.Symbol("s_k", real=True)  # of the gradients of batch k, taken at w_{t+k}
    return [
        Step(
            "Whatever the steps, their sum telescopes:",
            sp.Sum(position[t + j + 1] - position[t + j], (j, 0, k - 1)),
            position[t + k] - position[t],
        ),
        Step(
            "Before the first step, with no gradient taken, the form holds: k = 0, G = 0 and θ = w_t give",
            sp.Subs(formula, total, 0),
            theta,
            name=position[t],
        ),
        Step(
            "One more step (1) moves w_{t+k} by −(η/S)s_k, s_k the sum of the gradients of its batch at w_{t+k}. The "
            "form holds for k + 1 with that sum added to G:",
            sp.Add(formula, -eta / S * batch_sum, evaluate=False),
            formula.subs({total: total + batch_sum, k: k + 1}, simultaneous=True),
            name=position[t + k + 1],
        ),
    ]


def check(formula):
    """Losses (c/2)(θ − x)², for which the iterates have a closed form that needs no gradient."""
    curvature, rate, start = sp.Rational(3, 2), sp.Rational(1, 5), sp.Integer(4)
    batches = ((1, -2), (5, sp.Rational(1, 3)), (0, 7), (-1, -1))
    contraction = 1 - rate * curvature
    comparisons = []
    for steps_taken in (1, 3, 4):
        # Each step contracts towards the batch's mean.
        iterates = [
            contraction**n * start
            + rate * curvature * sum(contraction ** (n - 1 - q) * sum(batches[q]) / sp.Integer(2) for q in range(n))
            for n in range(steps_taken + 1)
        ]
        gradients = sum(curvature * (iterates[n] - point) for n in range(steps_taken) for point in batches[n])
        comparisons.append(
            Comparison(
                f"the iterate after {steps_taken} steps on a quadratic, by its closed form",
                formula.subs({theta: start, eta: rate, S: 2, k: steps_taken, total: gradients}),
                iterates[-1],
            )
        )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="k steps with small batches",
    sources=(Source("lecture", "4"),),
    verdict=Verdict.EXACT,
    summary="After k steps the parameters have moved by −η/S times the sum of all gradients of the k batches, each "
    "taken at the parameters where its own step starts. No approximation is made.",
    printed=sp.Eq(
        position[t + k],
        position[t] - eta / S * sp.Sum(grad(sp.Indexed("x", i, j), position[t + j]), (i, 1, S), (j, 0, k - 1)),
        evaluate=False,
    ),
    assumptions=(
        Assumption(
            "All k steps have the same learning rate and batch size.", sp.And(sp.Q.positive(eta), sp.Q.positive(S))
        ),
        Assumption("There is no momentum and no weight decay.", sp.Eq(sp.Symbol("m"), 0)),
    ),
    formula=theta - eta / S * total,
    arguments=(theta, eta, S, total),
    steps=steps,
    check=check,
    slip=Slip("the mean over all k batches for the sum of their means", theta - eta / (k * S) * total),
)
