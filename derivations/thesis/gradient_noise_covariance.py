"""Thesis (3.1): the covariance C/S of a batch gradient."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, c, theta

i = sp.Symbol("i", integer=True)
p1, p2 = sp.symbols("p_1 p_2", real=True)  # Σ x_i and Σ x_i² of the per-example gradients x_i
estimate, data = sp.Function("C^S"), sp.Function("C")


def steps(formula):
    """Variance of the mean of S gradients, both ways of drawing."""
    population = p2 / N - (p1 / N) ** 2
    inside, pair = S / N * (1 - S / N), -S * (N - S) / (N**2 * (N - 1))
    return [
        Step(
            "With replacement the S gradients are independent, each of variance C; their mean has S of them over S²:",
            sp.Sum(c, (i, 1, S)) / S**2,
            formula,
        ),
        Step(
            "The same from the counts of the examples in a batch, which are multinomial (variance (S/N)(1 − 1/N), each "
            "pair −S/N²). With Σ_{i≠j} x_i x_j = p_1² − p_2 for the gradients x_i:",
            (S / N * (1 - 1 / N) * p2 - S / N**2 * (p1**2 - p2)) / S**2,
            formula.subs(c, population),
        ),
        Step(
            "A random subset holds no example twice (variance (S/N)(1 − S/N), each pair −S(N − S)/(N²(N − 1))), and a "
            "factor (N − S)/(N − 1) appears:",
            (inside * p2 + pair * (p1**2 - p2)) / S**2,
            (N - S) / (N - 1) * formula.subs(c, population),
        ),
    ]


def check(formula):
    """All batches of three out of four gradients in the plane, both ways of drawing."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 0))]
    n, size = len(gradients), 3

    def enumerated(replacement):
        batches = oracles.batches(n, size, replacement)
        means = [sum((gradients[i] for i in batch), sp.zeros(2, 1)) / size for batch in batches]
        return oracles.variances(oracles.covariance(means))

    derived = [formula.subs({S: size, c: along}) for along in oracles.variances(oracles.covariance(gradients))]
    words = "variances along three directions for N = 4, S = 3 with replacement, over all 64 batches"
    return [
        Comparison(words, derived, enumerated(True)),
        Comparison("and over all 4 subsets, with the factor 1/3", [v / 3 for v in derived], enumerated(False)),
    ]


def says(formula):
    """What the summary states, in numbers."""
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]

    def spread(n, size, replacement):
        return oracles.variance(oracles.fluctuations(x[:n], size, replacement)) / n**2

    own = {(n, size): formula.subs({S: size, c: oracles.variance(x[:n])}) for n in (2, 3, 4) for size in (1, 2, 3)}
    return [
        prose.cases(
            "Exact for draws with replacement",
            [spread(*pair, True) == value for pair, value in own.items()],
            "the variance of the batch mean for N = 2, 3, 4 and S = 1, 2, 3, over all batches",
        ),
        prose.figure(
            "a factor (N − S)/(N − 1) belongs to it",
            spread(4, 3, False) / own[4, 3],
            "the variance over the 4 subsets of 3 of 4 examples, over C/S",
            {"N": 4, "S": 3},
            text="(N − S)/(N − 1)",
        ),
        prose.figure("zero at S = N", spread(3, 3, False), "the same for N = S = 3", text="zero"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient, mean loss",
    sources=(Source("thesis", "3.1"),),
    verdict=Verdict.CONDITIONAL,
    summary="Exact for draws with replacement. The thesis draws a random subset, and then a factor (N − S)/(N − "
    "1) belongs to it, close to one for S ≪ N and zero at S = N.",
    printed=sp.Eq(estimate(theta), data(theta) / S, evaluate=False),
    assumptions=(
        assumptions.WITH_REPLACEMENT_OR_SMALL,
        assumptions.COVARIANCE_OVER_N,
    ),
    formula=c / S,
    arguments=(c, S),
    slip=Slip("1/S² for 1/S", c / S**2),
)
