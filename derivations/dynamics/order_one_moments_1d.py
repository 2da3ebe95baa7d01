"""The SDE of SGD (thesis 3.2) against one SGD step, in one dimension: mean and variance over a time η."""

from typing import Any

import sympy as sp

from derivations import assumptions, linear_models, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, c, eta, g

H, L3, L4 = sp.symbols("H L_3 L_4", real=True)  # L'', L''', L'''' at the start
c1, c2, x = sp.symbols("c_1 c_2 x", real=True)  # C', C'' at the start; the displacement θ − θ₀
moved = sp.Symbol("Δθ")
drift, covariance = -(g + H * x + L3 * x**2 / 2 + L4 * x**3 / 6), c + c1 * x + c2 * x**2 / 2
mean = -eta * g + eta**2 / 2 * g * H - eta**3 / 6 * (g * H**2 + g**2 * L3) - eta**3 / (4 * S) * c * L3
variance = eta**2 * c / S - eta**3 / (2 * S) * (2 * H * c + g * c1)


def generator(f):
    """Applies b ∂ + (η/2S) C ∂² to a function of the displacement."""
    return drift * sp.Derivative(f, x) + eta / (2 * S) * covariance * sp.Derivative(f, (x, 2))


def power(f, n, order):
    """𝓛ⁿf at the start, below an order in η."""
    for _ in range(n):
        f = generator(f).doit()
    f = sp.expand(f.subs(x, 0))
    return sum(eta**j * sp.factor(f.coeff(eta, j)) for j in range(order))


def steps(formula):
    """E f(θ_η) = (1 + η𝓛 + (η²/2)𝓛² + …) f, where 𝓛 itself has a term of size η."""
    b, b1, b2, C, C1 = sp.symbols("b b′ b″ C C′")
    means = [eta**n / sp.factorial(n) * power(x, n, order) for n, order in ((1, 1), (2, 2), (3, 1))]
    squares = [eta**n / sp.factorial(n) * power(x**2, n, order) for n, order in ((1, 2), (2, 2), (3, 1))]
    return [
        Step(
            "E f(θ) after a time η is the series f + η𝓛f + (η²/2)𝓛²f + … at the start, with the generator "
            "𝓛 = b∂ + (η/2S)C∂² and the drift b = −L'. For the displacement x = θ − θ₀, 𝓛x is b; and as b' = −H and "
            "b'' = −L₃ at the start,",
            sp.Subs(generator(drift), x, 0),
            H * g - eta / (2 * S) * c * L3,
            name=sp.Symbol("𝓛²x"),
            shown=sp.Eq(b * b1 + eta / (2 * S) * C * b2, H * g - eta / (2 * S) * c * L3, evaluate=False),
        ),
        Step(
            "The third power stands behind η³ and is needed without noise only:",
            sp.Subs(generator(generator(drift).doit()), x, 0),
            -g * H**2 - g**2 * L3,
            order=(eta, 1),
            name=sp.Symbol("𝓛³x"),
            shown=sp.Eq(b * b1**2 + b**2 * b2, -g * H**2 - g**2 * L3, evaluate=False),
        ),
        Step(
            "The series for x is the mean. An SGD step has its first term alone:",
            sum(means),
            formula[0],
            order=(eta, 4),
            name=E(moved),
        ),
        Step(
            "The term η²gH/2 knows nothing of the noise: it is there for S → ∞ too, as the error of gradient flow "
            "against gradient descent, which moves by −ηg:",
            sp.Limit(formula[0] + eta * g, S, sp.oo),
            eta**2 / 2 * g * H,
            order=(eta, 3),
        ),
        Step(
            "For x² the first power is 2xb + (η/S)C, and the second, at the start:",
            sp.Subs(generator(generator(x**2).doit()), x, 0),
            2 * g**2 - eta / S * (2 * H * c + g * c1),
            order=(eta, 2),
            name=sp.Symbol("𝓛²x²"),
            shown=sp.Eq(
                2 * b**2 + eta / S * (b * C1 + 2 * b1 * C), 2 * g**2 - eta / S * (2 * H * c + g * c1), evaluate=False
            ),
        ),
        Step(
            "The variance is the series for x², where 𝓛³x² = 6b²b' + O(η), minus the mean squared. The squares of the "
            "drift cancel. An SGD step has η²c/S; the rest comes in as the slope pulls the early noise back and C is "
            "met further down the hill:",
            sum(squares) - (means[0] + eta**2 / 2 * g * H) ** 2,
            formula[1],
            order=(eta, 4),
            name=Var(moved),
        ),
    ]


