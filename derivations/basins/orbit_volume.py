"""Weight of a whole orbit of minima: a continuous symmetry replaces k Gaussian integrals by the orbit's volume."""

import itertools
import math

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, T, k, lam, theta

volume = sp.Symbol("V", positive=True)  # k-dimensional volume of the orbit
L_A = sp.Symbol("L_A", real=True)  # the loss on it
det_A = sp.Symbol("det′H_A", positive=True)  # product of the D − k eigenvalues of H that aren't zero


def steps(formula):
    """A sphere of minima by its radial integral, then further normal directions one by one."""
    eps, rho, p = sp.symbols("epsilon rho p", positive=True)  # ε = √T, radius, a curvature
    x, L_3, L_4, phi, chi = sp.symbols("x L_3 L_4 phi chi", real=True)
    excess = lam * x**2 / 2 + eps * L_3 * x**3 / 6 + eps**2 * L_4 * x**4 / 24
    linear = (D - 1) * x / rho - L_3 * x**3 / 6
    gaussian = sp.exp(-lam * x**2 / 2)
    return [
        Step(
            "L depends on r = |θ| alone and is least on the sphere r = ρ, an orbit of dimension k = D − 1. Its "
            "volume V is what the angles integrate to; for D = 3:",
            sp.Integral(rho**2 * sp.sin(phi), (phi, 0, sp.pi), (chi, 0, 2 * sp.pi)),
            4 * sp.pi * rho**2,
            name=volume,
        ),
        Step(
            "In the radial integral r = ρ + εx, ε = √T; both the Jacobian (r/ρ)^(D−1) and the exponent start a "
            "relative correction at order ε, and that one is odd in x:",
            (1 + eps * x / rho) ** (D - 1) * sp.exp(-sp.expand(excess)),
            gaussian * (1 + eps * linear),
            order=(eps, 2),
        ),
        Step(
            "So the relative error is O(T), and the weight is the volume times the one Gaussian integral left:",
            volume * eps * sp.exp(-L_A / eps**2) * sp.Integral(gaussian, (x, -sp.oo, sp.oo)),
            formula.subs({k: D - 1, det_A: lam}).subs(T, eps**2),
        ),
        Step(
            "Each further direction normal to the orbit, of curvature p, multiplies by its own Gaussian integral. The "
            "group carries one point's normal space to any other's, so this holds all along the orbit:",
            formula * sp.Integral(sp.exp(-p * theta**2 / (2 * T)), (theta, -sp.oo, sp.oo)),
            formula.subs({D: D + 1, det_A: p * det_A}, simultaneous=True),
        ),
        Step(
            "Against an isolated minimum of curvature p in place of one orbit direction, the weight grows by "
            "a factor, so at equal loss the odds of a continuous orbit rise without bound as T falls:",
            sp.Mul(
                volume,
                sp.Pow(p / (2 * sp.pi * T), sp.Rational(1, 2), evaluate=False),
                formula.subs({k: 0, volume: 1, det_A: p * det_A}, simultaneous=True),
                evaluate=False,
            ),
            formula.subs(k, 1),
        ),
    ]


