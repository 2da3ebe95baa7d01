"""Smith's sum loss with η/N of time a step and Jastrzębski's mean loss with η of time: one process."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, eta

C = sp.Symbol("C", real=True)  # an entry of the covariance of the per-example gradients, 1/N form
F = sp.Symbol("F", real=True)  # the same in its 1/(N − 1) form
noise_scale, f = sp.symbols("g_Smith f", positive=True)
psi = sp.Symbol("psi")


def steps(formula):
    """Match one step's covariance, change the time, change the form of the covariance."""
    factor = (N - S) / (N - 1)
    scale = eta * (N / S - 1)
    return [
        Step(
            "The sum loss's gradient fluctuates by ψ = N(ĝ − g). For subsets Cov(ĝ) = f C/S with f = (N−S)/(N−1), and "
            "C = F (N−1)/N:",
            N**2 * factor / S * F * (N - 1) / N,
            N * (N / S - 1) * F,
            name=Cov(psi),
            shown=sp.Eq(N**2 * f / S * (F * (N - 1) / N), N * (N / S - 1) * F, evaluate=False),
        ),
        Step(
            "Smith: dθ = −N g ds + √(g_Smith F) dB, with η/N of time s a step. One step's displacement −(η/N)(N g + ψ) "
            "has the covariance (η/N)² Cov(ψ), the equation's over η/N of time is g_Smith F η/N. They are equal for",
            sp.Mul((eta / N) ** 2, N * (N / S - 1) * F, 1 / (F * eta / N), evaluate=False),
            scale,
            name=noise_scale,
            shown=sp.Eq((eta / N) ** 2 * Cov(psi) / (F * eta / N), scale, evaluate=False),
        ),
        Step(
            "Mean loss: with t = N s a step lasts η. The drift N g per unit of s is g per unit of t, and the "
            "covariance per unit of time is divided by N as well. Jastrzębski's equation, for batches that are "
            "subsets, has f (η/S) C per unit of t, and the two coefficients differ by (N−1)/N:",
            formula,
            factor * eta / S * (N - 1) / N,
            name=noise_scale / N,
            shown=sp.Eq(formula, f * eta / S * (1 - 1 / N), evaluate=False),
        ),
        Step(
            "That factor lies between the two forms of the covariance, F = C N/(N−1). So the two diffusions are one:",
            formula * (C * N / (N - 1)),
            factor * eta / S * C,
            name=noise_scale / N * F,
            shown=sp.Eq(formula * (C * N / (N - 1)), f * eta / S * C, evaluate=False),
        ),
    ]


def check(formula):
    """One step's displacement over every subset, in rationals: it is the equation's covariance over a time η."""
    gradients = [sp.Matrix(v) for v in ((2, -1), (sp.Rational(1, 2), 3), (-4, sp.Rational(2, 3)), (0, 5), (1, 1))]
    n, rate = len(gradients), sp.Rational(1, 7)
    sample_form = oracles.covariance(gradients) * sp.Rational(n, n - 1)
    comparisons = []
    for size in (1, 2, 4):
        moves = [
            -rate * oracles.mean([gradients[i] for i in subset])
            for subset in oracles.batches(n, size, replacement=False)
        ]
        derived = formula.subs({N: n, S: size, eta: rate}) * sample_form * rate
        words = f"the 2 × 2 covariance of one step for N = 5, S = {size}, η = 1/7, over all subsets"
        comparisons.append(Comparison(words, derived, oracles.covariance(moves)))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"f": (N - S) / (N - 1), "η": eta, "S": S, "N": N}
    x = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")]
    subset = oracles.variance(oracles.fluctuations(x, 3, False)) / 16
    many = formula.subs({eta: sp.Rational(1, 10), S: 2, N: 10**12}).evalf(20)
    return [
        prose.formula("f (η/S)(N−1)/N", formula, names),
        prose.figure(
            "f = (N−S)/(N−1), exactly",
            subset / (oracles.variance(x) / 3),
            "variance of a subset's mean over C/S, N = 4, S = 3",
            {"N": 4, "S": 3},
            text="(N−S)/(N−1)",
        ),
        prose.cases(
            "the last factor turns the 1/(N−1) form of the covariance into the 1/N form",
            [
                sp.Rational(n - 1, n) * (oracles.variance(x[:n]) * sp.Rational(n, n - 1)) == oracles.variance(x[:n])
                for n in (2, 3, 4)
            ],
            "for N = 2, 3, 4",
        ),
        prose.figure(
            "both have η/S",
            many,
            "as derived for N = 10¹², S = 2, η = 1/10",
            {"η": sp.Rational(1, 10), "S": 2},
            text="η/S",
            tolerance=sp.Rational(1, 10**9),
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Smith's and Jastrzębski's equations are one",
    sources=(Source("lecture", "24"), Source("thesis", "3.2")),
    verdict=Verdict.EXACT,
    summary="Smith's noise scale over N is f (η/S)(N−1)/N with f = (N−S)/(N−1), exactly; the last factor turns "
    "the 1/(N−1) form of the covariance into the 1/N form. So both equations describe one process, with f "
    "in Jastrzębski's; for S ≪ N both have η/S.",
    printed=sp.Eq(noise_scale / N, f * (eta / S) * (1 - 1 / N), evaluate=False),
    assumptions=(
        Assumption("Batches are subsets, with f = (N−S)/(N−1)."),
        Assumption("Smith's F is the covariance in its 1/(N−1) form."),
        Assumption("ψ is the fluctuation of the sum loss's gradient."),
    ),
    formula=eta * (N / S - 1) / N,
    arguments=(eta, N, S),
    slip=Slip("the noise scale with its time not changed", eta * (N / S - 1)),
)
