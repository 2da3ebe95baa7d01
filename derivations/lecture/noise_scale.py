"""Lecture (24): the noise scale g = η(N/S − 1) of draws without replacement."""

import itertools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, eta

scale = sp.Symbol("g_Smith", positive=True)  # the lecture's g
F = sp.Symbol("F", nonnegative=True)  # variance along one direction: 1/(N−1) form, or a population's
i = sp.Symbol("i", integer=True)
p1, p2 = sp.symbols("p_1 p_2", real=True)  # Σ x_i and Σ x_i² of the per-example gradients x_i


def steps(formula):
    """The covariance of ψ for subsets, from both meanings of F, equated with that of the integrated noise."""
    inside, pair = S / N * (1 - S / N), -S * (N - S) / (N**2 * (N - 1))
    unbiased = (p2 - p1**2 / N) / (N - 1)
    subsets = N * (N / S - 1) * F
    return [
        Step(
            "Example i is in the subset or not: variance (S/N)(1 − S/N), each pair covariance −S(N−S)/(N²(N−1)). "
            "With F in its 1/(N−1) form this is lecture (14):",
            (N / S) ** 2 * (inside * p2 + pair * (p1**2 - p2)),
            subsets.subs(F, unbiased),
        ),
        Step(
            "The same for any S of N independent examples from a population with covariance F, on average over the "
            "data: ψ counts the S in the batch N/S − 1 times and the N − S others −1 times.",
            (N / S - 1) ** 2 * S * F + (N - S) * F,
            subsets,
        ),
        Step(
            "A step is −η/N times the gradient, so (η/N)² Cov(ψ) must equal (23), which fixes g:",
            sp.Mul((eta / N) ** 2, subsets, evaluate=False),
            sp.Mul(eta / N, formula, F, evaluate=False),
        ),
        Step("A step with all data has no noise, and g vanishes there:", sp.Subs(formula, S, N), sp.S.Zero),
        Step(
            "With replacement and a population's F: ψ = Σ(Nn_i/S − 1)x_i, where the count n_i of example i has the "
            "mean S/N and the variance (S/N)(1 − 1/N). On average over the data g is η(N − 1)/S:",
            (eta / N) ** 2 * sp.Sum((N / S) ** 2 * (S / N * (1 - 1 / N)) * F, (i, 1, N)),
            sp.Mul(eta / N, eta * (N - 1) / S, F, evaluate=False),
        ),
    ]


def check(formula):
    """All subsets of two out of four gradients in the plane; then all data sets of three examples ±1."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 0))]
    n, size, rate = 4, 2, sp.Rational(1, 5)
    moves = [
        -rate / size * sum((gradients[j] for j in batch), sp.zeros(2, 1)) for batch in oracles.batches(n, size, False)
    ]
    unbiased = oracles.covariance(gradients) * sp.Rational(n, n - 1)
    data_sets = list(itertools.product((-1, 1), repeat=3))  # gradients of three examples, of variance 1

    def of_population(replacement):
        drawn = oracles.batches(3, 2, replacement)
        return oracles.mean(
            (rate * (sp.Rational(x[a] + x[b], 2) - sp.Rational(sum(x), 3))) ** 2 for x in data_sets for a, b in drawn
        )

    at_three = formula.subs({eta: rate, N: 3, S: 2})
    return [
        Comparison(
            "covariance of a step for N = 4, S = 2, F in its 1/(N−1) form, over all 6 subsets",
            rate / n * formula.subs({eta: rate, N: n, S: size}) * unbiased,
            oracles.covariance(moves),
        ),
        Comparison(
            "noise of a step for N = 3, S = 2, F = 1 of the population ±1, over all 8 data sets and their 3 subsets",
            rate / 3 * at_three,
            of_population(False),
        ),
        Comparison(
            "the same with replacement, over their 9 batches, where g is larger by (N − 1)/(N − S) = 2",
            rate / 3 * 2 * at_three,
            of_population(True),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "N": N, "S": S}
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]
    rate = sp.Rational(1, 5)
    drawn, population = formula * N / (N - S), formula * (N - 1) / (N - S)
    sizes = [(n, size) for n in (2, 3, 4) for size in range(1, n + 1)]
    return [
        prose.cases(
            "Exact for batches drawn without replacement if F is the data's covariance in its 1/(N−1) form",
            [
                rate / n * formula.subs({eta: rate, N: n, S: size}) * oracles.variance(x[:n]) * sp.Rational(n, n - 1)
                == (rate / n) ** 2 * oracles.variance(oracles.fluctuations(x[:n], size, False))
                for n, size in sizes
            ],
            "the variance of a step for each S ≤ N ≤ 4, over all subsets",
        ),
        prose.formula("g is ηN/S", sp.simplify(drawn), names, text="ηN/S"),
        prose.cases(
            "g is ηN/S if F is the data's covariance in its 1/N form",
            [
                rate / n * drawn.subs({eta: rate, N: n, S: size}) * oracles.variance(x[:n])
                == (rate / n) ** 2 * oracles.variance(oracles.fluctuations(x[:n], size, True))
                for n, size in ((3, 2), (4, 2), (4, 3))
            ],
            "the variance of a step for three N and S, over all batches with replacement",
        ),
        prose.formula("η(N − 1)/S", sp.simplify(population), names),
    ]


CLAIM = Claim(
    module=__name__,
    title="Noise scale",
    sources=(Source("lecture", "24"), Source("Smith & Le 2018")),
    verdict=Verdict.CONDITIONAL,
    summary="Exact for batches drawn without replacement if F is the data's covariance in its 1/(N−1) form, or "
    "that of a population the data come from. It inherits (14)'s way of drawing; if each example drawn is "
    "put back, the literal reading of the lecture's 'with replacement', g is ηN/S if F is the data's "
    "covariance in its 1/N form, and η(N − 1)/S if F is a population's.",
    printed=sp.Eq(scale, eta * (N / S - 1), evaluate=False),
    assumptions=(
        assumptions.WITHOUT_REPLACEMENT,
        assumptions.UNBIASED_OR_POPULATION,
        assumptions.SUM_LOSS_STEP,
    ),
    formula=eta * (N / S - 1),
    arguments=(eta, N, S),
    slip=Slip("F taken in its 1/N form", eta * (N / S - 1) * N / (N - 1)),
)
