"""Thesis (3.1): the covariance of a batch mean of independently drawn examples."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
batch_mean = sp.Symbol(r"\hat{g}")
p, q, pq = sp.symbols("p q r", real=True)  # Σ x_i, Σ y_i, Σ x_i y_i of two components x, y of the gradients


def steps(formula):
    """The S² pairs of draws: S of a draw with itself, S(S − 1) of independent draws."""
    population = pq / N - p * q / N**2
    second = (S * pq / N + S * (S - 1) * p * q / N**2) / S**2
    return [
        Step(
            "Two components x, y of the per-example gradients; with the power sums p = Σ x_i, q = Σ y_i, r = Σ x_i y_i "
            "the 1/N covariance is (1/N) Σ (x_i − p/N)(y_i − q/N), multiplied out:",
            (pq - p * q / N - p * q / N + N * (p / N) * (q / N)) / N,
            population,
            name=C,
        ),
        Step(
            "E of the product of two batch means: S of the S² pairs of draws are one draw, with E x_I y_I = r/N, and "
            "the S(S − 1) others are independent, with E x_I y_J = pq/N². Written with C:",
            second,
            p * q / N**2 + population / S,
        ),
        Step(
            "The product of the means, (p/N)(q/N), comes off:",
            second - (p / N) * (q / N),
            formula.subs(C, population),
            name=Cov(batch_mean),
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


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient, drawn with replacement",
    sources=(Source("thesis", "3.1"),),
    verdict=Verdict.CONDITIONAL,
    summary="A batch of S independently drawn examples has a mean gradient of covariance C/S, exactly, for any S, even "
    "S > N. A batch that is a random subset of the data, as the thesis has it, has the factor (N−S)/(N−1) on top.",
    printed=sp.Eq(Cov(batch_mean), C / S, evaluate=False),
    assumptions=(
        Assumption("The S indices are drawn independently and uniformly.", sp.Ge(S, 1, evaluate=False)),
        Assumption(
            "C is the covariance of the per-example gradients in its 1/N form.", sp.Eq(C, pq / N - p * q / N**2)
        ),
    ),
    formula=C / S,
    arguments=(S, C),
    steps=steps,
    check=check,
    slip=Slip("1/S² for 1/S", C / S**2),
)
