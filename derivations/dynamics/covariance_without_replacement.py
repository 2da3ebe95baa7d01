"""Sampling theory: the covariance of a batch mean over a random subset of the data."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
batch_mean = sp.Symbol(r"\hat{g}")
p, q, pq = sp.symbols("p q r", real=True)  # Σ x_i, Σ y_i, Σ x_i y_i of two components x, y of the gradients


def steps(formula):
    """Inclusion probabilities of one example and of a pair."""
    population = pq / N - p * q / N**2
    one, two = S / N, S * (S - 1) / (N * (N - 1))
    variance, covariance = one - one**2, two - one**2
    return [
        Step(
            "An example is in the subset with probability S/N; its indicator has variance (S/N)(1 − S/N):",
            variance,
            S * (N - S) / N**2,
        ),
        Step(
            "A pair is in it with probability S(S − 1)/(N(N − 1)); two indicators are negatively correlated, because "
            "all N of them sum to S:",
            covariance,
            -variance / (N - 1),
        ),
        Step(
            "The batch mean is (1/S) Σ 1_i x_i. With p = Σ x_i, q = Σ y_i, r = Σ x_i y_i of two components, "
            "Σ_{i≠j} x_i y_j = pq − r, and C = r/N − pq/N²:",
            (variance * pq + covariance * (p * q - pq)) / S**2,
            formula.subs(C, population),
            name=Cov(batch_mean),
        ),
        Step("The whole data set as one batch has no fluctuation:", formula.subs(S, N), sp.S.Zero),
        Step(
            "A batch of one is the same with and without replacement:",
            formula.subs(S, 1),
            C,
        ),
    ]


def check(formula):
    """Every subset, in rationals, in the plane."""
    gradients = [sp.Matrix(v) for v in ((2, -1), (sp.Rational(1, 2), 3), (-4, sp.Rational(2, 3)), (0, 5), (1, 1))]
    comparisons = []
    for size in (2, 3, 5):
        subsets = oracles.batches(5, size, replacement=False)
        means = [oracles.mean([gradients[i] for i in subset]) for subset in subsets]
        derived = oracles.covariance(gradients).applyfunc(lambda x, size=size: formula.subs({C: x, N: 5, S: size}))
        words = f"the 2 × 2 covariance for N = 5, S = {size}, over all {len(subsets)} subsets"
        comparisons.append(Comparison(words, derived, oracles.covariance(means)))
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient, drawn without replacement",
    sources=(Source("Cochran, Sampling Techniques"),),
    verdict=Verdict.EXACT,
    summary="A batch that is a uniformly random subset of S out of N examples has covariance f C/S with "
    "f = (N−S)/(N−1), C in its 1/N form: exactly, for any data. With C in its 1/(N−1) form the factor is (N−S)/N.",
    printed=sp.Eq(Cov(batch_mean), (N - S) / (N - 1) * C / S, evaluate=False),
    assumptions=(
        Assumption("The batch is a uniformly random subset.", sp.Le(S, N, evaluate=False)),
        Assumption("There are at least two examples.", sp.Ge(N, 2, evaluate=False)),
        Assumption(
            "C is the covariance of the per-example gradients in its 1/N form.", sp.Eq(C, pq / N - p * q / N**2)
        ),
    ),
    formula=(N - S) / (N - 1) * C / S,
    arguments=(N, S, C),
    steps=steps,
    check=check,
    slip=Slip("(N−S)/N for (N−S)/(N−1)", (N - S) / N * C / S),
)
