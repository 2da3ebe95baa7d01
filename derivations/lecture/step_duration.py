"""Lecture (18): how long one SGD step lasts in the time of the stochastic differential equation."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, eta, k, t

F = sp.Symbol("F", nonnegative=True)  # variance of the per-example gradients along one direction
G = sp.Symbol("G", real=True)  # gradient of the sum loss
displacement = sp.Symbol("Delta_w", real=True)
j = sp.Symbol("j", integer=True)
w = sp.Function("w")


def steps(formula):
    """The time in which the equation moves as far as k steps do, in the mean and in the variance."""
    return [
        Step(
            "k steps (8) at a constant gradient G of the sum loss move by −(η/N)G each; the equation's drift is −G:",
            sp.Sum(-eta / N * G, (j, 1, k)),
            sp.Integral(-G, (t, 0, formula)),
        ),
        Step(
            "The same time gives the right variance: a step has (η/N)² Cov(ψ) with Cov(ψ) = N²F/S, the equation gF per "
            "unit of time with g = ηN/S.",
            sp.Sum(sp.Mul((eta / N) ** 2, N**2 / S * F, evaluate=False), (j, 1, k)),
            sp.Integral(eta * N / S * F, (t, 0, formula)),
        ),
    ]


def check(formula):
    """Two steps with batches of one on two linear losses, all four pairs of batches."""
    gradients = [sp.Integer(-1), sp.Integer(4)]
    rate, n, count = sp.Rational(1, 7), 2, 2
    ends = [
        -rate * (gradients[first] + gradients[second])
        for first, second in oracles.batches(n, count, replacement=True)  # the two batches of one
    ]
    duration = formula.subs({eta: rate, N: n, k: count})
    return [
        Comparison("mean displacement of 2 steps, over all 4 runs", -duration * sum(gradients), oracles.mean(ends)),
        Comparison(
            "variance of the displacement of 2 steps, over all 4 runs",
            duration * (rate * n / 1) * oracles.variance(gradients),
            oracles.variance(ends),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "N": N}
    return [
        prose.formula("The integral up to η/N is one step", formula.subs(k, 1), names, text="η/N"),
        prose.formula("a step lasts η/N", formula.subs(k, 1), names, text="η/N"),
        prose.formula("N steps last η", formula.subs(k, N), names, text="η"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Duration of an SGD step",
    sources=(Source("lecture", "18"),),
    verdict=Verdict.EXACT,
    summary="The integral up to η/N is one step of SGD: in the time of (17) a step lasts η/N. The words before "
    "it, 'over N steps', are a slip; N steps last η.",
    printed=sp.Eq(displacement, sp.Integral(sp.Derivative(w(t), t), (t, 0, eta / N)), evaluate=False),
    assumptions=(
        Assumption("The loss is the sum over examples and a step is η/N times its gradient."),
        Assumption("The gradient hardly changes during the steps."),
    ),
    formula=k * eta / N,
    arguments=(k, eta, N),
    slip=Slip("the mean loss's time, η a step", k * eta),
)
