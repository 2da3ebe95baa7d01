"""Wu et al. 2020: Gaussian example weights with exactly the mean and covariance of a batch's weights."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, Var

C = sp.Symbol("C", real=True)  # an entry of the covariance (1/N form) of the per-example gradients
weight, other = sp.symbols("w_i w_j")
i = sp.Symbol("i", integer=True, positive=True)
f, factor = (N - S) / (N - 1), sp.Symbol("f")
amplitude = sp.sqrt(factor / (N * S), evaluate=False)


def steps(formula):
    """w_i = 1/N + √(f/(NS)) (ξ_i − mean ξ) with independent standard normal ξ."""
    variance, covariance = formula
    own, rest = 1 - 1 / N, -1 / N
    squares, products = own**2 + sp.Sum(rest**2, (i, 2, N)), 2 * rest * own + sp.Sum(rest**2, (i, 3, N))
    return [
        Step(
            "ξ_i − mean ξ has the coefficient 1 − 1/N for its own normal and −1/N for the N − 1 others; with the "
            "amplitude √(f/(NS)), f = (N−S)/(N−1):",
            f / (N * S) * squares,
            variance,
            name=Var(weight),
            shown=sp.Eq(factor / (N * S) * squares, factor / (N * S) * own, evaluate=False),
        ),
        Step(
            "Two weights share all normals. Their own two are each multiplied by the other's −1/N, the N − 2 others "
            "are in both with −1/N:",
            f / (N * S) * products,
            covariance,
            name=Cov(weight, other),
            shown=sp.Eq(factor / (N * S) * products, -factor / (N**2 * S), evaluate=False),
        ),
        Step(
            "A random subset has w_i = 1/S with probability S/N and else 0, the same variance:",
            sp.Mul(1 / S**2, S / N, evaluate=False) - (1 / N) ** 2,
            variance,
            name=Var(weight),
        ),
        Step(
            "and w_i w_j = 1/S² with probability S(S − 1)/(N(N − 1)), the same covariance:",
            sp.Mul(1 / S**2, S * (S - 1) / (N * (N - 1)), evaluate=False) - (1 / N) ** 2,
            covariance,
            name=Cov(weight, other),
        ),
        Step(
            "Let x_i, y_i be two components of ∇ℓ_i − g. As Σ x_i = 0, Σ x_i y_i = NC and the sum over i ≠ j of x_i "
            "y_j is −NC. So the gradient ĝ = Σ w_i ∇ℓ_i has SGD's covariance:",
            variance * N * C - covariance * N * C,
            f * C / S,
            name=Cov(sp.Symbol("ghat")),
            shown=sp.Eq(Var(weight) * N * C - Cov(weight, other) * N * C, factor * C / S, evaluate=False),
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


def says(formula):
    """What the summary states, in numbers."""
    names = {"N": N, "S": S, "f": f, "I": 1, "11ᵀ": 1}
    share = formula[0] / (1 - 1 / N)  # ξ_i − mean ξ has the variance 1 − 1/N
    subset = [sp.Rational(int(0 in batch), 2) for batch in oracles.batches(5, 2, replacement=False)]
    third = oracles.mean((w - oracles.mean(subset)) ** 3 for w in subset)
    pair = [(int(0 in b) * sp.S.Half, int(1 in b) * sp.S.Half) for b in oracles.batches(5, 2, replacement=False)]
    mixed = oracles.mean(a * b for a, b in pair) - oracles.mean(subset) ** 2
    drawn = [sp.Rational(batch.count(0), 2) for batch in oracles.batches(5, 2, replacement=True)]
    return [
        prose.formula("√(f/(NS))(ξ_i − mean ξ)", sp.sqrt(share), names, text="√(f/(NS))"),
        prose.figure("The weights 1/N +", oracles.mean(subset), "over all subsets of 2 of 5", {"N": 5}, text="1/N"),
        prose.cases(
            "have exactly the mean and the covariance of a random subset's weights",
            [
                formula[0].subs({N: 5, S: 2}) == oracles.variance(subset),
                formula[1].subs({N: 5, S: 2}) == mixed,
            ],
            "variance and covariance for N = 5, S = 2, over all subsets",
        ),
        prose.formula("(f/(NS))(I − 11ᵀ/N)", formula[0], names),
        prose.formula("weights, (f/(NS))(I − 11ᵀ/N)", formula[1], names | {"I": 0}, text="(f/(NS))(I − 11ᵀ/N)"),
        prose.formula(
            "so every gradient built from them has SGD's mean and covariance f C/S, at every θ",
            N * C * (formula[0] - formula[1]),
            {"f": f, "C": C, "S": S},
            text="f C/S",
        ),
        prose.cases(
            "With f = 1 it is draws with replacement",
            [sp.simplify(formula[0] / f).subs({N: 5, S: 2}) == oracles.variance(drawn)],
            "the variance over f for N = 5, S = 2, over all batches with replacement",
        ),
        prose.cases(
            "Only third and higher cumulants differ",
            [third != 0],
            "the third cumulant of a subset's weight, N = 5, S = 2",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Gaussian SGD has SGD's first two moments",
    sources=(Source("Wu et al. 2020"),),
    verdict=Verdict.EXACT,
    summary="The weights 1/N + √(f/(NS))(ξ_i − mean ξ) have exactly the mean and the covariance of a random subset's "
    "weights, (f/(NS))(I − 11ᵀ/N), so every gradient built from them has SGD's mean and covariance f C/S, at every θ. "
    "With f = 1 it is draws with replacement. Only third and higher cumulants differ.",
    printed=sp.Eq(
        weight, 1 / N + sp.Mul(amplitude, sp.Symbol("xi_i") - sp.Symbol("xibar"), evaluate=False), evaluate=False
    ),
    assumptions=(
        Assumption("The ξ_i are independent with variance one, fresh at every step."),
        Assumption("The batch is a uniformly random subset, f = (N−S)/(N−1).", sp.Le(S, N, evaluate=False)),
        assumptions.TWO_EXAMPLES,
    ),
    formula=sp.Matrix([f / (N * S) * (1 - 1 / N), -f / (N**2 * S)]),
    arguments=(N, S),
    slip=Slip("ξ_i not centred: independent weights", sp.Matrix([f / (N * S), 0])),
)
