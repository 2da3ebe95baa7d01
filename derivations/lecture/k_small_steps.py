"""Lecture (4): k steps of SGD in one line; every gradient is taken where its own step starts."""

from typing import Any

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, eta, k, theta

total = sp.Symbol("G", real=True)  # Σ_j Σ_{x∈B_j} ∇ℓ(x; w_{t+j}), every gradient taken along the way
i, j, t = sp.symbols("i j t", integer=True)
grad = sp.Function("∇ℓ")
position: Any = sp.IndexedBase("w")
one_batch = sp.Sum(grad(sp.Indexed("x", i, j), position[t + j]), (i, 1, S))


def steps(formula):
    """A telescoping sum of single steps."""
    batch_sum = sp.Indexed("s", j)  # Σ_{x∈B_j} ∇ℓ(x; w_{t+j})
    return [
        Step(
            "Whatever the steps are, they add up to the displacement:",
            sp.Sum(position[t + j + 1] - position[t + j], (j, 0, k - 1)),
            position[t + k] - position[t],
        ),
        Step(
            "Each is a step (1) from w_{t+j}, so −η/S times the sum s_j of its batch's gradients there. With θ = w_t, "
            "and G = Σ_j s_j for the sum of all gradients taken on the way:",
            theta + sp.Sum(-eta / S * batch_sum, (j, 0, k - 1)),
            formula.subs(total, sp.Sum(batch_sum, (j, 0, k - 1))),
            name=position[t + k],
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
                f"the iterate on a quadratic for k = {steps_taken}, by its closed form",
                formula.subs({theta: start, eta: rate, S: 2, k: steps_taken, total: gradients}),
                iterates[-1],
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    return [
        prose.formula(
            "moved by −η/S times the sum of all gradients",
            (formula - theta) / total,
            {"η": eta, "S": S},
            text="−η/S",
        )
    ]


CLAIM = Claim(
    module=__name__,
    title="k steps with small batches",
    sources=(Source("lecture", "4"),),
    verdict=Verdict.EXACT,
    summary="After k steps the parameters have moved by −η/S times the sum of all gradients of the k batches, each "
    "taken at the parameters where its own step starts. No approximation is made.",
    printed=sp.Eq(
        position[t + k],
        position[t] - eta / S * sp.Sum(sp.UnevaluatedExpr(one_batch), (j, 0, k - 1)),
        evaluate=False,
    ),
    assumptions=(
        Assumption("All k steps have the same learning rate and batch size."),
        assumptions.NO_MOMENTUM_NO_DECAY,
    ),
    formula=theta - eta / S * total,
    arguments=(theta, eta, S, total),
    slip=Slip("the mean over all k batches for the sum of their means", theta - eta / (k * S) * total),
)
