"""What SGD's finite step and non-Gaussian noise do to the Gibbs law, in one dimension: by order of √η."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import P, T, theta

root = sp.Symbol("r", positive=True)  # √η
skewness, kurtosis = sp.symbols("gamma_3 gamma_4", real=True)  # of a step's noise; the kurtosis is the excess
slope, curvature = sp.symbols("g H", real=True)  # L′ and L″ at θ
squares, cubes = sp.symbols("I_2 I_3", real=True)  # ∫ L′² dθ and ∫ L′³ dθ up to θ
FORMULA = (
    root * skewness * sp.sqrt(2 / T) / 3 * (squares / T - slope)
    + root**2 * (slope**2 / (4 * T) - curvature / 2)
    + root**2 * kurtosis / 6 * (cubes / T**2 - 3 * slope**2 / (2 * T) + curvature)
)


def steps(formula):
    """E f(θ′) = E f(θ) for every f, order by order."""
    loss, f, u = (sp.Function(name)(theta) for name in ("L", "f", "u"))
    g = loss.diff(theta)
    gibbs = sp.exp(-loss / T)
    third = (2 * T) ** sp.Rational(3, 2) * skewness / 6
    fourth = T**2 * (kurtosis + 3) / 6
    integrals = {squares: sp.Integral(g**2, theta), cubes: sp.Integral(g**3, theta)}
    ratio = formula.subs({slope: g, curvature: g.diff(theta)}).subs(integrals)
    first, second = (sp.diff(ratio, root, n).subs(root, 0) / sp.factorial(n) for n in (1, 2))
    z = sp.Symbol("zeta", real=True)
    move = -(root**2) * g + root * sp.sqrt(2 * T) * z
    # Moments of ζ up to the sixth; those beyond the fourth don't reach order r⁴.
    moments = {0: 1, 1: 0, 2: 1, 3: skewness, 4: kurtosis + 3}
    taylor = sp.Poly(sp.expand(sum(move**n / sp.factorial(n) * f.diff((theta, n)) for n in range(1, 5))), z)
    mean = sum(moments[n] * c for (n,), c in taylor.terms())
    expanded = (
        root**2 * (T * f.diff((theta, 2)) - g * f.diff(theta))
        + root**3 * third * f.diff((theta, 3))
        + root**4 * (g**2 * f.diff((theta, 2)) / 2 - T * g * f.diff((theta, 3)) + fourth * f.diff((theta, 4)))
    )
    return [
        Step(
            "A step is θ′ = θ − ηg + √(2ηT) ζ with g = L′, E ζ = 0, E ζ² = 1, E ζ³ = γ₃ and E ζ⁴ = 3 + γ₄. With r = √η "
            "Taylor's formula gives for any f",
            mean,
            expanded,
            order=(root, 5),
            shown=sp.Eq(sp.Symbol("E f(θ′) − f(θ)"), expanded, evaluate=False),
        ),
        Step(
            "At stationarity the mean of that is zero for all f. Integrated by parts against p₀(1 + u), "
            "p₀ = exp(−L/T), its first bracket is a derivative, of f times the flux",
            sp.Derivative(-g * gibbs * u - T * sp.Derivative(gibbs * u, theta), theta),
            -sp.Derivative(T * gibbs * u.diff(theta), theta),
        ),
        Step(
            "Order r³: T p₀ u₁′ balances the third cumulant's flux. This u₁ does it, with an integral of L′² that no "
            "local quantity replaces:",
            T * gibbs * sp.Derivative(first, theta),
            third * sp.Derivative(gibbs, (theta, 2)),
        ),
        Step(
            "Order r⁴ without skewness: the fluxes of the three terms above. For Gaussian noise only local terms are "
            "left, L′²/(4T) − L″/2; the excess kurtosis adds an integral of L′³:",
            T * gibbs * sp.Derivative(second, theta),
            -sp.Derivative(g**2 * gibbs, theta) / 2
            - T * sp.Derivative(g * gibbs, (theta, 2))
            - fourth * sp.Derivative(gibbs, (theta, 3)),
        ),
        Step(
            "At a minimum L′ = 0, so there the density changes by the factor 1 + u with",
            sp.Subs(formula, slope, 0),
            root * skewness * sp.sqrt(2) * squares / (3 * T ** sp.Rational(3, 2))
            - root**2 * curvature / 2
            + root**2 * kurtosis / 6 * (cubes / T**2 + curvature),
            name=sp.Function("u")(sp.Symbol("θ_A")),
        ),
    ]


def check(formula):
    """E f(θ′) = E f(θ) for a tilted double well, with noise of two or three values put into f itself."""
    loss = theta**4 / 4 - theta**2 / 2 + theta / 5
    force, temperature = loss.diff(theta), sp.Rational(1, 4)
    values = {slope: force, curvature: loss.diff(theta, 2), T: temperature}
    values |= {squares: sp.integrate(sp.expand(force**2), theta), cubes: sp.integrate(sp.expand(force**3), theta)}
    gibbs = sp.lambdify(theta, sp.exp(-loss / temperature), "mpmath")

    def mean(expression):
        """Against exp(−L/T), by quadrature."""
        function = sp.lambdify(theta, expression, "mpmath")
        ends = [-6, -1, 0, 1, 6]
        return sp.Float(oracles.quadrature(lambda x: function(x) * gibbs(x), ends, 25), 25)

    def moved(f, law):
        """E f(θ′) − f(θ) over the values of ζ: a polynomial in √η and θ."""
        noise = sp.sqrt(2 * temperature)
        ends = sum(p * f.subs(theta, theta - root**2 * force + root * noise * z) for z, p in law)
        return sp.Poly(sp.expand(ends - f), root)

    # ζ = 2 or −1/2: mean 0, variance 1, γ₃ = 3/2; ζ = ±2 or 0: γ₃ = 0, γ₄ = 1.
    skewed = [(sp.Integer(2), sp.Rational(1, 5)), (-sp.Rational(1, 2), sp.Rational(4, 5))]
    heavy = [(sp.Integer(2), sp.Rational(1, 8)), (sp.Integer(-2), sp.Rational(1, 8)), (sp.S.Zero, sp.Rational(3, 4))]
    cases = [
        ("γ₃ = 3/2: order √η", skewed, {skewness: sp.Rational(3, 2), kurtosis: 0}, 1),
        ("γ₃ = 0, γ₄ = 1: order η", heavy, {skewness: 0, kurtosis: 1}, 2),
    ]
    comparisons = []
    for words, law, shape, order in cases:
        change = sp.expand(formula.subs(values | shape)).coeff(root, order)
        for f in (theta, theta**2, theta**3):
            generator = -force * f.diff(theta) + temperature * f.diff(theta, 2)
            comparisons.append(
                Comparison(
                    f"{words} of E[f(θ′) − f(θ)], f = {f}: what the Gibbs law leaves, and what the change cancels",
                    -mean(sp.expand(change * generator)),
                    mean(moved(f, law).coeff_monomial(root ** (order + 2))),
                    1e-18,
                )
            )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="SGD's finite step beside the Gibbs law",
    sources=(Source("after Talay & Tubaro 1990", place="the expansion of the error in the step"),),
    verdict=Verdict.ORDER,
    order="√η (η without skewness)",
    summary="At the same temperature SGD's own stationary law is exp(−L/T)(1 + u). Skewed minibatch noise changes it "
    "at order √η, by an integral of L′² along the way, which shifts the odds of basins; a finite step and excess "
    "kurtosis change it at order η. For Gaussian noise of constant variance that change is local, L′²/(4T) − L″/2: it "
    "favours flat minima beyond what the Gibbs law does.",
    printed=sp.Eq(P(theta), sp.exp(-sp.Function("L")(theta) / T), evaluate=False),
    assumptions=(
        Assumption("One dimension.", sp.Eq(sp.Symbol("D", positive=True, integer=True), 1, evaluate=False)),
        Assumption("The noise of a step doesn't depend on θ: tilted copies of one loss.", sp.Q.positive(T)),
        Assumption(
            "η → 0 at fixed T and fixed skewness γ₃ and excess kurtosis γ₄ of a step's noise.",
            sp.Lt(root**2 * curvature, 1, evaluate=False),
        ),
        Assumption(
            "Terms of order ηγ₃² are left out: the order η is complete for γ₃ = 0.", sp.Eq(skewness, 0, evaluate=False)
        ),
    ),
    formula=FORMULA,
    arguments=(root, T, skewness, kurtosis, slope, curvature, squares, cubes),
    steps=steps,
    check=check,
    slip=Slip(
        "the third cumulant with the wrong sign, and the finite step halved",
        FORMULA.subs(skewness, -skewness) - root**2 * (slope**2 / (8 * T) - curvature / 4),
    ),
)
