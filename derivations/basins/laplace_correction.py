"""Laplace's method in one dimension, next order: what the third and fourth derivatives do to a basin's weight."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import T, lam, theta

L_3, L_4 = sp.symbols("L_3 L_4", real=True)  # third and fourth derivative of L at the minimum


def steps(formula):
    """θ = θ_A + ε x/√λ with ε = √T, the exponential expanded, Gaussian moments."""
    eps = sp.Symbol("epsilon", positive=True)
    x, L_5, L_6 = sp.symbols("x L_5 L_6", real=True)
    u = eps * x / sp.sqrt(lam)
    beyond = sp.expand((L_3 * u**3 / 6 + L_4 * u**4 / 24 + L_5 * u**5 / 120 + L_6 * u**6 / 720) / eps**2)
    first = -L_3 * x**3 / (6 * lam ** sp.Rational(3, 2))
    second = L_3**2 * x**6 / (72 * lam**3) - L_4 * x**4 / (24 * lam**2)
    gaussian = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
    line, phi = (x, -sp.oo, sp.oo), sp.Function("φ")(x)
    moments = [sp.Integral(x**n * gaussian, line) for n in (3, 4, 6)]
    series = 1 + eps * first + eps**2 * second
    return [
        Step(
            "With θ = θ_A + εx/√λ and ε = √T, exp(−(L − L_A)/T) is exp(−x²/2) times a factor that is near one:",
            sp.exp(-beyond),
            series,
            order=(eps, 3),
        ),
        Step(
            "Its mean is taken under the standard normal density φ, whose moments are:",
            sp.Matrix(moments),
            sp.Matrix([0, 3, 15]),
            shown=sp.Eq(
                sp.Matrix([sp.Integral(x**n * phi, line) for n in (3, 4, 6)]), sp.Matrix([0, 3, 15]), evaluate=False
            ),
        ),
        Step(
            "The term in ε is odd and drops out, as do ε³ and all odd ones, so the error is O(ε⁴) = O(T²). The mean "
            "multiplies Laplace's leading term √(2πT/λ) exp(−L_A/T):",
            sp.Integral(sp.expand(series * gaussian), line),
            formula.subs(T, eps**2),
            shown=sp.Eq(sp.Integral(series * phi, line), formula.subs(T, eps**2), evaluate=False),
        ),
    ]


def check(formula):
    """Quadrature of an asymmetric basin in 30 digits: (integral/leading term − 1)/T, extrapolated to T = 0."""
    loss = theta**2 * sp.exp(theta / 2) + theta**4
    second, third, fourth = (sp.diff(loss, theta, n).subs(theta, 0) for n in (2, 3, 4))
    function = sp.lambdify(theta, loss, "mpmath")
    slopes = []
    for denominator in (100, 200, 400):
        temperature = mpmath.mpf(1) / denominator
        points = [mpmath.sqrt(temperature) * n for n in (-12, -4, 0, 4, 12)]
        integral = oracles.quadrature(lambda x, t=temperature: mpmath.exp(-function(x) / t), points)
        slopes.append((integral / mpmath.sqrt(2 * mpmath.pi * temperature / int(second)) - 1) / temperature)
    derived = (formula.subs({lam: second, L_3: third, L_4: fourth}) - 1) / T
    return [
        Comparison(
            "θ² exp(θ/2) + θ⁴: the relative error of the leading term divided by T, at T = 1/100, 1/200, 1/400, "
            "extrapolated to T = 0",
            sp.simplify(derived).evalf(),
            (slopes[0] - 6 * slopes[1] + 8 * slopes[2]) / 3,
            2e-3,
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"T": T, "L‴": L_3, "L″": lam, "L⁗": L_4}
    at = {T: sp.Rational(1, 100), lam: 1}
    lopsided = [formula.subs({**at, L_4: 0, L_3: value}) for value in (0, 1, 2)]
    steep = [formula.subs({**at, L_3: 0, L_4: value}) for value in (0, 1, 2)]
    off = {}
    for n in (100, 200):
        basin = lambda x, n=n: mpmath.exp(-n * (x**2 / 2 + x**3 / 3 + x**4))  # noqa: E731
        found = oracles.quadrature(basin, (-1, -0.3, 0, 0.3, 1)) / mpmath.sqrt(2 * mpmath.pi / n)
        off[sp.Rational(1, n)] = sp.Float(found, 25) - formula.subs({T: sp.Rational(1, n), lam: 1, L_3: 2, L_4: 24})
    return [
        prose.formula(
            "Laplace's leading term times 1 + T(5L‴²/(24L″³) − L⁗/(8L″²))",
            formula,
            names,
            text="1 + T(5L‴²/(24L″³) − L⁗/(8L″²))",
        ),
        prose.order(
            "up to T²", off, "T", "the weight of x²/2 + x³/3 + x⁴ by quadrature, T = 1/100 and 1/200", text="T²"
        ),
        prose.direction("Asymmetry adds weight", lopsided, "the factor for L‴ = 0, 1, 2 with L″ = 1, T = 1/100"),
        prose.direction(
            "a positive fourth derivative takes it away", steep, "the factor for L⁗ = 0, 1, 2 with L″ = 1, T = 1/100"
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="First correction to Laplace's method",
    sources=(Source("Bender & Orszag 1978", place="chapter 6"),),
    verdict=Verdict.ORDER,
    order="T²",
    summary="The weight of a one-dimensional basin is Laplace's leading term times "
    "1 + T(5L‴²/(24L″³) − L⁗/(8L″²)), up to T². Asymmetry adds weight, a positive fourth derivative takes it away; "
    "curvature is a good measure of a basin only while this correction is small.",
    printed=sp.Eq(
        sp.Integral(sp.exp(-sp.Function("L")(theta) / T), theta),
        sp.Mul(
            sp.Pow(2 * sp.pi * T / lam, sp.Rational(1, 2), evaluate=False),
            sp.exp(-sp.Symbol("L_A") / T),
            1 + T * (5 * L_3**2 / (24 * lam**3) - L_4 / (8 * lam**2)),
            evaluate=False,
        ),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The minimum is non-degenerate, L″ = λ > 0."),
        assumptions.SIX_DERIVATIVES,
        assumptions.NOTHING_BEYOND_BARRIER,
    ),
    formula=1 + T * (5 * L_3**2 / (24 * lam**3) - L_4 / (8 * lam**2)),
    arguments=(T, lam, L_3, L_4),
    slip=Slip("3 for 5: the moment E x⁶ taken as 9", 1 + T * (L_3**2 / (8 * lam**3) - L_4 / (8 * lam**2))),
)