def check(formula):
    """Trapezium sums in Cartesian coordinates; the ring's integral is known in closed form too."""

    def weight(loss, temperature, spacing, reaches):
        axes = [[spacing * i for i in range(-reach, reach + 1)] for reach in reaches]
        return spacing ** len(axes) * math.fsum(math.exp(-loss(*x) / temperature) for x in itertools.product(*axes))

    def hat(*x):
        return (sum(y * y for y in x) - 1) ** 2 / 4

    def coupled(x, y, z):
        return hat(x, y) + 1.5 * z * z + (x * x + y * y - 1) * z / 2

    def limit(loss, heights, values):
        ratios = []
        for n in (10, 20, 40):
            reaches = [round(4 * math.sqrt(n))] * heights[0] + [10] * heights[1]
            number = weight(loss, 1 / n, 0.5 / math.sqrt(n), reaches)
            ratios.append(number / formula.subs(values).subs(T, sp.Rational(1, n)).evalf())
        return (ratios[0] - 6 * ratios[1] + 8 * ratios[2]) / 3

    exact = sp.pi * sp.sqrt(sp.pi * T) * (1 + sp.erf(1 / (2 * sp.sqrt(T))))
    return [
        Comparison(
            "the ring of (r² − 1)²/4 at T = 1/100 against its integral in closed form (its O(T) term vanishes)",
            formula.subs({D: 2, k: 1, volume: 2 * sp.pi, det_A: 2, L_A: 0, T: sp.Rational(1, 100)}).evalf(),
            exact.subs(T, sp.Rational(1, 100)).evalf(),
            1e-10,
        ),
        Comparison(
            "the sphere of (r² − 1)²/4 in three dimensions: sum/formula at T = 1/10, 1/20, 1/40 extrapolated to 0",
            limit(hat, (3, 0), {D: 3, k: 2, volume: 4 * sp.pi, det_A: 2, L_A: 0}),
            1,
            1e-2,
        ),
        Comparison(
            "a ring in three dimensions whose two normal directions are coupled, extrapolated alike",
            limit(coupled, (2, 1), {D: 3, k: 1, volume: 2 * sp.pi, det_A: 5, L_A: 0}),
            1,
            1e-2,
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"V": volume, "T": T, "D": D, "k": k, "L_A": L_A, "det′H": det_A}
    off = {}
    for n in (20, 40):  # the sphere of (r² − 1)²/4 in three dimensions: ∫ 4πr² exp(−n(r² − 1)²/4) dr
        spacing = 0.002
        radial = math.fsum(
            4 * math.pi * (spacing * i) ** 2 * math.exp(-n * ((spacing * i) ** 2 - 1) ** 2 / 4) for i in range(1, 2000)
        )
        values = {D: 3, k: 2, volume: 4 * sp.pi, det_A: 2, L_A: 0, T: sp.Rational(1, n)}
        off[sp.Rational(1, n)] = spacing * radial / float(formula.subs(values).evalf()) - 1
    return [
        prose.formula("V(2πT)^((D−k)/2) exp(−L_A/T)/√det′H", formula, names),
        prose.cases(
            "det′ the product of the eigenvalues that aren't zero",
            [sp.hessian((theta**2 + lam**2 - 1) ** 2 / 4, (theta, lam)).subs({theta: 1, lam: 0}).eigenvals() == {2: 2}],
            "whether both eigenvalues of (r² − 1)²/4 at (1, 0) are 2",
        ),
        prose.order(
            "up to a relative O(T)", off, "T", "the sphere of (r² − 1)²/4 by its radial sum, T = 1/20 and 1/40"
        ),
        prose.cases(
            "An isolated minimum's formula would be infinite there",
            [sp.limit(formula.subs({D: 2, k: 1, volume: 1, L_A: 0, T: 1}), det_A, 0, "+") == sp.oo],
            "its limit as one more eigenvalue goes to 0",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Weight of an orbit of minima under a continuous symmetry",
    sources=(Source("the method of collective coordinates in Laplace's method"),),
    verdict=Verdict.ORDER,
    order="T",
    summary="A k-dimensional orbit of equivalent minima has weight V(2πT)^((D−k)/2) exp(−L_A/T)/√det′H, with V its "
    "volume and det′ the product of the eigenvalues that aren't zero, up to a relative O(T). An isolated minimum's "
    "formula would be infinite there.",
    printed=sp.Eq(
        sp.Integral(sp.exp(-sp.Function("L")(theta) / T), theta),
        volume * (2 * sp.pi * T) ** ((D - k) / 2) / sp.sqrt(det_A) * sp.exp(-L_A / T),
        evaluate=False,
    ),
    assumptions=(
        Assumption("The symmetry acts by orthogonal maps, and its group is compact."),
        Assumption("H is positive definite on the D − k directions normal to the orbit."),
        assumptions.SMALL_TEMPERATURE,
    ),
    formula=volume * (2 * sp.pi * T) ** ((D - k) / 2) / sp.sqrt(det_A) * sp.exp(-L_A / T),
    arguments=(T, D, k, volume, L_A, det_A),
    slip=Slip("D for D − k", volume * (2 * sp.pi * T) ** (D / 2) / sp.sqrt(det_A) * sp.exp(-L_A / T)),
)
