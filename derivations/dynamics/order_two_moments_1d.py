"""The order-2 modified equation of SGD in one dimension: what of a step's mean and variance it gets right."""

from typing import Any

import mpmath
import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, c, eta, g

H, L3, L4 = sp.symbols("H L_3 L_4", real=True)  # L'', L''', L'''' at the start
c1, c2, x = sp.symbols("c_1 c_2 x", real=True)  # C', C'' at the start; the displacement θ − θ₀
moved = sp.Symbol(r"\Delta\theta")
gradient = g + H * x + L3 * x**2 / 2 + L4 * x**3 / 6
modified = sp.Symbol(r"b(\theta)")
mean = -eta * g + eta**3 * (g * H**2 / 3 + g**2 * L3 / 12 - c * L3 / (4 * S))
variance = eta**2 * c / S - eta**3 / (2 * S) * (2 * H * c + g * c1)


def drift(weight):
    """−∇(L + weight · |∇L|²)."""
    return -gradient - 2 * weight * gradient * sp.diff(gradient, x)


def expectation(f, weight=eta / 4) -> Any:
    """E f(Δθ) after a time η, up to O(η⁴): Σ η^k/k! times the k-th power of the generator, at the start."""
    b, covariance = drift(weight), c + c1 * x + c2 * x**2 / 2
    powers = [f]
    for _ in range(3):
        powers.append(b * sp.diff(powers[-1], x) + eta / (2 * S) * covariance * sp.diff(powers[-1], x, 2))
    total = sp.expand(sum(eta**k / sp.factorial(k) * f.subs(x, 0) for k, f in enumerate(powers)))
    return sum(total.coeff(eta, k) * eta**k for k in range(4))


def steps(formula):
    """The generator's series, now with the drift −g − (η/2) g g'."""
    weight = sp.Symbol("kappa", real=True)
    at_second_order = expectation(x, weight * eta).coeff(eta, 2)
    return [
        Step(
            "Let the drift be −∇(L + κη|∇L|²). At order η² the mean has −2κ L'L'' from the new term and L'L''/2 from "
            "the path's bending; an SGD step has nothing there, so κ = 1/4:",
            at_second_order,
            (sp.Rational(1, 2) - 2 * weight) * g * H,
        ),
        Step(
            "With κ = 1/4 the mean is SGD's −ηg up to η³, where drift and noise leave a rest:",
            expectation(x),
            formula[0],
            order=(eta, 4),
            name=E(moved),
        ),
        Step(
            "The variance is the series for f = x² less the mean squared. The new drift is itself O(η) and moves it at "
            "η⁴ only, so its rest is that of the first-order SDE:",
            expectation(x**2) - expectation(x) ** 2,
            formula[1],
            order=(eta, 4),
            name=Var(moved),
        ),
        Step(
            "SGD's second moment is η²(g² + C/S). Against it too the error is O(η³), all of it from the variance:",
            formula[1] + formula[0] ** 2 - eta**2 * (g**2 + c / S),
            -(eta**3) / (2 * S) * (2 * H * c + g * c1),
            order=(eta, 4),
        ),
        Step(
            "Third moments are of size η³ in both, and their leading parts −η³(g³ + 3gC/S) differ from SGD's by its "
            "third cumulant alone, so a local error O(η³) holds for every polynomial:",
            expectation(x**3),
            formula[0] ** 3 + 3 * formula[0] * formula[1],
            order=(eta, 4),
        ),
    ]


def check(formula):
    """A quartic loss and a quadratic C: the moments' linear equations, cut at x¹², solved by a matrix exponential."""
    step, size, cut = sp.Rational(1, 10**4), 3, 12
    values = {
        g: sp.Rational(3, 2),
        H: sp.Rational(7, 5),
        L3: sp.Rational(-6, 5),
        L4: sp.Rational(4, 3),
        eta: step,
        S: size,
    }
    values |= {c: 2, c1: sp.Rational(-5, 3), c2: sp.Rational(3, 4)}
    b = sp.Poly(drift(eta / 4).subs(values), x).all_coeffs()[::-1]
    a = sp.Poly((eta / S * (c + c1 * x + c2 * x**2 / 2)).subs(values), x).all_coeffs()[::-1]
    with mpmath.workdps(50):
        rates = mpmath.zeros(cut + 1)  # d/dt E x^n = n Σ b_j E x^{n−1+j} + ½ n(n−1) Σ a_j E x^{n−2+j}
        for n in range(1, cut + 1):
            for weight, shift, coefficients in ((n, n - 1, b), (sp.Rational(n * (n - 1), 2), n - 2, a)):
                for j, value in enumerate(coefficients):
                    if 0 <= shift + j <= cut and weight:
                        rates[n, shift + j] += mpmath.mpf((weight * value).p) / (weight * value).q
        moments = mpmath.expm(rates * mpmath.mpf(1) / 10**4, method="taylor")[:, 0]
        exact = [sp.Float(moments[1], 40), sp.Float(moments[2] - moments[1] ** 2, 40)]
    derived = formula.subs(values).evalf(40)
    return [
        Comparison("mean for a quartic loss, η = 10⁻⁴, up to 50 η⁴", derived[0], exact[0], 50 * step**4),
        Comparison("variance for a quartic loss, η = 10⁻⁴, up to 50 η⁴", derived[1], exact[1], 50 * step**4),
    ]


CLAIM = Claim(
    module=__name__,
    title="One step of the order-2 modified equation, in one dimension",
    sources=(Source("Li, Tai & E 2017"), Source("Li, Tai & E 2019")),
    verdict=Verdict.ORDER,
    order="η³",
    summary="With the drift −∇(L + (η/4)|∇L|²) and the diffusion unchanged, a time η has one SGD step's mean and "
    "second moment up to O(η³), so at fixed time the weak error is O(η²). The diffusion needs no "
    "correction because at fixed S the variance is itself O(η²) a step; relative to that variance the "
    "error is still O(η), as it was.",
    printed=sp.Eq(modified, -g - eta / 2 * g * H, evaluate=False),
    assumptions=(
        Assumption("The batch size is fixed while η → 0.", sp.Ge(S, 1, evaluate=False)),
        Assumption("L has four derivatives and C two.", sp.Q.finite(L4)),
        Assumption(
            "The examples' gradients have a third moment, so that SGD's third moment is O(η³) too.",
            sp.Q.finite(E(g**3)),
        ),
    ),
    formula=sp.Matrix([mean, variance]),
    arguments=(eta, S, g, H, L3, c, c1),
    steps=steps,
    check=check,
    slip=Slip(
        "a factor 2 in the modified loss, (η/2)|∇L|², which leaves −(η²/2)gH in the mean",
        sp.Matrix([mean - eta**2 / 2 * g * H, variance]),
    ),
)
