"""Laplace's method: the weight ∫ exp(−L/T) of one basin, behind the lecture's (26)."""

import itertools
import math

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, T, theta

L_A = sp.Symbol("L_A", real=True)  # loss at the minimum
det_A = sp.Symbol("det H_A", positive=True)  # determinant of its Hessian


def steps(formula):
    """What goes beyond a parabola; the eigenbasis; one Gaussian integral a direction."""
    eps, a, d, p = sp.symbols("epsilon a d p", positive=True)  # ε = √T; eigenvalues of H
    u, v, phi = sp.symbols("u v phi", real=True)
    third = sp.symbols("L_uuu L_uuv L_uvv L_vvv", real=True)
    Q, L3, L4 = (sp.Function(name)(u, v) for name in ("Q", "L_3", "L_4"))
    cubic = sum(sp.binomial(3, j) * third[j] * u ** (3 - j) * v**j for j in range(4)) / 6
    odd = cubic * sp.exp(-a * u**2 / 2 - d * v**2 / 2)
    plane = ((u, -sp.oo, sp.oo), (v, -sp.oo, sp.oo))
    turn = sp.ImmutableMatrix([[sp.cos(phi), -sp.sin(phi)], [sp.sin(phi), sp.cos(phi)]])
    hessian = sp.MatMul(turn, sp.ImmutableMatrix([[a, 0], [0, d]]), turn.T, evaluate=False)
    return [
        Step(
            "At θ = θ_A + ε(u, v), for two directions and with ε = √T, the exponent (L − L_A)/T is the quadratic form "
            "Q, the cubic Taylor term times ε, and the rest of L times ε²:",
            sp.exp(-Q - eps * L3 - eps**2 * L4),
            sp.exp(-Q) * (1 - eps * L3),
            order=(eps, 2),
        ),
        Step(
            "The cubic term is odd, so its integral against the Gaussian vanishes and the relative error is O(ε²) = "
            "O(T) (here in the axes of H, with its eigenvalues a and d):",
            sp.Integral(odd, *plane),
            0,
        ),
        Step(
            "Turning the axes into those of H changes neither the volume element nor the determinant, which is the "
            "product of the eigenvalues:",
            sp.Determinant(hessian),
            a * d,
        ),
        Step(
            "So the integral is a product of Gaussian ones. In one direction, of curvature p:",
            sp.Integral(sp.exp(-(L_A + p * theta**2 / 2) / T), (theta, -sp.oo, sp.oo)),
            formula.subs({D: 1, det_A: p}),
        ),
        Step(
            "Each further direction, of eigenvalue p, multiplies the weight by its integral. That is the formula with "
            "D + 1 for D and p det H_A for det H_A:",
            formula * sp.Integral(sp.exp(-p * theta**2 / (2 * T)), (theta, -sp.oo, sp.oo)),
            formula.subs({D: D + 1, det_A: p * det_A}, simultaneous=True),
        ),
    ]


def check(formula):
    """Trapezium sums, which converge faster than any power of the spacing for such integrands."""

    def weight(excess, temperature, spacing, reach, dimensions):
        axis = [spacing * i for i in range(-reach, reach + 1)]
        terms = (math.exp(-excess(*x) / temperature) for x in itertools.product(axis, repeat=dimensions))
        return spacing**dimensions * math.fsum(terms)

    hessian = sp.Matrix([[2, 1, 0], [1, 3, -1], [0, -1, 1]])
    x, y, z = sp.symbols("x y z")
    q = sp.Matrix([x, y, z])
    form = sp.lambdify([x, y, z], (q.T * hessian * q)[0] / 2)
    exact = formula.subs({D: 3, det_A: hessian.det(), L_A: sp.Rational(1, 5), T: sp.Rational(1, 2)})
    values = []
    for temperature in (0.01, 0.005, 0.0025):
        number = weight(
            lambda u, v: u**2 + u * v + v**2 + u**3 / 2 - u * v**2 / 3 + u**4 + v**4,
            temperature,
            0.6 * math.sqrt(temperature),
            14,
            2,
        )
        values.append(number / formula.subs({D: 2, det_A: 3, L_A: 0, T: sp.Rational(str(temperature))}).evalf())
    return [
        Comparison(
            "a quadratic basin in three dimensions, T = 1/2, L_A = 1/5, where the formula is exact, by a trapezium sum",
            exact.evalf(),
            math.exp(-0.4) * weight(form, 0.5, 0.5, 12, 3),
            1e-9,
        ),
        Comparison(
            "u² + uv + v² + u³/2 − uv²/3 + u⁴ + v⁴: sum/formula at T = 1/100, 1/200, 1/400 extrapolated to 0",
            (values[0] - 6 * values[1] + 8 * values[2]) / 3,
            1,
            1e-4,
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    off = {}
    for temperature in (0.01, 0.005):
        spacing = 0.3 * math.sqrt(temperature)
        total = math.fsum(
            math.exp(-((spacing * k) ** 2 / 2 + (spacing * k) ** 3 / 3 + (spacing * k) ** 4) / temperature)
            for k in range(-40, 41)
        )
        off[temperature] = spacing * total / float(formula.subs({D: 1, det_A: 1, L_A: 0, T: temperature}).evalf()) - 1
    whole = sp.integrate(sp.exp(-(3 * theta**2 / 2 + 1) / T), (theta, -sp.oo, sp.oo))
    names = {"T": T, "D": D, "L_A": L_A, "det H_A": det_A}
    return [
        prose.formula("(2πT)^(D/2) exp(−L_A/T)/√det H_A", formula, names),
        prose.order(
            "with a relative error O(T)", off, "T", "the weight of x²/2 + x³/3 + x⁴ by sums, T = 0.01 and 0.005"
        ),
        prose.cases(
            "exactly so where L is quadratic",
            [sp.simplify(whole - formula.subs({D: 1, det_A: 3, L_A: 1})) == 0],
            "the integral of exp(−(1 + 3θ²/2)/T)",
        ),
        prose.cases(
            "with a flat direction, det H_A = 0, it says nothing",
            [sp.limit(formula.subs({D: 1, L_A: 0, T: 1}), det_A, 0, "+").is_finite],
            "whether its limit for det H_A → 0 is finite",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Weight of a basin by Laplace's method",
    sources=(Source("lecture", place="running text before (26)"), Source("Bender & Orszag 1978", place="chapter 6")),
    verdict=Verdict.ORDER,
    order="T",
    summary="The Gibbs weight of a basin is (2πT)^(D/2) exp(−L_A/T)/√det H_A with a relative error O(T), and "
    "exactly so where L is quadratic. In a basin with a flat direction, det H_A = 0, it says nothing.",
    printed=sp.Eq(
        sp.Integral(sp.exp(-sp.Function("L")(theta) / T), theta),
        (2 * sp.pi * T) ** (D / 2) / sp.sqrt(det_A) * sp.exp(-L_A / T),
        evaluate=False,
    ),
    assumptions=(
        assumptions.NON_DEGENERATE_MINIMUM,
        Assumption("T is small against the barrier that bounds the basin."),
        Assumption("L has four continuous derivatives near the minimum."),
    ),
    formula=(2 * sp.pi * T) ** (D / 2) / sp.sqrt(det_A) * sp.exp(-L_A / T),
    arguments=(T, D, L_A, det_A),
    slip=Slip("1/det H for 1/√det H", (2 * sp.pi * T) ** (D / 2) / det_A * sp.exp(-L_A / T)),
)
