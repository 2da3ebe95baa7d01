"""Moments of geometric Brownian motion in Itô's reading, and the mean in Stratonovich's."""

import itertools

import mpmath
import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, Var, t

a, s, w = sp.symbols("a s w", real=True)  # dX = −aX dt + sX dW; a standard Gaussian
x0 = sp.Symbol("x_0", positive=True)
X = sp.Function("X")(t)
moments = sp.Matrix([x0 * sp.exp(-a * t), x0**2 * sp.exp((s**2 - 2 * a) * t), x0 * sp.exp((s**2 / 2 - a) * t)])


def steps(formula):
    """The solution by Itô's formula, then Gaussian integrals."""
    density = sp.exp(-(w**2) / 2) / sp.sqrt(2 * sp.pi)
    solution = x0 * sp.exp(-(a + s**2 / 2) * t + s * sp.sqrt(t) * w)
    y = sp.Symbol("X", positive=True)
    return [
        Step(
            "Itô's formula: with the generator 𝓛 = −aX ∂ + (s²X²/2) ∂², d ln X = (𝓛 ln X) dt + s dW, where",
            -a * y * sp.Derivative(sp.log(y), y) + s**2 * y**2 / 2 * sp.Derivative(sp.log(y), (y, 2)),
            -a - s**2 / 2,
            name=sp.Function("𝓛")(sp.log(y)),
        ),
        Step(
            "So ln X is a Brownian motion with a constant drift, and X = x₀ exp(−(a + s²/2)t + s√t w) with a standard "
            "Gaussian w. The Gaussian integral is the mean; the s²/2 cancels:",
            sp.Integral(solution * density, (w, -sp.oo, sp.oo)),
            formula[0],
            name=E(X),
        ),
        Step(
            "and of its square the second moment:",
            sp.Integral(solution**2 * density, (w, -sp.oo, sp.oo)),
            formula[1],
            name=E(X**2),
        ),
        Step(
            "In Stratonovich's reading the ordinary chain rule gives X = x₀ exp(−at + s√t w), and the mean keeps s²/2:",
            sp.Integral(x0 * sp.exp(-a * t + s * sp.sqrt(t) * w) * density, (w, -sp.oo, sp.oo)),
            formula[2],
            name=sp.Function("E_S")(X),
        ),
        Step(
            "The noise leaves Itô's mean alone, and spreads X ever wider relative to it:",
            formula[1] / formula[0] ** 2 - 1,
            sp.exp(s**2 * t) - 1,
            name=Var(X) / E(X) ** 2,
        ),
    ]


def check(formula):
    """Recursions of the moments of Euler (Itô) and Heun (Stratonovich) on n and 2n steps, extrapolated."""
    with mpmath.workdps(40):

        def limit(one_step):
            """Richardson's extrapolation in the step over halvings."""
            row = [one_step(time / 2**k) ** (2**k) for k in range(8, 18)]
            for order in range(1, len(row)):
                row = [(2**order * fine - coarse) / (2**order - 1) for coarse, fine in itertools.pairwise(row)]
            return sp.Float(row[0], 30)

        rate, strength, time = mpmath.mpf(7) / 5, mpmath.mpf(4) / 5, mpmath.mpf(1)
        first = limit(lambda d: 1 - rate * d)
        second = limit(lambda d: (1 - rate * d) ** 2 + strength**2 * d)
        # Heun: X' = X(1 + z + z²/2) with z = −a d + s ΔW, so E = 1 − ad + ((ad)² + s²d)/2.
        heun = limit(lambda d: 1 - rate * d + ((rate * d) ** 2 + strength**2 * d) / 2)
    derived = formula.subs({a: sp.Rational(7, 5), s: sp.Rational(4, 5), t: 1, x0: sp.Rational(3, 2)}).evalf(30)
    half = sp.Rational(3, 2)
    return [
        Comparison("Itô mean, as the limit of Euler steps", derived[0], half * first, 1e-22),
        Comparison("Itô second moment, likewise", derived[1], half**2 * second, 1e-22),
        Comparison("Stratonovich mean, as the limit of Heun steps", derived[2], half * heun, 1e-22),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"x₀": x0, "a": a, "s": s, "t": t}
    return [
        prose.formula("the mean x₀ exp(−at)", formula[0], names, text="x₀ exp(−at)"),
        prose.cases(
            "free of the noise", [formula[0].subs(s, 0) == formula[0].subs(s, 3)], "the mean at s = 0 and s = 3"
        ),
        prose.formula("x₀² exp((s² − 2a)t)", formula[1], names),
        prose.formula("x₀ exp((s²/2 − a)t)", formula[2], names),
    ]


CLAIM = Claim(
    module=__name__,
    title="Moments of geometric Brownian motion",
    sources=(Source("Kloeden & Platen 1992"),),
    verdict=Verdict.EXACT,
    summary="Itô's geometric Brownian motion dX = −aX dt + sX dW has the mean x₀ exp(−at), free of the noise, and "
    "the second moment x₀² exp((s² − 2a)t). The same equation read in Stratonovich's sense has the mean "
    "x₀ exp((s²/2 − a)t): a test of which of the two an integrator converges to.",
    printed=sp.Eq(sp.Tuple(E(X), E(X**2)), sp.Tuple(moments[0], moments[1]), evaluate=False),
    assumptions=(
        Assumption("dX = −aX dt + sX dW with constant a and s."),
        Assumption("A positive start."),
    ),
    formula=moments,
    arguments=(t, a, s, x0),
    slip=Slip("Stratonovich's mean for Itô's", sp.Matrix([moments[2], moments[1], moments[2]])),
)
