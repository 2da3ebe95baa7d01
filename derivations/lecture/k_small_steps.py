"""Lecture (4): k steps of SGD in one line; every gradient is taken where its own step starts."""

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, eta, k, theta

total = sp.Symbol("G", real=True)  # Σ_j Σ_{x∈B_j} ∇ℓ(x; w_{t+j}), every gradient taken along the way
i, j, t = sp.symbols("i j t", integer=True)
grad, position = sp.Function("∇ℓ"), sp.Function("w")


def steps(formula):
    """A telescoping sum; then three steps unrolled."""
    sums = sp.symbols("s_0 s_1 s_2", real=True)  # of the gradients of one batch at the start of its step
    unrolled = theta
    for batch_sum in sums:
        unrolled -= eta / S * batch_sum
    return [
        Step(
            "Whatever the steps, their sum telescopes:",
            sp.Sum(position(j + 1) - position(j), (j, 0, k - 1)),
            position(k) - position(0),
        ),
        Step(
            "With k = 3 steps of −(η/S) times the batch sums s_j, from θ, inserted one into the next:",
            unrolled,
            formula.subs(total, sum(sums)),
            name=sp.Indexed("w", t + 3),
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
        sp.Indexed("w", t + k),
        sp.Indexed("w", t)
        - eta / S * sp.Sum(grad(sp.Indexed("x", i, j), sp.Indexed("w", t + j)), (i, 1, S), (j, 0, k - 1)),
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
