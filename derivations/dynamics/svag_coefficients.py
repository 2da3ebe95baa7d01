"""Li, Malladi & Arora 2021: the two coefficients of stochastic variance amplified gradient (SVAG)."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, S, eta

ell = sp.Symbol("ell", positive=True, integer=True)  # steps of SVAG for one of SGD
C = sp.Symbol("C", real=True)  # variance of an example's gradient along a direction
kappa = sp.Symbol("kappa_3", real=True)  # third cumulant of a batch gradient along it
plus, minus, move = sp.symbols("c_+ c_− Δ")


def steps(formula):
    """A step of SVAG is −(η/ℓ)(c₊ĝ₁ + c₋ĝ₂) with two independent batches; cumulants of independent terms add."""
    first, second = formula
    cubes = ell * (-eta / ell) ** 3 * kappa
    return [
        Step(
            "The coefficients sum to one, so ℓ steps of η/ℓ move by −ηg in the mean, as one step of SGD does:",
            sp.Add(first, second, evaluate=False),
            sp.S.One,
            name=plus + minus,
        ),
        Step("Their squares sum to ℓ:", first**2 + second**2, ell, name=plus**2 + minus**2),
        Step(
            "which makes up for ℓ steps of variance (η/ℓ)² each, where a batch gradient has covariance C/S:",
            ell * (eta / ell) ** 2 * (first**2 + second**2) * C / S,
            eta**2 * C / S,
            name=Cov(move),
            shown=sp.Eq(ell * (eta / ell) ** 2 * (plus**2 + minus**2) * C / S, eta**2 * C / S, evaluate=False),
        ),
        Step(
            "The two conditions fix the pair up to its order: 2c₊c₋ = 1 − ℓ, so the coefficients are the roots of c² − "
            "c + (1 − ℓ)/2:",
            first * second,
            (1 - ell) / sp.S(2),
            name=plus * minus,
        ),
        Step(
            "The third cumulant of the ℓ steps, with κ₃ that of a batch gradient; c₊³ + c₋³ = 1 − 3c₊c₋ = (3ℓ − 1)/2:",
            cubes * (first**3 + second**3),
            -(eta**3) * kappa * (3 * ell - 1) / (2 * ell**2),
            name=sp.Function("kappa_3")(move),
            shown=sp.Eq(cubes * (plus**3 + minus**3), -(eta**3) * kappa * (3 * ell - 1) / (2 * ell**2), evaluate=False),
        ),
        Step(
            "One step of SGD has −η³κ₃. The ratio falls as 3/(2ℓ), so the noise becomes Gaussian:",
            sp.Limit(ell * (first**3 + second**3) / ell**2, ell, sp.oo),
            sp.Rational(3, 2),
            shown=sp.Eq(sp.Limit((plus**3 + minus**3) / ell, ell, sp.oo), sp.Rational(3, 2), evaluate=False),
        ),
    ]


def check(formula):
    """Moments of ℓ steps from all pairs of batches, propagated step by step in rationals, against those of SGD."""
    gradients = [sp.Integer(v) for v in (2, -1, 6)]
    batches = [oracles.mean([gradients[i] for i in b]) for b in oracles.batches(3, 2, replacement=True)]
    rate = sp.Rational(1, 3)
    sgd = [oracles.mean([(-rate * b) ** power for b in batches]) for power in range(4)]
    comparisons = []
    for number in (2, 5, 13):
        first, second = formula.subs(ell, number)
        moves = [-rate / number * (first * a + second * b) for a in batches for b in batches]
        one = [sp.expand(oracles.mean([x**power for x in moves])) for power in range(4)]
        total = [sp.S.One, sp.S.Zero, sp.S.Zero, sp.S.Zero]
        for _ in range(number):
            total = [sp.expand(sum(sp.binomial(p, i) * total[i] * one[p - i] for i in range(p + 1))) for p in range(4)]
        cumulants = [_third_cumulant(moments) for moments in (total, sgd)]
        comparisons += [
            Comparison(f"ℓ = {number}: first and second moment of {number} steps", total[1:3], sgd[1:3]),
            Comparison(
                f"ℓ = {number}: third cumulant over SGD's",
                sp.expand(cumulants[0] / cumulants[1]),
                sp.Rational(3 * number - 1, 2 * number**2),
            ),
        ]
    return comparisons


def _third_cumulant(moments):
    return moments[3] - 3 * moments[1] * moments[2] + 2 * moments[1] ** 3


root = sp.sqrt(2 * ell - 1)


def says(formula):
    """What the summary states, in numbers."""
    first, second = formula
    third = lambda number: sp.expand((first**3 + second**3).subs(ell, number)) / number**2  # noqa: E731
    ratios = {number: third(number) for number in (5, 13, 25, 41)}
    return [
        prose.figure("The coefficients sum to one", sp.expand((first + second).subs(ell, 7)), "at ℓ = 7", text="one"),
        prose.figure(
            "their squares to ℓ", sp.expand((first**2 + second**2).subs(ell, 7)), "at ℓ = 7", {"ℓ": 7}, text="ℓ"
        ),
        prose.cases(
            "ℓ steps of size η/ℓ have exactly the mean and the covariance of one step of SGD",
            [
                sp.expand(number * (first + second).subs(ell, number) / number) == 1
                and sp.expand(number * (first**2 + second**2).subs(ell, number) / number**2) == 1
                for number in (2, 5, 13)
            ],
            "ℓ times a step's mean and variance over SGD's, at ℓ = 2, 5, 13",
        ),
        prose.figure("is (3ℓ−1)/(2ℓ²) of SGD's", ratios[5], "at ℓ = 5", {"ℓ": 5}, text="(3ℓ−1)/(2ℓ²)"),
        prose.cases(
            "takes away step size and non-Gaussianity together",
            [later < value for value, later in zip(ratios.values(), list(ratios.values())[1:], strict=False)],
            "the third cumulant over SGD's falls from ℓ = 5 to 13, 25, 41",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Coefficients of SVAG",
    sources=(Source("Li, Malladi & Arora 2021"),),
    verdict=Verdict.EXACT,
    summary="The coefficients sum to one and their squares to ℓ, so at a constant gradient ℓ steps of size η/ℓ have "
    "exactly the mean and the covariance of one step of SGD, while the third cumulant is (3ℓ−1)/(2ℓ²) of SGD's. So "
    "SVAG keeps the noise scale and takes away step size and non-Gaussianity together.",
    printed=sp.Eq(sp.Matrix([plus, minus]), sp.Matrix([(1 + root) / 2, (1 - root) / 2]), evaluate=False),
    assumptions=(
        Assumption("The two batches of a step, and all steps, are independent."),
        Assumption("The per-example gradients are constant over the ℓ steps."),
    ),
    formula=sp.Matrix([(1 + root) / 2, (1 - root) / 2]),
    arguments=(ell,),
    slip=Slip("2ℓ + 1 under the root", sp.Matrix([1 + sp.sqrt(2 * ell + 1), 1 - sp.sqrt(2 * ell + 1)]) / 2),
)
