"""Thesis, 3.2: whether the theory applies to batches nearly as large as the training set."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import N, S, Var, c, eta

PRINTED = eta**2 * c / S
RESULT = (N - S) / (N - 1) * eta**2 * c / S
AT = {eta: sp.Rational(1, 10), c: 1, N: 100, S: 100}
theta_next = sp.Symbol("θ′", real=True)
p1, p2 = sp.symbols("p_1 p_2", real=True)  # Σ x_i and Σ x_i² of the per-example gradients x_i


def steps(formula):
    """The variance of a step with a random subset, and the fraction by which (3.2) overstates it."""
    inside, pair = S / N * (1 - S / N), -S * (N - S) / (N**2 * (N - 1))
    return [
        Step(
            "A step is −η/S times the sum over a subset, which holds example i or not: variance (S/N)(1 − S/N), each "
            "pair covariance −S(N − S)/(N²(N − 1)). With Σ_{i≠j} x_i x_j = p_1² − p_2:",
            (eta / S) ** 2 * (inside * p2 + pair * (p1**2 - p2)),
            formula.subs(c, p2 / N - (p1 / N) ** 2),
            name=Var(theta_next),
        ),
        Step(
            "(3.2) gives a step the variance η²C/S. It is too large by the fraction (S − 1)/(N − 1) of itself, which "
            "is no small error unless S ≪ N:",
            sp.Mul(eta**2 * c / S - formula, 1 / (eta**2 * c / S), evaluate=False),
            (S - 1) / (N - 1),
        ),
        Step("A step with all data has no noise at all:", sp.Subs(formula, S, N), sp.S.Zero),
    ]


def check(formula):
    """Five gradients: all subsets of four, and of five."""
    gradients = [sp.Integer(v) for v in (2, -1, 0, 7, 3)]
    n, rate = len(gradients), sp.Rational(1, 10)
    comparisons = []
    for size in (4, 5):
        moves = [-rate * sum(gradients[i] for i in batch) / size for batch in oracles.batches(n, size, False)]
        derived = formula.subs({N: n, S: size, eta: rate, c: oracles.variance(gradients)})
        comparisons.append(
            Comparison(f"variance of a step, N = 5, S = {size}, over all subsets", derived, oracles.variance(moves))
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"N": N, "S": S, "η": eta, "C": c}
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]
    return [
        prose.formula("the factor (N − S)/(N − 1)", formula / PRINTED, names, text="(N − S)/(N − 1)"),
        prose.cases(
            "which takes all noise away at S = N",
            [all(psi == 0 for psi in oracles.fluctuations(x[:n], n, False)) for n in (2, 3, 4)],
            "the one batch of all of N = 2, 3, 4 examples",
        ),
        prose.formula("still has η²C/N", PRINTED.subs(S, N), names, text="η²C/N"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Batches nearly as large as the training set",
    sources=(Source("thesis", place="3.2, text after (3.3)"),),
    verdict=Verdict.WRONG,
    summary="The text says that the theory is applicable when the batch is nearly the training set, in a "
    "paragraph on when learning rate and batch size are not exchangeable; a 'not' is missing. Random "
    "subsets have the factor (N − S)/(N − 1), which takes all noise away at S = N, where (3.2) still has "
    "η²C/N.",
    printed=sp.Eq(Var(theta_next), eta**2 * c / S, evaluate=False),
    corrected=sp.Eq(Var(theta_next), (N - S) / (N - 1) * eta**2 * c / S, evaluate=False),
    assumptions=(
        assumptions.WITHOUT_REPLACEMENT,
        assumptions.COVARIANCE_OVER_N,
        assumptions.TWO_EXAMPLES,
    ),
    formula=RESULT,
    arguments=(N, S, eta, c),
    slip=Slip("1 − S/N, for C in its 1/(N−1) form", (N - S) / N * eta**2 * c / S),
    printed_formula=PRINTED,
    example=Example("variance of a step for η = 0.1, C = 1, N = S = 100", PRINTED.subs(AT), RESULT.subs(AT)),
)
