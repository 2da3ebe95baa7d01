"""State-dependent noise in one dimension: the stationary density of the Itô equation, and its heavy tail."""

import mpmath
import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import P, S, eta, lam, theta

c0, c1 = sp.symbols("c_0 c_1", positive=True)  # C(θ) = c0 + c1 θ²


def steps(formula):
    """Current of the Itô equation → density for any C(θ) → a parabola with C = c0 + c1θ²."""
    p, f, g, C = (sp.Function(name)(theta) for name in ("p", "f", "g", "C"))
    half = eta / (2 * S)
    u = sp.Symbol("u", real=True)

    def current(density):
        return -g * density - half * sp.Derivative(C * density, theta)

    general = sp.exp(-sp.Integral((g / C).subs(theta, u), (u, 0, theta)) / half) / C
    noise = c0 + c1 * theta**2
    family = {g: lam * theta, C: noise}
    return [
        Step(
            "The generator of the Itô equation has −g f′ + (η/2S) C f″. Times p it is −f j′ with the current "
            "j = −g p − (η/2S)(C p)′, plus a derivative that integrates to zero. C stands inside the derivative:",
            p * (-g * f.diff(theta) + half * C * f.diff(theta, 2)),
            -f * sp.Derivative(current(p), theta)
            + sp.Derivative(half * (C * p * f.diff(theta) - f * (C * p).diff(theta)) - g * p * f, theta),
        ),
        Step(
            "In one dimension the stationary current is the same at every θ, and zero at infinity. "
            "(1/C) exp(−(2S/η) ∫ g/C) has none, whatever g and C:",
            current(general),
            0,
        ),
        Step(
            "For the loss λθ²/2 and the noise C = c_0 + c_1θ² the integral is a logarithm:",
            sp.Derivative(lam / (2 * c1) * sp.log(noise / c0), theta),
            lam * theta / noise,
        ),
        Step(
            "So the exponential is a power of C, and with 1/C in front, and 1 at θ = 0:",
            (c0 / noise) * (noise / c0) ** (-lam / (2 * c1) / half),
            formula,
        ),
        Step(
            "Its current vanishes:",
            current(formula).subs(family),
            0,
        ),
        Step(
            "As c_1 → 0 the power law becomes the Gaussian of variance ηc_0/(2Sλ):",
            sp.Limit(sp.log(formula), c1, 0),
            -(theta**2) / 2 * (2 * S * lam) / (eta * c0),
        ),
    ]


def check(formula):
    """The generator has mean zero for several f, and E θ² closes by itself; by quadrature with 20 digits."""
    values = {lam: sp.Integer(1), c0: sp.Integer(2), c1: sp.Rational(1, 2), eta: sp.Rational(1, 2), S: sp.Integer(4)}
    density = sp.lambdify(theta, formula.subs(values), "mpmath")
    half, noise = (eta / (2 * S)).subs(values), (c0 + c1 * theta**2).subs(values)

    def expectation(expression):
        function = sp.lambdify(theta, expression, "mpmath")
        ends = [-mpmath.inf, 0, mpmath.inf]
        return oracles.quadrature(lambda x: function(x) * density(x), ends, 20) / oracles.quadrature(density, ends, 20)

    comparisons = [
        Comparison(
            f"E[g f′] = (η/2S) E[C f″] for f = {f}, by quadrature",
            sp.Float(expectation(values[lam] * theta * f.diff(theta)), 20),
            sp.Float(expectation(half * noise * f.diff(theta, 2)), 20),
            1e-15,
        )
        for f in (theta**4, sp.exp(-(theta**2)), sp.atan(theta) * theta)
    ]
    comparisons.append(
        Comparison(
            "E θ² from 0 = −2λ E θ² + (η/S)(c_0 + c_1 E θ²)",
            sp.Float(expectation(theta**2), 20),
            (eta * c0 / (2 * lam * S - eta * c1)).subs(values),
            1e-15,
        )
    )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    noise = c0 + c1 * theta**2
    integral = lam / (2 * c1) * sp.log(noise / c0)  # ∫ λθ/C
    at = {lam: 1, c0: 2, c1: sp.S.Half, S: 4}
    far = formula.subs(at).subs(eta, sp.S.Half)
    power = sp.log(far.subs(theta, 10**6) / far.subs(theta, 10**3)) / sp.log(1000)
    tails = [formula.subs(at).subs({eta: rate, theta: 100}) for rate in (sp.S.Half, 1, 2)]
    other = sp.S.One / 2 * formula.subs({c0: 1, c1: 2}) / formula.subs({c0: 1, c1: 1})
    return [
        prose.formula(
            "(1/C) exp(−(2S/η) ∫ g/C)",
            formula / c0,
            {"C": noise, "S": S, "η": eta, "∫ g/C": integral},
        ),
        prose.cases(
            "which is not a function of the loss alone",
            [not other.has(theta)],
            "whether two noises with the same loss have one density",
        ),
        prose.figure(
            "|θ|^{−2−2λS/(ηc₁)}",
            power,
            "the slope of the logarithm between θ = 10³ and 10⁶, η = 1/2, S = 4, c₀ = 2, c₁ = 1/2, λ = 1",
            {"λ": 1, "S": 4, "η": sp.S.Half, "c₁": sp.S.Half},
            text="−2−2λS/(ηc₁)",
            tolerance=sp.Rational(1, 1000),
        ),
        prose.direction(
            "the larger η/S, the heavier its tails",
            tails,
            "the density at θ = 100 over that at 0 for η = 1/2, 1, 2",
            word="heavier",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stationary density under state-dependent noise",
    sources=(Source("Gardiner, Handbook of Stochastic Methods"), Source("Risken, The Fokker-Planck Equation")),
    verdict=Verdict.CONDITIONAL,
    summary="In one dimension the Itô equation has the stationary density (1/C) exp(−(2S/η) ∫ g/C), which is not "
    "a function of the loss alone. Noise C = c₀ + c₁θ², as in linear regression on random inputs, gives a "
    "power law, |θ|^{−2−2λS/(ηc₁)}: the larger η/S, the heavier its tails.",
    printed=sp.Eq(
        P(theta),
        sp.Symbol("P_0")
        / sp.Function("C")(theta)
        * sp.exp(-2 * S / eta * sp.Integral(sp.Function("g")(theta) / sp.Function("C")(theta), theta)),
        evaluate=False,
    ),
    assumptions=(
        Assumption("One parameter."),
        Assumption("C(θ) > 0: no point stops the process."),
        Assumption("The density can be normalised, and no probability escapes to infinity."),
        Assumption("The formula: g = λθ."),
        Assumption("The formula: C = c₀ + c₁θ²."),
    ),
    formula=(1 + c1 * theta**2 / c0) ** (-1 - lam * S / (eta * c1)),
    arguments=(theta, lam, c0, c1, eta, S),
    slip=Slip(
        "Stratonovich's 1/√C for Itô's 1/C",
        (1 + c1 * theta**2 / c0) ** (-sp.Rational(1, 2) - lam * S / (eta * c1)),
    ),
)
