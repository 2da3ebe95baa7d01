"""Sampling theory: a batch as a law on example weights, multinomial or hypergeometric over S."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, N, S, Var

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
p, q, pq = sp.symbols("p q r", real=True)  # Σ x_i, Σ y_i, Σ x_i y_i of two components x, y of the gradients
weight, other = sp.symbols("w_i w_j")
ones = sp.MatrixSymbol(r"\mathbf{1}", N, 1)  # for display


def steps(formula):
    """Indicators of single draws for the counts; inclusion probabilities for subsets."""
    f = (N - S) / (N - 1)
    single_variance, single_covariance = (1 / N) * (1 - 1 / N), -1 / N**2
    return [
        Step(
            "w_i = n_i/S with the count n_i. With replacement n_i sums S independent indicators of probability 1/N, of "
            "which two different ones are never both 1 in one draw; variance of w_i and covariance of w_i, w_j:",
            S * sp.Matrix([[single_variance, single_covariance]]) / S**2,
            formula[0, :],
            name=sp.Tuple(Var(weight), Cov(weight, other)),
        ),
        Step(
            "Without, n_i is 1 with probability S/N, and n_i n_j with probability S(S−1)/(N(N−1)):",
            sp.Matrix([[S / N - (S / N) ** 2, S * (S - 1) / (N * (N - 1)) - (S / N) ** 2]]) / S**2,
            formula[1, :],
            name=sp.Tuple(Var(weight), Cov(weight, other)),
        ),
        Step("The second law is f = (N−S)/(N−1) times the first:", formula[1, :], f * formula[0, :]),
        Step(
            "The weights sum to one, always, so a row of each covariance matrix sums to zero:",
            formula * sp.Matrix([1, N - 1]),
            sp.zeros(2, 1),
            name=Cov(weight, sp.Symbol("sum")),
        ),
        Step(
            "A gradient Σ w_i x_i has covariance Σ_{ij} x_i y_j Cov(w_i, w_j); with p = Σ x_i, q = Σ y_i, r = Σ x_i "
            "y_i and C = r/N − pq/N² it is C/S and fC/S:",
            formula * sp.Matrix([pq, p * q - pq]),
            sp.Matrix([1, f]) / S * (pq / N - p * q / N**2),
            name=Cov(sp.Symbol(r"\hat{g}")),
        ),
    ]


def check(formula):
    """The weight vectors of every batch, in rationals."""
    comparisons = []
    for n, size in ((4, 2), (4, 3), (3, 2)):
        for row, replacement in enumerate((True, False)):
            variance, covariance = formula[row, :].subs({N: n, S: size})
            derived = sp.Matrix(n, n, lambda a, b, v=variance, w=covariance: v if a == b else w)
            batches = oracles.batches(n, size, replacement)
            weights = [sp.Matrix([sp.Rational(b.count(i), size) for i in range(n)]) for b in batches]
            law = (
                f"N = {n}, S = {size}, with{'' if replacement else 'out'} replacement, over all {len(batches)} batches"
            )
            comparisons.append(
                Comparison(f"covariance matrix of the weights, {law}", derived, oracles.covariance(weights))
            )
    return comparisons


with_replacement = sp.Matrix([[(1 - 1 / N) / (N * S), -1 / (N**2 * S)]])
without_replacement = (N - S) / (N - 1) * with_replacement
CLAIM = Claim(
    module=__name__,
    title="SGD as a law on example weights",
    sources=(Source("Wu et al. 2020"), Source("Cochran, Sampling Techniques")),
    verdict=Verdict.EXACT,
    summary="A step of SGD is a random weighting of the examples with E w = 1/N and Cov w = (1/(NS))(I − 11ᵀ/N) with "
    "replacement, (N−S)/(N−1) times that without, exactly. The law of the weights does not depend on θ; the covariance "
    "of the gradient does only through the per-example gradients.",
    printed=sp.Eq(
        Cov(sp.Symbol("w")),
        (sp.Identity(N) - ones * ones.T / N) / (N * S),
        evaluate=False,
    ),
    assumptions=(
        Assumption("A batch is S independent uniform draws, or a uniform subset.", sp.Ge(S, 1, evaluate=False)),
        Assumption("There are at least two examples.", sp.Ge(N, 2, evaluate=False)),
        Assumption("The loss is the mean over examples.", sp.Eq(E(weight), 1 / N, evaluate=False)),
    ),
    formula=with_replacement.col_join(without_replacement),
    arguments=(N, S),
    steps=steps,
    check=check,
    slip=Slip(
        "(N−S)/N for (N−S)/(N−1) without replacement",
        with_replacement.col_join((N - S) / N * with_replacement),
    ),
)
