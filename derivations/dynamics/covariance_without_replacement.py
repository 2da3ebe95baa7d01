"""Sampling theory: the covariance of a batch mean over a random subset of the data."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, Var

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
batch_mean = sp.Symbol("ghat")
inside, other = sp.symbols("1_i 1_j")  # whether an example is in the batch


def steps(formula):
    """Inclusion probabilities of one example and of a pair."""
    variance, covariance = S / N * (1 - S / N), -S * (N - S) / (N**2 * (N - 1))
    return [
        Step(
            "An example is in the batch, 1_i = 1, with probability S/N, and else 1_i = 0:",
            S / N - (S / N) ** 2,
            variance,
            name=Var(inside),
        ),
        Step(
            "A pair is in it with probability S(S − 1)/(N(N − 1)). The covariance is −1/(N − 1) times the variance, "
            "because all N indicators sum to S:",
            S * (S - 1) / (N * (N - 1)) - (S / N) ** 2,
            covariance,
            name=Cov(inside, other),
        ),
        Step(
            "Let x_i, y_i be two components of ∇ℓ_i − g. As Σ x_i = 0, Σ x_i y_i = NC and the sum over i ≠ j of x_i "
            "y_j is −NC. The batch's fluctuation ĝ − g is (1/S) Σ 1_i x_i:",
            (variance * N * C - covariance * N * C) / S**2,
            formula,
            name=Cov(batch_mean),
            shown=sp.Eq((Var(inside) * N * C - Cov(inside, other) * N * C) / S**2, formula, evaluate=False),
        ),
        Step("The whole data set as one batch has no fluctuation:", sp.Subs(formula, S, N), sp.S.Zero),
        Step("A batch of one is the same with and without replacement:", sp.Subs(formula, S, 1), C),
    ]


def check(formula):
    """Every subset, in rationals, in the plane."""
    gradients = [sp.Matrix(v) for v in ((2, -1), (sp.Rational(1, 2), 3), (-4, sp.Rational(2, 3)), (0, 5), (1, 1))]
    comparisons = []
    for size in (2, 3, 4):
        subsets = oracles.batches(5, size, replacement=False)
        means = [oracles.mean([gradients[i] for i in subset]) for subset in subsets]
        derived = oracles.covariance(gradients).applyfunc(lambda x, size=size: formula.subs({C: x, N: 5, S: size}))
        words = f"the 2 × 2 covariance for N = 5, S = {size}, over all {len(subsets)} subsets"
        comparisons.append(Comparison(words, derived, oracles.covariance(means)))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    factor = formula * S / C
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7", "0")]
    return [
        prose.formula("covariance f C/S", formula, {"f": factor, "C": C, "S": S}, text="f C/S"),
        prose.formula("f = (N−S)/(N−1)", factor, {"N": N, "S": S}, text="(N−S)/(N−1)"),
        prose.cases(
            "exactly, for any data",
            [
                formula.subs({C: oracles.variance(x[:n]), N: n, S: size})
                == oracles.variance(oracles.fluctuations(x[:n], size, False)) / n**2
                for n in (2, 3, 4, 5)
                for size in range(1, n + 1)
            ],
            "for N = 2 to 5 and each S, over all subsets",
        ),
        prose.formula("the factor is (N−S)/N", factor * (N - 1) / N, {"N": N, "S": S}, text="(N−S)/N"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient, drawn without replacement",
    sources=(Source("Cochran, Sampling Techniques"),),
    verdict=Verdict.EXACT,
    summary="A batch that is a uniformly random subset of S out of N examples has covariance f C/S with f = "
    "(N−S)/(N−1), C in its 1/N form: exactly, for any data. With C in its 1/(N−1) form the factor is (N−S)/N.",
    printed=sp.Eq(Cov(batch_mean), (N - S) / (N - 1) * C / S, evaluate=False),
    assumptions=(
        assumptions.WITHOUT_REPLACEMENT,
        assumptions.TWO_EXAMPLES,
        assumptions.COVARIANCE_OVER_N,
    ),
    formula=(N - S) / (N - 1) * C / S,
    arguments=(N, S, C),
    slip=Slip("(N−S)/N for (N−S)/(N−1)", (N - S) / N * C / S),
)
