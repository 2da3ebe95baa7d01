"""Lecture (15): the covariance of a batch gradient's fluctuation when the data far outnumber the batch."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S

F = sp.Symbol("F", nonnegative=True)  # variance of the per-example gradients along one direction
psi = sp.Symbol("psi", real=True)
p1, p2 = sp.symbols("p_1 p_2", real=True)  # Σ x_i and Σ x_i² of the per-example gradients x_i
i = sp.Symbol("i", integer=True)
SUBSETS = N * (N / S - 1) * F  # lecture (14), the covariance of draws without replacement


def steps(formula):
    """What (15) drops from (14), the same with F in its 1/N form, and the case where nothing is dropped."""
    inside, pair = S / N * (1 - S / N), -S * (N - S) / (N**2 * (N - 1))
    population = p2 / N - (p1 / N) ** 2
    return [
        Step(
            "Against (14), which belongs to subsets and F in its 1/(N−1) form, only the −1 in the bracket is dropped. "
            "(15) is larger by a fraction of itself that vanishes as S/N → 0:",
            sp.Mul(formula - SUBSETS, 1 / formula, evaluate=False),
            S / N,
        ),
        Step(
            "With F in its 1/N form the same covariance of subsets, from the counts of the examples (variance "
            "(S/N)(1 − S/N), each pair −S(N − S)/(N²(N − 1))), falls short by the fraction (S − 1)/(N − 1):",
            (N / S) ** 2 * (inside * p2 + pair * (p1**2 - p2)),
            sp.Mul(1 - (S - 1) / (N - 1), formula.subs(F, population), evaluate=False),
        ),
        Step(
            "Draws with replacement are independent: the variance of the batch sum is S times F, and N/S scales the "
            "sum. No limit is needed:",
            (N / S) ** 2 * sp.Sum(F, (i, 1, S)),
            formula,
            name=Cov(psi),
        ),
    ]


def check(formula):
    """All batches of two out of four gradients in the plane, both ways of drawing, in rationals."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 0))]
    n, size = len(gradients), 2
    total = sum(gradients, sp.zeros(2, 1))

    def enumerated(replacement):
        batches = oracles.batches(n, size, replacement)
        sums = [sum((gradients[i] for i in batch), sp.zeros(2, 1)) for batch in batches]
        return oracles.variances(oracles.covariance([s * n / size - total for s in sums]))

    derived = [formula.subs({N: n, S: size, F: v}) for v in oracles.variances(oracles.covariance(gradients))]
    return [
        Comparison(
            "variances of ψ along three directions for N = 4, S = 2 with replacement, over all 16 batches",
            derived,
            enumerated(True),
        ),
        Comparison(
            "the same without replacement, over all 6 batches: (15) with F in its 1/(N−1) form, minus its fraction S/N",
            [v * sp.Rational(n, n - 1) * (1 - sp.Rational(size, n)) for v in derived],
            enumerated(False),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    gradients = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]
    return [
        prose.direction(
            "It exceeds (14)",
            [SUBSETS.subs({N: 5, S: 2, F: 1}), formula.subs({N: 5, S: 2, F: 1})],
            "(14), then (15) for N = 5, S = 2, F = 1",
        ),
        prose.formula("S/N of itself, exactly", 1 - SUBSETS / formula, {"N": N, "S": S}, text="S/N", at={F: 2}),
        prose.cases(
            "it holds for every S and N",
            [
                oracles.variance(oracles.fluctuations(gradients[:n], size, True))
                == formula.subs({N: n, S: size, F: oracles.variance(gradients[:n])})
                for n in (2, 3, 4)
                for size in (1, 2, 3, 4)
            ],
            "the variance of ψ for N = 2, 3, 4 and S = 1 to 4, over all batches",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient for N ≫ S",
    sources=(Source("lecture", "15"),),
    verdict=Verdict.ORDER,
    order="S/N",
    summary="It exceeds (14) by the fraction S/N of itself, exactly. If each example drawn is put back, the "
    "literal reading of the lecture's 'with replacement', and F is in its 1/N form, it is no "
    "approximation: it holds for every S and N.",
    printed=sp.Eq(Cov(psi), N**2 / S * F, evaluate=False),
    assumptions=(
        Assumption("The data far outnumber the batch, or batches are drawn with replacement.", sp.Lt(S / N, 1)),
        Assumption(
            "F is the covariance of the per-example gradients, in its 1/(N−1) form for subsets, in its 1/N form for "
            "draws with replacement."
        ),
    ),
    formula=N**2 / S * F,
    arguments=(N, S, F),
    slip=Slip("the mean loss's N⁰ for the sum loss's N²", F / S),
)
