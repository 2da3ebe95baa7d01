"""SGD against Gaussian SGD: what one step's non-Gaussian noise does to a smooth function."""

from typing import Any

import sympy as sp

from derivations import assumptions, linear_models, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, c, eta, g, t

mu3, k4 = sp.symbols("mu_3 kappa_4", real=True)  # third central moment and fourth cumulant of ∇ℓ_i
f0, f1, f2, f3, f4 = sp.symbols("f f_1 f_2 f_3 f_4", real=True)  # f and its derivatives at the start
zeta, q = sp.symbols("zeta q", real=True)  # the noise of a batch's gradient
gap = -(eta**3) * mu3 * f3 / (6 * S**2)


def steps(formula):
    """Cumulants of a batch's mean, then Taylor's formula."""
    one = c * q**2 / 2 + mu3 * q**3 / 6 + k4 * q**4 / 24
    three, four = mu3 / S**2, 3 * c**2 / S**2

    def moments(third, fourth) -> Any:
        """E (g + ζ)^n from the moments of ζ, n up to 4."""
        powers = (1, 0, c / S, third, fourth)
        return [sum(sp.binomial(n, j) * g ** (n - j) * powers[j] for j in range(n + 1)) for n in range(5)]

    pairs = zip(moments(three, four + k4 / S**3), moments(0, four), (f0, f1, f2, f3, f4), strict=True)
    terms = [
        (-eta) ** n / sp.factorial(n) * f * sp.Add(*sp.Add.make_args(a), *sp.Add.make_args(-b), evaluate=False)
        for n, (a, b, f) in enumerate(pairs)
    ]
    return [
        Step(
            "Let g, c, μ₃ and κ₄ be the mean, the variance, the third central moment and the fourth cumulant of an "
            "example's gradient. The noise ζ of a batch of S has S times the cumulant function of one example at q/S. "
            "Its third derivative is the third moment:",
            sp.Subs(sp.Derivative(S * one.subs(q, q / S), (q, 3)), q, 0),
            mu3 / S**2,
            name=E(zeta**3),
        ),
        Step(
            "A step is −η(g + ζ). SGD's ζ and the Gaussian one have the same mean and variance, so in Taylor's "
            "formula for E f(θ) the third term is the first that differs: −(η³f'''/6) times the difference of E(g + "
            "ζ)³ is",
            terms[3],
            formula,
        ),
        Step(
            "For f of third degree that is all. Else the fourth term follows:",
            terms[4],
            eta**4 * f4 / 24 * (4 * g * mu3 / S**2 + k4 / S**3),
        ),
        Step(
            "A time t takes t/η such steps. So the gap adds up to O(η²), one order below the discretisation's O(η):",
            sp.Limit(sp.Mul(t / eta, formula / eta**2, evaluate=False), eta, 0),
            -t * mu3 * f3 / (6 * S**2),
        ),
    ]


def check(formula):
    """A cubic f: all nine batches of two out of three gradients, and Gaussian draws by a law with their moments."""
    rate, size = sp.Rational(1, 3), 2
    gradients = [sp.Integer(1), sp.Rational(1, 3), sp.Integer(-5)]
    f = lambda x: 2 + x - sp.Rational(3, 2) * x**2 + sp.Rational(7, 6) * x**3  # noqa: E731
    start, centre = sp.Rational(2, 5), oracles.mean(gradients)
    sgd = oracles.mean(f(start - rate * sum(gradients[i] for i in b) / size) for b in oracles.batches(3, size, True))
    law = oracles.three_point(sp.sqrt(oracles.variance(gradients) / size))
    gaussian = oracles.expectation(lambda noise: f(start - rate * (centre + noise)), law)
    third = oracles.mean((x - centre) ** 3 for x in gradients)
    derived = formula.subs({eta: rate, S: size, mu3: third, f3: 7})
    return [Comparison("E f after SGD minus E f after Gaussian SGD, a cubic f", derived, sp.expand(sgd - gaussian))]


