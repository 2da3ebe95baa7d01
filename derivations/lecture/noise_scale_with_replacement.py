"""Lecture (24), its second half: the noise scale ηN/S of draws with replacement."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, eta

scale = sp.Symbol("g_Smith", positive=True)  # the lecture's g
i = sp.Symbol("i", integer=True)
F = sp.Symbol("F", nonnegative=True)  # variance of the per-example gradients along one direction, 1/N form


def steps(formula):
    """The covariance of S independent draws, equated with that of the integrated noise."""
    return [
        Step(
            "A step is −(η/S) times a sum of S independent gradients of variance F; (23) says (η/N)gF:",
            (eta / S) ** 2 * sp.Sum(F, (i, 1, S)),
            sp.Mul(eta / N, formula, F, evaluate=False),
        ),
        Step(
            "Against (24) without replacement the difference is one learning rate, which is the fraction S/N of g:",
            sp.Mul(formula - eta * (N / S - 1), 1 / formula, evaluate=False),
            S / N,
        ),
        Step(
            "A batch as large as the data still has noise, for it misses some examples and repeats others:",
            sp.Subs(formula, S, N),
            eta,
        ),
    ]


def check(formula):
    """All batches of three out of three gradients in the plane, S = N."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)))]
    n, size, rate = 3, 3, sp.Rational(1, 5)
    moves = [
        -rate / size * sum((gradients[j] for j in batch), sp.zeros(2, 1)) for batch in oracles.batches(n, size, True)
    ]
    return [
        Comparison(
            "covariance of a step for N = S = 3, over all 27 batches",
            rate / n * formula.subs({eta: rate, N: n, S: size}) * oracles.covariance(gradients),
            oracles.covariance(moves),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "N": N, "S": S}
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]
    rate, without = sp.Rational(1, 5), eta * (N / S - 1)
    exact = {
        (n, size): rate / n * formula.subs({eta: rate, N: n, S: size}) * oracles.variance(x[:n])
        == (rate / n) ** 2 * oracles.variance(oracles.fluctuations(x[:n], size, True))
        for n in (2, 3, 4)
        for size in (1, 2, 3, 4)
    }
    population = {}  # the variance of a step for data ±1, on average over all 8 data sets of three
    for size in (1, 2, 3):
        data_sets = [[sp.Integer(1 - 2 * (bits >> k & 1)) for k in range(3)] for bits in range(8)]
        noise = oracles.mean(psi**2 for data in data_sets for psi in oracles.fluctuations(data, size, True))
        population[size] = (rate / 3) ** 2 * noise / (rate / 3)
    return [
        prose.formula("g = ηN/S", formula, names, text="ηN/S"),
        prose.cases(
            "is exact, with F in its 1/N form",
            exact.values(),
            "the variance of a step for N = 2, 3, 4 and S = 1 to 4, over all batches",
        ),
        prose.cases(
            "no condition on S/N is needed",
            [not holds for (n, size), holds in exact.items() if 2 * size > n],
            "whether it fails for S/N above one half",
        ),
        prose.figure(
            "With a population's F it is η(N − 1)/S",
            population[2],
            "the noise of a step for N = 3, S = 2, η = 1/5, over the 8 data sets ±1 and all batches",
            {"η": rate, "N": 3, "S": 2},
            text="η(N − 1)/S",
        ),
        prose.direction(
            "For draws without replacement it is too large",
            [without.subs({eta: 1, N: 5, S: 2}), formula.subs({eta: 1, N: 5, S: 2})],
            "(24) and ηN/S for η = 1, N = 5, S = 2",
        ),
        prose.formula(
            "by the learning rate, a fraction S/N of itself", (formula - without) / formula, names, text="S/N"
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Noise scale of draws with replacement",
    sources=(Source("lecture", "24"),),
    verdict=Verdict.EXACT,
    summary="For draws with replacement g = ηN/S is exact, with F in its 1/N form; no condition on S/N is needed. "
    "With a population's F it is η(N − 1)/S. For draws without replacement it is too large by the "
    "learning rate, a fraction S/N of itself.",
    printed=sp.Eq(scale, eta * N / S, evaluate=False),
    assumptions=(
        assumptions.WITH_REPLACEMENT,
        Assumption("F is the data's covariance in its 1/N form."),
        assumptions.SUM_LOSS_STEP,
    ),
    formula=eta * N / S,
    arguments=(eta, N, S),
    slip=Slip("F taken in its 1/(N−1) form", eta * (N - 1) / S),
)
