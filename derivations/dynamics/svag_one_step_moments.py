"""Li, Malladi & Arora 2021: mean, variance and third cumulant of one step of SVAG, and the equation they approach."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, Var, eta, g, h

ell = sp.Symbol("ell", positive=True, integer=True)  # steps of SVAG for one of SGD
kappa = sp.Symbol("kappa_3", real=True)  # third cumulant of a batch gradient
variance = sp.Symbol("V", nonnegative=True)  # variance of a batch gradient, fC/S
move, plus, minus = sp.symbols("Δ c_+ c_−")
third_cumulant = sp.Function("kappa_3")


def steps(formula):
    """−(η/ℓ)(c₊ĝ₁ + c₋ĝ₂): the nth cumulant is (−η/ℓ)ⁿ (c₊ⁿ + c₋ⁿ) times that of a batch."""
    root = sp.sqrt(2 * ell - 1)
    first, second = (1 + root) / 2, (1 - root) / 2
    scale = -eta / ell
    words = (
        "The two batches are independent, so cumulants add with powers of the coefficients c± = (1 ± √(2ℓ−1))/2. "
        "First, c₊ + c₋ = 1:",
        "second, c₊² + c₋² = ℓ, with V = fC/S the variance of a batch gradient:",
        "third, c₊³ + c₋³ = (3ℓ − 1)/2, with κ₃ that of a batch gradient:",
    )
    cumulants, names = (g, variance, kappa), (E(move), Var(move), third_cumulant(move))
    return [
        Step(
            text,
            scale**n * sp.Add(first**n, second**n, evaluate=False) * cumulants[n - 1],
            formula[n - 1],
            name=names[n - 1],
            shown=sp.Eq(scale**n * (plus**n + minus**n) * cumulants[n - 1], formula[n - 1], evaluate=False),
        )
        for n, text in enumerate(words, start=1)
    ] + [
        Step(
            "As a step of time h = η/ℓ, mean and variance are −hg and hη V for every ℓ: those of an Euler step of dθ = "
            "−g dt + √(ηV) dW, whose noise does not depend on h:",
            sp.Matrix([sp.Subs(moment, ell, eta / h) for moment in formula[:2]]),
            sp.Matrix([-h * g, h * eta * variance]),
        ),
        Step(
            "The third cumulant is O(h²). Over a fixed time, 1/h steps, it adds O(h), which vanishes:",
            sp.Subs(formula[2] / h, ell, eta / h),
            -h * (3 * eta - h) / 2 * kappa,
        ),
    ]


def check(formula):
    """All pairs of subsets, in rationals; the coefficients are 2, −1 for ℓ = 5 and 3, −2 for ℓ = 13."""
    gradients = [sp.Integer(v) for v in (2, -1, 5, 11)]
    batches = [oracles.mean([gradients[i] for i in b]) for b in oracles.batches(4, 3, replacement=False)]
    centre = oracles.mean(batches)
    rate = sp.Rational(1, 3)
    comparisons = []
    for number, first, second in ((1, 1, 0), (5, 2, -1), (13, 3, -2)):
        moves = [-rate / number * (first * a + second * b) for a in batches for b in batches]
        middle = oracles.mean(moves)
        values = {
            eta: rate,
            ell: number,
            g: centre,
            variance: oracles.variance(batches),
            kappa: oracles.mean([(b - centre) ** 3 for b in batches]),
        }
        central = [middle, oracles.variance(moves), oracles.mean([(x - middle) ** 3 for x in moves])]
        words = f"mean, variance, third cumulant for ℓ = {number}, N = 4, S = 3, over all pairs of subsets"
        comparisons.append(Comparison(words, formula.subs(values), sp.Matrix(central)))
    return comparisons


def _moments(third):
    return sp.Matrix([-eta * g / ell, eta**2 * variance / ell, third])


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "ℓ": ell, "g": g, "fC/S": variance}
    scaled = formula[2].subs({kappa: 1, eta: 1})
    cubes = {sp.Rational(1, number): scaled.subs(ell, number) for number in (100, 200)}
    return [
        prose.formula("mean −ηg/ℓ", formula[0], names, text="−ηg/ℓ"),
        prose.formula("(η²/ℓ) fC/S", formula[1], names),
        prose.formula(
            "−(η/ℓ)³(3ℓ−1)/2 times that of a batch gradient", formula[2] / kappa, names, text="−(η/ℓ)³(3ℓ−1)/2"
        ),
        prose.cases(
            "a batch gradient, exactly",
            [
                formula[2].subs({kappa: 1, eta: 1, ell: number}) == -(sp.Rational(1, number) ** 3) * (a**3 + b**3)
                for number, a, b in ((1, 1, 0), (5, 2, -1), (13, 3, -2))
            ],
            "the third cumulant for coefficients (1, 0), (2, −1), (3, −2), ℓ = 1, 5, 13",
        ),
        prose.order("a third cumulant of O(h²)", cubes, "h", "at h = η/ℓ, η = 1, ℓ = 100 and 200"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Moments of one step of SVAG",
    sources=(Source("Li, Malladi & Arora 2021"),),
    verdict=Verdict.EXACT,
    summary="One step of SVAG has mean −ηg/ℓ, covariance (η²/ℓ) fC/S and third cumulant −(η/ℓ)³(3ℓ−1)/2 times that of "
    "a batch gradient, exactly. As steps of time h = η/ℓ these are the moments of the equation with SGD's own noise, "
    "with a third cumulant of O(h²): for ℓ → ∞ SVAG tends to the equation.",
    printed=sp.Eq(
        sp.Matrix([E(move), Var(move), third_cumulant(move)]),
        _moments(-((eta / ell) ** 3) * (3 * ell - 1) / 2 * kappa),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The two batches of a step are independent and of one law."),
        Assumption("V is the variance of a batch gradient: fC/S."),
    ),
    formula=_moments(-((eta / ell) ** 3) * (3 * ell - 1) / 2 * kappa),
    arguments=(eta, ell, g, variance, kappa),
    slip=Slip("c₊³ + c₋³ taken for (3ℓ + 1)/2", _moments(-((eta / ell) ** 3) * (3 * ell + 1) / 2 * kappa)),
)