def check(formula):
    """θ = exp(y), y an Ornstein–Uhlenbeck process: g and C are not linear, and θ is lognormal at every time."""
    step, size, kappa, start, strength = sp.Rational(1, 10**5), 3, sp.Rational(7, 5), sp.Rational(3, 2), 2
    log, noise = sp.log(start), step * strength**2 / size  # noise: (η/S) s², with C = s²θ²
    # By Itô's formula dθ = θ(−κ ln θ + noise/2) dt + …, so g = θ(κ ln θ − noise/2).
    values = {g: start * (kappa * log - noise / 2), H: kappa * log + kappa - noise / 2, L3: kappa / start}
    values |= {c: strength**2 * start**2, c1: 2 * strength**2 * start, eta: step, S: size}
    log_mean, log_variance = sp.exp(-kappa * step) * log, noise * (1 - sp.exp(-2 * kappa * step)) / (2 * kappa)
    exact_mean = sp.exp(log_mean + log_variance / 2)
    exact = [exact_mean - start, exact_mean**2 * (sp.exp(log_variance) - 1)]
    derived = formula.subs(values)
    return [
        Comparison(
            f"{words} at η = 10⁻⁵ for a lognormal θ, up to 50 η⁴", derived[i].evalf(50), exact[i].evalf(50), bound
        )
        for i, words in enumerate(("mean", "variance"))
        for bound in (50 * step**4,)
    ]


def says(formula):
    """What the summary states, in numbers."""
    means, variances, weak = {}, {}, {}
    for rate in (0.005, 0.0025):  # aθ²/2 with a = 1, 1 or 4 from θ = 1
        mean, square = (linear_models.equation(rate, power, time=rate) for power in (1, 2))
        own, own_square = (linear_models.sgd(rate, power, steps=1) for power in (1, 2))
        means[rate], variances[rate] = mean - own, square - mean**2 - (own_square - own**2)
        weak[rate] = linear_models.equation(rate, 2) - linear_models.sgd(rate, 2)
    names = {"η": eta, "L'": g, "L''": H}
    off: Any = sum(eta**n * sp.expand(formula[0] + eta * g).coeff(eta, n) for n in (1, 2))
    how = "on aθ²/2, a = 1, 1 or 4, from θ = 1 at η = 0.005 and 0.0025"
    return [
        prose.order("of one SGD step up to O(η²)", means, "η", f"the mean of one step {how}"),
        prose.order("and O(η³)", variances, "η", f"the variance of one step {how}"),
        prose.formula("(η²/2) L'L''", off, names),
        prose.cases(
            "is there without noise",
            [off.subs({c: 0, c1: 0, eta: 1, g: 1, H: 1}) != 0],
            "the error of the mean with C = 0",
        ),
        prose.order("add up to O(η)", weak, "η", "E θ² at t = 1, the same"),
    ]


CLAIM = Claim(
    module=__name__,
    title="One SGD step and the SDE over a time η, in one dimension",
    sources=(Source("thesis", "3.2"), Source("Li, Tai & E 2017")),
    verdict=Verdict.ORDER,
    order="η²",
    summary="Over a time η the SDE has the mean and the variance of one SGD step up to O(η²) and O(η³). The mean "
    "is off by (η²/2) L'L'', which is the error of gradient flow against gradient descent and is there "
    "without noise; over a fixed time such steps add up to O(η).",
    printed=sp.Eq(sp.Matrix([E(moved), Var(moved)]), sp.Matrix([-eta * g, eta**2 * c / S]), evaluate=False),
    assumptions=(
        assumptions.NOISE_OF_ORDER_ETA,
        Assumption(
            "L has four derivatives, g, H, L₃ and L₄ at the start. C has two; there it is c and has the slope c₁."
        ),
        assumptions.ITO,
    ),
    formula=sp.Matrix([mean, variance]),
    arguments=(eta, S, g, H, L3, c, c1),
    slip=Slip("the sign of (g·∇)C", sp.Matrix([mean, variance + eta**3 / S * g * c1])),
)
