"""Sampling theory: a batch as a law on example weights, multinomial or hypergeometric over S."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, Var

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
a = sp.Symbol("a", integer=True, positive=True)
weight, other = sp.symbols("w_i w_j")
factor, identity, ones = sp.symbols("f I 𝟏𝟏ᵀ")  # for display


def steps(formula):
    """Indicators of single draws for the counts; inclusion probabilities for subsets."""
    f = (N - S) / (N - 1)
    (variance, covariance), (variance_of_subset, covariance_of_subset) = formula.tolist()
    return [
        Step(
            "w_i = n_i/S with the count n_i. With replacement n_i is a sum of S independent indicators, each 1 with "
            "probability 1/N:",
            sp.Sum(1 / N - 1 / N**2, (a, 1, S)) / S**2,
            variance,
            name=Var(weight),
        ),
        Step(
            "The indicators of i and j in one draw are never both 1, in two draws they are independent:",
            sp.Sum(0 - 1 / N**2, (a, 1, S)) / S**2,
            covariance,
            name=Cov(weight, other),
        ),
        Step(
            "Without replacement, n_i is 1 with probability S/N and else 0; that is f = (N−S)/(N−1) times the above:",
            (S / N - (S / N) ** 2) / S**2,
            variance_of_subset,
            name=Var(weight),
            shown=sp.Eq((S / N - (S / N) ** 2) / S**2, factor * (1 - 1 / N) / (N * S), evaluate=False),
        ),
        Step(
            "and n_i n_j is 1 with probability S(S−1)/(N(N−1)), with the same factor:",
            (S * (S - 1) / (N * (N - 1)) - (S / N) ** 2) / S**2,
            covariance_of_subset,
            name=Cov(weight, other),
            shown=sp.Eq((S * (S - 1) / (N * (N - 1)) - (S / N) ** 2) / S**2, -factor / (N**2 * S), evaluate=False),
        ),
        Step(
            "The weights sum to one, always, so a row of the covariance matrix sums to zero. With f = 1 or "
            "(N−S)/(N−1):",
            formula * sp.Matrix([1, N - 1]),
            sp.zeros(2, 1),
            name=Cov(weight, sp.Sum(other, (sp.Symbol("j"), 1, N))),
            shown=sp.Eq(factor * (1 - 1 / N) / (N * S) - factor * (N - 1) / (N**2 * S), sp.S.Zero, evaluate=False),
        ),
        Step(
            "Let x_i, y_i be two components of ∇ℓ_i − g. As Σ x_i = 0, Σ x_i y_i = NC and the sum over i ≠ j of x_i "
            "y_j is −NC. So the gradient ĝ = Σ w_i ∇ℓ_i has the covariance",
            formula * sp.Matrix([N * C, -N * C]),
            sp.Matrix([1, f]) * C / S,
            name=Cov(sp.Symbol("ghat")),
            shown=sp.Eq(Var(weight) * N * C - Cov(weight, other) * N * C, factor * C / S, evaluate=False),
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


def says(formula):
    """What the summary states, in numbers."""
    counted = [sp.Rational(batch.count(0), 2) for batch in oracles.batches(4, 2, replacement=True)]
    names = {"N": N, "S": S, "I": 1, "11ᵀ": 1}
    exact = []
    for n, size in ((3, 2), (4, 2), (4, 3)):
        for row, replacement in enumerate((True, False)):
            drawn = [sp.Rational(batch.count(0), size) for batch in oracles.batches(n, size, replacement)]
            exact.append(formula[row, 0].subs({N: n, S: size}) == oracles.variance(drawn))
    return [
        prose.figure("E w = 1/N", oracles.mean(counted), "for N = 4, S = 2, over all 16 batches", {"N": 4}, text="1/N"),
        prose.formula("(1/(NS))(I − 11ᵀ/N)", formula[0, 0], names),
        prose.formula("Cov w = (1/(NS))(I − 11ᵀ/N)", formula[0, 1], names | {"I": 0}, text="(1/(NS))(I − 11ᵀ/N)"),
        prose.formula("(N−S)/(N−1) times that without", formula[1, 0] / formula[0, 0], names, text="(N−S)/(N−1)"),
        prose.cases("times that without, exactly", exact, "the variance of a weight for three N and S, both ways"),
    ]


CLAIM = Claim(
    module=__name__,
    title="SGD as a law on example weights",
    sources=(Source("Wu et al. 2020"), Source("Cochran, Sampling Techniques")),
    verdict=Verdict.EXACT,
    summary="A step of SGD is a random weighting of the examples with E w = 1/N and Cov w = (1/(NS))(I − 11ᵀ/N) "
    "with replacement, (N−S)/(N−1) times that without, exactly. The law of the weights knows nothing of "
    "θ; the covariance of the gradient does only through the per-example gradients.",
    printed=sp.Eq(
        Cov(sp.Symbol("w")),
        factor * (identity - ones / N) / (N * S),
        evaluate=False,
    ),
    assumptions=(
        Assumption("A batch is S independent uniform draws, or a uniform subset."),
        assumptions.TWO_EXAMPLES,
        Assumption("The loss is the mean over examples."),
    ),
    formula=with_replacement.col_join(without_replacement),
    arguments=(N, S),
    slip=Slip(
        "(N−S)/N for (N−S)/(N−1) without replacement",
        with_replacement.col_join((N - S) / N * with_replacement),
    ),
)
