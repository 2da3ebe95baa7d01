"""Thesis (3.1): the covariance of a batch mean of independently drawn examples."""

from typing import Any

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, N, S

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
batch_mean, xhat, yhat = sp.symbols("ghat xhat yhat")
x, y = sp.symbols("x y", real=True)  # two components of an example's gradient
i = sp.Symbol("i", integer=True, positive=True)


def steps(formula):
    """The S² pairs of draws: S of a draw with itself, S(S − 1) of independent draws."""
    population = E(x * y) - E(x) * E(y)
    same: Any = sp.Sum(E(x * y), (i, 1, S))
    pairs = same + sp.Sum(E(x) * E(y), (i, 1, S * (S - 1)))
    return [
        Step(
            "Let x, y be two components of an example's gradient, 𝔼 the mean over the N examples, and C their "
            "covariance, 𝔼(xy) − 𝔼(x)𝔼(y). The product of the two batch means x̂, ŷ has S² terms x_I y_J/S². In S of "
            "them I and J are one draw, with mean 𝔼(xy); in the S(S − 1) others they are independent:",
            pairs / S**2,
            E(x) * E(y) + population / S,
            name=E(xhat * yhat),
        ),
        Step(
            "The batch means have the means 𝔼(x) and 𝔼(y), whose product comes off:",
            pairs / S**2 - E(x) * E(y),
            formula.subs(C, population),
            name=Cov(batch_mean),
            shown=sp.Eq(E(xhat * yhat) - E(x) * E(y), formula, evaluate=False),
        ),
    ]


def check(formula):
    """Every batch with repetitions, in rationals, in the plane."""
    gradients = [sp.Matrix(v) for v in ((2, -1), (sp.Rational(1, 2), 3), (-4, sp.Rational(2, 3)), (0, 5))]
    comparisons = []
    for n, size in ((4, 2), (3, 4)):
        data = gradients[:n]
        means = [oracles.mean([data[i] for i in batch]) for batch in oracles.batches(n, size, replacement=True)]
        derived = oracles.covariance(data).applyfunc(lambda x, n=n, size=size: formula.subs({C: x, N: n, S: size}))
        words = f"the 2 × 2 covariance for N = {n}, S = {size}, over all {n**size} batches"
        comparisons.append(Comparison(words, derived, oracles.covariance(means)))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]
    own = {
        (n, size): oracles.variance(oracles.fluctuations(x[:n], size, True)) / n**2
        for n, size in ((2, 1), (2, 3), (3, 2), (3, 4), (4, 2), (4, 3))
    }
    subset = oracles.variance(oracles.fluctuations(x, 3, False)) / 16
    return [
        prose.formula("of covariance C/S", formula, {"C": C, "S": S}, text="C/S"),
        prose.cases(
            "exactly, for any S, even S > N",
            [formula.subs({C: oracles.variance(x[:n]), S: size}) == value for (n, size), value in own.items()],
            "for six N and S, two of them with S > N, over all batches",
        ),
        prose.figure(
            "the factor (N−S)/(N−1) on top",
            subset / own[4, 3],
            "variance over the 4 subsets of 3 of 4 examples, over that with replacement",
            {"N": 4, "S": 3},
            text="(N−S)/(N−1)",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient, drawn with replacement",
    sources=(Source("thesis", "3.1"),),
    verdict=Verdict.CONDITIONAL,
    summary="A batch of S independently drawn examples has a mean gradient of covariance C/S, exactly, for any S, even "
    "S > N. A batch that is a random subset of the data, as the thesis has it, has the factor (N−S)/(N−1) on top.",
    printed=sp.Eq(Cov(batch_mean), C / S, evaluate=False),
    assumptions=(
        Assumption("The S indices are drawn independently and uniformly."),
        assumptions.COVARIANCE_OVER_N,
    ),
    formula=C / S,
    arguments=(S, C),
    slip=Slip("1/S² for 1/S", C / S**2),
)
