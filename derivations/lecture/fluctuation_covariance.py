"""Lecture (12): the covariance of the fluctuation is its second moment, since its mean is zero."""

from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, N, S

m11, m12, m22, mu1, mu2 = sp.symbols("M_11 M_12 M_22 mu_1 mu_2", real=True)
psi = sp.MatrixSymbol("psi", 2, 1)
i = sp.Symbol("i", integer=True)
x = sp.Indexed("x", i)
mean = sp.Matrix([mu1, mu2])
second = sp.Matrix([[m11, m12], [m12, m22]])  # E[ψψᵀ]


def steps(formula):
    """Any law on three points of the plane; then a mean of zero."""
    chances = [*sp.symbols("q_1 q_2", positive=True)]
    chances.append(1 - sum(chances))
    points = [sp.Matrix(sp.symbols(f"a_{i} b_{i}", real=True)) for i in (1, 2, 3)]

    def expected(function):
        first, *others = (q * function(v) for q, v in zip(chances, points, strict=True))
        return sum(others, first)

    centre = expected(lambda v: v)
    moments = expected(lambda v: v * v.T)
    known = {m11: moments[0, 0], m12: moments[0, 1], m22: moments[1, 1], mu1: centre[0], mu2: centre[1]}
    off: Any = psi - sp.MatrixSymbol("mu", 2, 1)
    summed: Any = sp.Sum(S / N * x, (i, 1, N))
    nothing = sp.UnevaluatedExpr(sp.S.Zero)
    return [
        Step(
            "With μ = E ψ and M = E ψψᵀ the covariance is the second moment minus that of the mean; worked out for any "
            "three points of the plane with any probabilities:",
            expected(lambda v: (v - centre) * (v - centre).T),
            formula.xreplace(known),
            name=Cov(sp.Symbol("psi")),
            shown=sp.Eq(E(off * off.T), formula, evaluate=False),
        ),
        Step(
            "The fluctuation is N/S times the batch sum, minus the full one. Every example is S/N times in a batch on "
            "average, so with x_i for its gradient, along any direction, the mean is",
            sp.Mul(N / S, summed, evaluate=False) - sp.Sum(x, (i, 1, N)),
            0,
            name=E(sp.Symbol("psi")),
        ),
        Step(
            "and the second moment is all:",
            formula.subs({mu1: nothing, mu2: nothing}),
            second,
            name=Cov(sp.Symbol("psi")),
        ),
    ]


def check(formula):
    """Every batch of two out of three gradients in the plane: ψ with mean 0, and ∇ℓ̂ with another, in rationals."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)))]
    total = sum(gradients, sp.zeros(2, 1))
    noisy = [
        sum((gradients[n] for n in batch), sp.zeros(2, 1)) * sp.Rational(3, 2)
        for batch in oracles.batches(3, 2, replacement=True)
    ]
    comparisons = []
    for name, centre, vectors in (("ψ", sp.zeros(2, 1), [v - total for v in noisy]), ("∇ℓ̂", total, noisy)):
        moments = oracles.mean(v * v.T for v in vectors)
        values = {m11: moments[0, 0], m12: moments[0, 1], m22: moments[1, 1], mu1: centre[0], mu2: centre[1]}
        comparisons.append(
            Comparison(
                f"Cov({name}) for N = 3, S = 2 in two dimensions, over all 9 batches",
                formula.subs(values),
                oracles.covariance(vectors),
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    noise = oracles.fluctuations([sp.Integer(1), sp.Integer(-3), sp.Integer(7)], 2, replacement=True)
    noisy = [psi + 5 for psi in noise]  # the batch gradient; the full one is 5
    square = formula[0].subs({m11: oracles.mean(v**2 for v in noisy), mu1: oracles.mean(noisy)})
    return [
        prose.figure("the fluctuation has mean 0", oracles.mean(noise), "over all 9 batches of three", text="0"),
        prose.cases(
            "its covariance matrix is E[ψψᵀ]",
            [formula[0].subs({m11: oracles.mean(v**2 for v in noise), mu1: 0}) == oracles.variance(noise)],
            "with mean 0, over all 9 batches",
        ),
        prose.cases("whose mean is not 0", [oracles.mean(noisy) == 0], "of the batch gradient, over all 9 batches"),
        prose.cases(
            "the square of the mean has to be taken off",
            [square == oracles.variance(noisy) != oracles.mean(v**2 for v in noisy)],
            "variance and mean square of the batch gradient, over all 9 batches",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance and second moment of the fluctuation",
    sources=(Source("lecture", "12"),),
    verdict=Verdict.EXACT,
    summary="Because the fluctuation has mean 0, its covariance matrix is E[ψψᵀ]. For the batch gradient, whose mean "
    "is not 0, the square of the mean has to be taken off.",
    printed=sp.Eq(Cov(sp.Symbol("psi")), E(psi * psi.T), evaluate=False),
    assumptions=(Assumption("E ψ = 0, which holds for the fluctuation of the batch gradient."),),
    formula=sp.ImmutableDenseMatrix(second - mean * mean.T),
    arguments=(m11, m12, m22, mu1, mu2),
    slip=Slip("the mean's square added instead of taken off", sp.ImmutableDenseMatrix(second + mean * mean.T)),
)
