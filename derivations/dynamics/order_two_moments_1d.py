"""The order-2 modified equation of SGD in one dimension: what of a step's mean and variance it gets right."""

from typing import Any

import mpmath
import sympy as sp

from derivations import assumptions, linear_models, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, c, eta, g

H, L3, L4 = sp.symbols("H L_3 L_4", real=True)  # L'', L''', L'''' at the start
c1, c2, x = sp.symbols("c_1 c_2 x", real=True)  # C', C'' at the start; the displacement θ − θ₀
moved = sp.Symbol("Δθ")
gradient = g + H * x + L3 * x**2 / 2 + L4 * x**3 / 6
covariance = c + c1 * x + c2 * x**2 / 2
mean = -eta * g + eta**3 * (g * H**2 / 3 + g**2 * L3 / 12 - c * L3 / (4 * S))
variance = eta**2 * c / S - eta**3 / (2 * S) * (2 * H * c + g * c1)


def drift(weight):
    """−∇(L + weight · |∇L|²)."""
    return -gradient - 2 * weight * gradient * sp.diff(gradient, x)


def power(f, n, order, weight=eta / 4) -> Any:
    """The term η^n/n! 𝓛ⁿf at the start, 𝓛ⁿf below an order in η."""
    b, spread = drift(weight), eta / (2 * S) * covariance
    if order == 1:
        b, spread = -gradient, 0
    for _ in range(n):
        f = b * sp.diff(f, x) + spread * sp.diff(f, x, 2)
    f = sp.expand(f.subs(x, 0))
    return eta**n / sp.factorial(n) * sum(eta**j * sp.factor(f.coeff(eta, j)) for j in range(order))


def steps(formula):
    """The generator's series, now with the drift −g − (η/2) g g'."""
    weight = sp.Symbol("kappa", real=True)
    third = sum(power(x**3, n, order) for n, order in ((2, 2), (3, 1)))
    return [
        Step(
            "E f(θ) after a time η is the series f + η𝓛f + (η²/2)𝓛²f + … at the start, 𝓛 = b∂ + (η/2S)C∂². Let the "
            "drift be b = −∇(L + κη|∇L|²), so 𝓛x = b = −g − 2κηgH and 𝓛²x = bb' + … = gH + …:",
            power(x, 1, 2, weight * eta) + power(x, 2, 1, weight * eta),
            -eta * g + eta**2 * (sp.Rational(1, 2) - 2 * weight) * g * H,
            order=(eta, 3),
            name=E(moved),
        ),
        Step(
            "An SGD step has the mean −ηg, hence κ = 1/4. The next order, from 𝓛x, 𝓛²x and 𝓛³x in turn, leaves a rest "
            "with the noise in it:",
            power(x, 1, 2) + power(x, 2, 2) + power(x, 3, 1),
            formula[0],
            order=(eta, 4),
            name=E(moved),
        ),
        Step(
            "The variance is the series for x² minus the mean squared. The first term is SGD's. The new drift is "
            "itself O(η) and moves the variance at η⁴ only, so its rest is that of the first-order SDE:",
            power(x**2, 1, 2) + power(x**2, 2, 2) + power(x**2, 3, 1) - (eta * g) ** 2,
            formula[1],
            order=(eta, 4),
            name=Var(moved),
        ),
        Step(
            "SGD's second moment is η²(g² + c/S). Against it too the error is O(η³), all of it from the variance:",
            sp.Add(formula[1], (eta * g) ** 2, -(eta**2) * (g**2 + c / S), evaluate=False),
            -(eta**3) / (2 * S) * (2 * H * c + g * c1),
            order=(eta, 4),
            name=E(moved**2) - E(sp.Symbol("Δθ_SGD") ** 2),
        ),
        Step(
            "Third moments are of size η³ in both: the SDE's is this, and SGD's has its third cumulant besides. So the "
            "error of a step is O(η³) for every polynomial, and over a time t, in t/η steps, it is O(η²):",
            third,
            -(eta**3) * (g**3 + 3 * g * c / S),
            order=(eta, 4),
            name=E(moved**3),
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


def says(formula):
    """What the summary states, in numbers."""
    means, squares, weak, own, spreads = {}, {}, {}, {}, {}
    for rate in (0.005, 0.0025):  # aθ²/2 with a = 1, 1 or 4 from θ = 1
        mean, square = (linear_models.equation(rate, power, order=2, time=rate) for power in (1, 2))
        sgd, sgd_square = (linear_models.sgd(rate, power, steps=1) for power in (1, 2))
        means[rate], squares[rate] = mean - sgd, square - sgd_square
        own[rate] = sgd_square - sgd**2
        spreads[rate] = (square - mean**2 - own[rate]) / own[rate]
        weak[rate] = linear_models.equation(rate, 2, order=2) - linear_models.sgd(rate, 2)
    how = "on aθ²/2, a = 1, 1 or 4, from θ = 1 at η = 0.005 and 0.0025"
    place = sp.Symbol("place", positive=True)
    along = {g: H * place, L3: 0, L4: 0, x: 0}  # L = Hθ²/2
    added = -sp.integrate((drift(eta / 4) + gradient).subs(along), place)
    return [
        prose.formula("−∇(L + (η/4)|∇L|²)", added, {"η": eta, "|∇L|²": (H * place) ** 2}, text="(η/4)|∇L|²"),
        prose.order("mean and second moment up to O(η³)", means, "η", f"the mean of one step {how}"),
        prose.order("second moment up to O(η³)", squares, "η", f"the second moment of one step {how}"),
        prose.order("the weak error is O(η²)", weak, "η", "E θ² at t = 1, the same"),
        prose.order("the variance is itself O(η²) a step", own, "η", f"of SGD {how}"),
        prose.order("the error is still O(η)", spreads, "η", f"of one step's variance, relative, {how}"),
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
    printed=sp.Eq(sp.Symbol("b"), -g - eta / 2 * g * H, evaluate=False),
    assumptions=(
        assumptions.FIXED_BATCH_SIZE,
        Assumption("L has four derivatives and C two."),
        Assumption("The examples' gradients have a third moment, so that SGD's third moment is O(η³) too."),
    ),
    formula=sp.Matrix([mean, variance]),
    arguments=(eta, S, g, H, L3, c, c1),
    slip=Slip(
        "a factor 2 in the modified loss, (η/2)|∇L|², which leaves −(η²/2)gH in the mean",
        sp.Matrix([mean - eta**2 / 2 * g * H, variance]),
    ),
)
