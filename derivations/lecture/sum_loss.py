"""Lecture (6): the loss as a sum over examples; what that does to gradient, curvature and learning rate."""

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, eta, g

i = sp.Symbol("i", integer=True)
w = sp.Symbol("w", real=True)
x, y = sp.Indexed("x", i), sp.Indexed("y", i)
loss = sp.Function("ell")


def steps(formula):
    """The derivative of a finite sum, and one step written for either loss."""
    mean_loss = sp.Sum(loss(x, y, w), (i, 1, N)) / N
    return [
        Step(
            "The gradient of the sum is N times that of the mean:",
            sp.Derivative(sp.Sum(loss(x, y, w), (i, 1, N)), w),
            N * sp.Derivative(mean_loss, w),
        ),
        Step(
            "So is the Hessian, being the gradient's derivative. With g the mean's gradient, the step −ηg of gradient "
            "descent on the mean loss is one on the sum loss, whose gradient is Ng, with the rate η/N:",
            sp.Mul(-formula, N * g, evaluate=False),
            -eta * g,
            name=sp.Symbol("Δw"),
        ),
    ]


def check(formula):
    """A step of Newton's method on the mean loss, found on the sum loss by the derived rate, in rationals."""
    data = ((2, 1), (5, -3), (1, sp.Rational(7, 2)), (3, 0))
    start = sp.Rational(3, 4)
    curvature = sum(a for a, _ in data) / sp.Integer(len(data))
    sum_gradient = sum(a * (start - b) for a, b in data)
    minimum = sum(a * b for a, b in data) / sp.Integer(sum(a for a, _ in data))
    derived = start - formula.subs({eta: 1 / curvature, N: len(data)}) * sum_gradient
    return [
        Comparison(
            "Four parabolas: with η = 1/curvature of the mean loss one step on the sum loss ends in the minimum",
            derived,
            minimum,
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    u = sp.Symbol("u")
    losses = [sp.Rational(a) * (u - c) ** 4 for a, c in ((1, 3), (2, -1), (5, 2))]
    whole, mean_loss = sum(losses), sum(losses) / 3
    ratios = [sp.simplify(sp.diff(whole, u, n) / sp.diff(mean_loss, u, n)) for n in (1, 2)]
    return [
        prose.cases(
            "Gradient and Hessian are N times those of the mean loss",
            [ratio == 3 for ratio in ratios],
            "of three quartics, sum over mean",
        ),
        prose.formula("is η/N for the sum", formula, {"η": eta, "N": N}, text="η/N"),
    ]


CLAIM = Claim(
    module=__name__,
    title="The sum loss",
    sources=(Source("lecture", "6"),),
    verdict=Verdict.STATEMENT,
    summary="The lecture's loss is from here on the sum over the examples, not their mean. Gradient and Hessian "
    "are N times those of the mean loss, so the learning rate η of a step by the mean is η/N for the sum.",
    printed=sp.Eq(loss(w), sp.Sum(loss(x, y, w), (i, 1, N)), evaluate=False),
    assumptions=(Assumption("The loss is a sum over examples with no term that couples them."),),
    formula=eta / N,
    arguments=(eta, N),
    slip=Slip("the rate of the mean loss used with the sum loss", eta),
)
