"""Wu et al. 2020: Gaussian example weights with exactly the mean and covariance of a batch's weights."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, Var

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
p, q, pq = sp.symbols("p q r", real=True)  # Σ x_i, Σ y_i, Σ x_i y_i of two components x, y of the gradients
weight, other = sp.symbols("w_i w_j")
i = sp.Symbol("i", integer=True, positive=True)
f = (N - S) / (N - 1)


def steps(formula):
    """w_i = 1/N + √(f/(NS)) (ξ_i − mean ξ) with independent standard normal ξ."""
    variance, covariance = formula
    own, rest = 1 - 1 / N, -1 / N
    return [
        Step(
            "ξ_i − mean ξ has coefficient 1 − 1/N for its own normal and −1/N for the N − 1 others; with amplitude "
            "√(f/(NS)), f = (N−S)/(N−1):",
            f / (N * S) * (own**2 + sp.Sum(rest**2, (i, 2, N))),
            variance,
            name=Var(weight),
        ),
        Step(
            "Two weights share all normals; the products of their coefficients, two of them own by rest:",
            f / (N * S) * (2 * own * rest + sp.Sum(rest**2, (i, 3, N))),
            covariance,
            name=Cov(weight, other),
        ),
        Step(
            "A random subset has w_i = 1/S with probability S/N and else 0, the same variance:",
            (S / N) * (1 / S) ** 2 - (1 / N) ** 2,
            variance,
        ),
        Step(
            "and pairs of examples with probability S(S − 1)/(N(N − 1)), the same covariance:",
            S * (S - 1) / (N * (N - 1)) / S**2 - (1 / N) ** 2,
            covariance,
        ),
        Step(
            "So Σ w_i x_i has covariance Σ_{ij} x_i y_j Cov(w_i, w_j) = f C/S, with C = r/N − pq/N² by the power sums "
            "p = Σ x_i, q = Σ y_i, r = Σ x_i y_i:",
            variance * pq + covariance * (p * q - pq),
            f / S * (pq / N - p * q / N**2),
            name=Cov(sp.Symbol(r"\hat{g}")),
        ),
    ]


def check(formula):
    """The weights of every subset, as vectors, and the Gaussian's covariance A Aᵀ with A = √(f/(NS)) (I − 11ᵀ/N)."""
    comparisons = []
    for n, size in ((4, 2), (5, 3)):
        variance, covariance = formula.subs({N: n, S: size})
        derived = sp.Matrix(n, n, lambda a, b, v=variance, w=covariance: v if a == b else w)
        subsets = oracles.batches(n, size, replacement=False)
        weights = [sp.Matrix([sp.Rational(int(a in s), size) for a in range(n)]) for s in subsets]
        centred = sp.eye(n) - sp.ones(n, n) / n
        gaussian = sp.Rational(n - size, (n - 1) * n * size) * centred * centred.T
        words = f"the {n} × {n} covariance of the weights for N = {n}, S = {size}"
        comparisons += [
            Comparison(f"{words}, over all {len(subsets)} subsets", derived, oracles.covariance(weights)),
            Comparison(f"{words}, from the matrix that maps ξ to w", derived, gaussian),
        ]
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="Gaussian SGD has SGD's first two moments",
    sources=(Source("Wu et al. 2020"),),
    verdict=Verdict.EXACT,
    summary="The weights 1/N + √(f/(NS))(ξ_i − mean ξ) have exactly the mean and the covariance of a random subset's "
    "weights, (f/(NS))(I − 11ᵀ/N), so every gradient built from them has SGD's mean and covariance f C/S, at every θ. "
    "With f = 1 it is draws with replacement. Only third and higher cumulants differ.",
    printed=sp.Eq(weight, 1 / N + sp.sqrt(sp.Symbol("f") / (N * S)) * sp.Symbol(r"\xi_i - \bar{\xi}"), evaluate=False),
    assumptions=(
        Assumption("The ξ_i are independent with variance one, fresh at every step.", sp.Eq(Var(sp.Symbol("xi_i")), 1)),
        Assumption("The batch is a uniformly random subset, f = (N−S)/(N−1).", sp.Le(S, N, evaluate=False)),
        Assumption("There are at least two examples.", sp.Ge(N, 2, evaluate=False)),
    ),
    formula=sp.Matrix([f / (N * S) * (1 - 1 / N), -f / (N**2 * S)]),
    arguments=(N, S),
    steps=steps,
    check=check,
    slip=Slip("ξ_i not centred: independent weights", sp.Matrix([f / (N * S), 0])),
)