def says(formula):
    """What the summary states, in numbers."""
    gradients = [sp.Integer(1), sp.Rational(1, 3), sp.Integer(-5)]
    centre = oracles.mean(gradients)
    third = oracles.mean((x - centre) ** 3 for x in gradients)

    def apart(rate, size, power):
        """E (θ′ − θ)^power of SGD minus that of Gaussian SGD."""
        law = oracles.three_point(sp.sqrt(oracles.variance(gradients) / size))
        own = oracles.mean(
            (-rate * sum(gradients[i] for i in b) / size) ** power for b in oracles.batches(3, size, True)
        )
        return sp.expand(own - oracles.expectation(lambda noise: (-rate * (centre + noise)) ** power, law))

    rates = (sp.Rational(1, 100), sp.Rational(1, 200))
    beyond = {rate: apart(rate, 2, 4) for rate in rates}  # φ = (· − θ)⁴ has φ‴ = 0 at the start
    weak = {
        float(rate): linear_models.sgd(float(rate), 3) - linear_models.gaussian_sgd(float(rate), 3) for rate in rates
    }
    sizes = {size: linear_models.sgd(0.005, 3, size) - linear_models.gaussian_sgd(0.005, 3, size) for size in (1, 2, 4)}
    discrete = {float(r): linear_models.gaussian_sgd(float(r), 2) - linear_models.equation(float(r), 2) for r in rates}
    how = "on aθ²/2, a = 1, 1 or 4"
    return [
        prose.figure(
            "E f is larger under SGD than under Gaussian SGD by −η³ μ₃ f'''/(6S²)",
            apart(rates[0], 2, 3),
            "f = (· − θ)³ over all 9 batches and over a Gaussian's moments, η = 1/100, S = 2",
            {"η": rates[0], "μ₃": third, "f'''": 6, "S": 2},
            text="−η³ μ₃ f'''/(6S²)",
        ),
        prose.order(
            "+ O(η⁴)", beyond, "η", "f = (· − θ)⁴, which has no third derivative there, at η = 1/100 and 1/200"
        ),
        prose.cases(
            "exactly so for cubic f",
            [
                apart(rate, size, 3) == formula.subs({eta: rate, S: size, mu3: third, f3: 6})
                for rate in rates
                for size in (1, 2)
            ],
            "f = (· − θ)³ for two η and two S, over all batches",
        ),
        prose.order("that is O(η²/S²)", weak, "η", f"E θ³ at t = 1 {how}, η = 1/100 and 1/200"),
        prose.order(
            "is O(η²/S²)", {size: sizes[size] for size in (2, 4)}, "S", f"E θ³ at t = 1 {how}, η = 0.005, S = 2 and 4"
        ),
        prose.order("against O(η) between Gaussian SGD and the SDE", discrete, "η", f"E θ² at t = 1 {how}"),
    ]


CLAIM = Claim(
    module=__name__,
    title="The non-Gaussian part of the gap between SGD and its SDE",
    sources=(Source("Li, Malladi & Arora 2021"),),
    verdict=Verdict.ORDER,
    order="η⁴",
    summary="After one step E f is larger under SGD than under Gaussian SGD by −η³ μ₃ f'''/(6S²) + O(η⁴), exactly"
    " so for cubic f; μ₃ is the third central moment of an example's gradient. Over a fixed time that is "
    "O(η²/S²), against O(η) between Gaussian SGD and the SDE.",
    printed=sp.Eq(
        E(sp.Function("f")(sp.Symbol("theta_SGD"))) - E(sp.Function("f")(sp.Symbol("theta_Gauss"))), gap, evaluate=False
    ),
    assumptions=(
        assumptions.WITH_REPLACEMENT,
        Assumption("f is smooth; it has four derivatives."),
        Assumption("The examples' gradients have four moments."),
    ),
    formula=gap,
    arguments=(eta, S, mu3, f3),
    slip=Slip("1/S for 1/S²", gap * S),
)
