"""SGD against Gaussian SGD: what one step's non-Gaussian noise does to a smooth function."""

from typing import Any

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, c, eta, g, t

mu3, k4 = sp.symbols("mu_3 kappa_4", real=True)  # third central moment and fourth cumulant of ∇ℓ_i
f0, f1, f2, f3, f4 = sp.symbols("f f_1 f_2 f_3 f_4", real=True)  # f and its derivatives at the start
zeta, q = sp.symbols("zeta q", real=True)  # the noise of a batch's gradient
gap = -(eta**3) * mu3 * f3 / (6 * S**2)


def steps(formula):
    """Cumulants of a batch's mean, then Taylor's formula."""
    one = c * q**2 / 2 + mu3 * q**3 / 6 + k4 * q**4 / 24
    batch = S * one.subs(q, q / S)

    def after(step, third, fourth) -> Any:
        """E f(θ + step) below the fifth order, from the moments of ζ."""
        taylor = f0 + f1 * step + f2 * step**2 / 2 + f3 * step**3 / 6 + f4 * step**4 / 24
        moments = (1, 0, c / S, third, fourth)
        polynomial = sp.Poly(sp.expand(taylor), zeta)
        return sum(polynomial.coeff_monomial(zeta**n) * moment for n, moment in enumerate(moments))

    step = -eta * (g + zeta)
    gaussian = after(step, 0, 3 * c**2 / S**2)
    sgd = after(step, mu3 / S**2, 3 * c**2 / S**2 + k4 / S**3)
    return [
        Step(
            "Cumulants of independent draws add, and the n-th of a mean of S has S/Sⁿ. The third is μ₃/S², where "
            "μ₃ is the third central moment of one example's gradient:",
            sp.diff(batch, q, 3).subs(q, 0),
            mu3 / S**2,
            name=E(zeta**3),
        ),
        Step(
            "A step −η(g + ζ) with Gaussian ζ of the same variance C/S has the same first two moments. In "
            "Taylor's formula for E f the first difference is therefore the third:",
            sgd - gaussian,
            formula,
            order=(eta, 4),
        ),
        Step(
            "For f of third degree nothing else is there at all:",
            (sgd - gaussian).subs(f4, 0),
            formula,
        ),
        Step(
            "A time t takes t/η such steps, so it adds up to O(η²), one order below the discretisation's O(η):",
            sp.limit(t / eta * formula / eta**2, eta, 0),
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
    return [Comparison("E f after SGD less E f after Gaussian SGD, a cubic f", derived, sp.expand(sgd - gaussian))]


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
        Assumption("Batches are drawn with replacement.", sp.Ge(S, 1, evaluate=False)),
        Assumption("f is smooth; it has four derivatives.", sp.Q.finite(f4)),
        Assumption("The examples' gradients have four moments.", sp.Q.finite(k4)),
    ),
    formula=gap,
    arguments=(eta, S, mu3, f3),
    steps=steps,
    check=check,
    slip=Slip("1/S for 1/S²", gap * S),
)
