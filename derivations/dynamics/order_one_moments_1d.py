"""The SDE of SGD (thesis 3.2) against one SGD step, in one dimension: mean and variance over a time η."""

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, Var, c, eta, g

H, L3, L4 = sp.symbols("H L_3 L_4", real=True)  # L'', L''', L'''' at the start
c1, c2, x = sp.symbols("c_1 c_2 x", real=True)  # C', C'' at the start; the displacement θ − θ₀
moved = sp.Symbol(r"\Delta\theta")
mean = -eta * g + eta**2 / 2 * g * H - eta**3 / 6 * (g * H**2 + g**2 * L3) - eta**3 / (4 * S) * c * L3
variance = eta**2 * c / S - eta**3 / (2 * S) * (2 * H * c + g * c1)


def generator(f):
    """Applies −g(θ) ∂ + (η/2S) C(θ) ∂² to a function of the displacement."""
    drift = -(g + H * x + L3 * x**2 / 2 + L4 * x**3 / 6)
    covariance = c + c1 * x + c2 * x**2 / 2
    return sp.expand(drift * sp.diff(f, x) + eta / (2 * S) * covariance * sp.diff(f, x, 2))


def expectation(f):
    """E f(Δθ) after a time η, up to O(η⁴): Σ η^k/k! times the k-th power of the generator, at the start."""
    powers = [f]
    for _ in range(3):
        powers.append(generator(powers[-1]))
    return sum(eta**k / sp.factorial(k) * f.subs(x, 0) for k, f in enumerate(powers))


def steps(formula):
    """E f(θ_η) = (1 + η𝓛 + (η²/2)𝓛² + …) f, where 𝓛 itself has a term of size η."""
    return [
        Step(
            "The generator is 𝓛 = −g ∂ + (η/2S) C ∂². On the displacement x it gives −g(θ), and applied once more, at "
            "the start:",
            generator(generator(x)).subs(x, 0),
            g * H - eta / (2 * S) * c * L3,
            name=sp.Symbol(r"\mathcal{L}^2 x"),
        ),
        Step(
            "The third power needs only its part without noise, since η³ stands before it:",
            generator(generator(generator(x))).subs(x, 0),
            -g * H**2 - g**2 * L3,
            order=(eta, 1),
            name=sp.Symbol(r"\mathcal{L}^3 x"),
        ),
        Step("The mean is the sum of the series for f = x:", expectation(x), formula[0], order=(eta, 4), name=E(moved)),
        Step(
            "The variance is the series for f = x² less the mean squared; the squares of the drift cancel:",
            expectation(x**2) - expectation(x) ** 2,
            formula[1],
            order=(eta, 4),
            name=Var(moved),
        ),
        Step(
            "An SGD step has the mean −ηg and the variance η²C/S. The SDE's mean is off by a term that knows nothing "
            "of the noise:",
            formula[0] + eta * g,
            eta**2 / 2 * g * H,
            order=(eta, 3),
        ),
        Step(
            "and its variance by a term one order higher: the slope pulls the early noise back, and C is met further "
            "down the hill:",
            formula[1] - eta**2 * c / S,
            -(eta**3) / (2 * S) * (2 * H * c + g * c1),
            order=(eta, 4),
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
        Assumption(
            "The batch size is fixed while η → 0, so the noise's strength η/S counts as O(η).",
            sp.Ge(S, 1, evaluate=False),
        ),
        Assumption("L has four derivatives and C two.", sp.Q.finite(L4)),
        Assumption("Itô's reading of the SDE.", sp.Q.nonnegative(c)),
    ),
    formula=sp.Matrix([mean, variance]),
    arguments=(eta, S, g, H, L3, c, c1),
    steps=steps,
    check=check,
    slip=Slip("the sign of (g·∇)C", sp.Matrix([mean, variance + eta**3 / S * g * c1])),
)
