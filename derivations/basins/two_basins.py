"""Odds and occupancy of two basins under the Gibbs law: what the lecture's (26) says of a pair of minima."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, P, T, theta

A, B = sp.symbols("A B")
L_A, L_B = sp.symbols("L_A L_B", real=True)  # losses at the minima
det_A, det_B = (sp.Symbol(name, positive=True) for name in ("det H_A", "det H_B"))  # determinants of the Hessians there


def steps(formula):
    """The ratio of two Laplace weights; the corrections of order T divide too."""
    r_A, r_B = sp.symbols("r_A r_B", real=True)  # coefficients of the relative corrections of order T
    w_A, w_B = (
        (2 * sp.pi * T) ** (D / 2) / sp.sqrt(det) * sp.exp(-loss / T) for det, loss in ((det_A, L_A), (det_B, L_B))
    )
    weight_A, weight_B, z = sp.symbols("w_A w_B z")  # display only
    return [
        Step(
            "Each basin has Laplace's weight w = (2πT)^(D/2) exp(−L/T)/√det H. The formula times the weight of B is "
            "the weight of A, so the formula is their ratio; normalisation, D and 2πT have cancelled:",
            sp.Mul(formula, w_B, evaluate=False),
            w_A,
        ),
        Step(
            "With relative corrections 1 + rT of the two weights, the odds are off by a relative (r_A − r_B)T:",
            (1 + r_A * T) / (1 + r_B * T),
            1 + (r_A - r_B) * T,
            order=(T, 2),
        ),
        Step(
            "The logarithm z of the odds is a depth term and a width term:",
            sp.log(formula),
            (L_B - L_A) / T + (sp.log(det_B) - sp.log(det_A)) / 2,
            name=z,
        ),
        Step(
            "It depends on T through the depths alone:",
            sp.Derivative(sp.log(formula), T),
            (L_A - L_B) / T**2,
        ),
        Step(
            "Where the two basins hold all the mass, the occupancy of A is the logistic function of z:",
            w_A / (w_A + w_B),
            1 / (1 + 1 / formula),
            name=P(A),
            shown=sp.Eq(weight_A / (weight_A + weight_B), 1 / (1 + sp.exp(-z)), evaluate=False),
        ),
    ]


def check(formula):
    """Quadrature over the two sides of the barrier of a tilted double well."""
    loss = (theta**2 - 1) ** 2 * (theta**2 + theta + 2) / 2 + theta / 5
    function, slope = (sp.lambdify(theta, f, "mpmath") for f in (loss, sp.diff(loss, theta)))
    curvature = sp.lambdify(theta, sp.diff(loss, theta, 2), "mpmath")
    left, top, right = (mpmath.findroot(slope, x) for x in (-1, 0, 1))
    values = {L_A: function(left), L_B: function(right), det_A: curvature(left), det_B: curvature(right)}
    ratios = []
    for denominator in (50, 100, 200):
        temperature = mpmath.mpf(1) / denominator
        weights = [
            oracles.quadrature(lambda x, t=temperature: mpmath.exp(-function(x) / t), points)
            for points in (
                (left - 2, left - 0.5, left, left + 0.5, top),
                (top, right - 0.5, right, right + 0.5, right + 2),
            )
        ]
        ratios.append(weights[0] / weights[1] / formula.subs(values).subs(T, sp.Rational(1, denominator)).evalf(30))
    return [
        Comparison(
            "(θ² − 1)²(θ² + θ + 2)/2 + θ/5: odds by quadrature over odds by the formula at T = 1/50, 1/100, 1/200, "
            "extrapolated to T = 0",
            (ratios[0] - 6 * ratios[1] + 8 * ratios[2]) / 3,
            1,
            5e-4,
        ),
        Comparison(
            "their distance from 1 halves with T (T = 1/100 against 1/200)",
            (ratios[1] - 1) / (ratios[2] - 1),
            2,
            0.1,
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"det H_B": det_B, "det H_A": det_A, "L_A": L_A, "L_B": L_B, "T": T}
    temperatures = (sp.Rational(1, 10), sp.Rational(1, 5), sp.Rational(2, 5))
    deep = [sp.log(formula.subs({det_A: 1, det_B: 1, L_A: 0, L_B: 1, T: t})) for t in temperatures]
    wide = [formula.subs({det_A: 1, det_B: 9, L_A: 0, L_B: 0, T: t}) for t in temperatures]
    off = {}
    for n in (50, 100):  # x²/2 + x³/3 + x⁴ against x²/2, by quadrature
        basin = lambda x, n=n: mpmath.exp(-n * (x**2 / 2 + x**3 / 3 + x**4))  # noqa: E731
        odds = oracles.quadrature(basin, (-1, -0.3, 0, 0.3, 1), 20) / mpmath.sqrt(2 * mpmath.pi / n)
        off[sp.Rational(1, n)] = sp.Float(odds, 15) / formula.subs({det_A: 1, det_B: 1, L_A: 0, L_B: 0, T: 1}) - 1
    gibbs = sp.symbols("eta S sigma", positive=True)
    return [
        prose.formula("P ∝ exp(−L/T)", sp.exp(-L_A / T), {"L": L_A, "T": T}, text="exp(−L/T)"),
        prose.formula(
            "T = ησ²/(2S)",
            gibbs[0] / gibbs[1] * gibbs[2] ** 2 / 2,
            dict(zip(("η", "S", "σ"), gibbs, strict=True)),
            text="ησ²/(2S)",
        ),
        prose.formula("√(det H_B/det H_A) exp(−(L_A − L_B)/T)", formula, names),
        prose.order(
            "with a relative error O(T)", off, "T", "x²/2 + x³/3 + x⁴ against x²/2 by quadrature, T = 1/50 and 1/100"
        ),
        prose.direction(
            "A higher ratio η/S weakens what the depths decide",
            deep,
            "the log odds of a depth of 1 at T = 0.1, 0.2, 0.4",
            word="weakens",
        ),
        prose.cases(
            "leaves what the widths decide", [value == wide[0] for value in wide], "the odds at equal depth, same T"
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Odds of two basins",
    sources=(Source("lecture", place="what (26) says of two minima"), Source("Jastrzębski et al. 2017")),
    verdict=Verdict.ORDER,
    order="T",
    summary="Under P ∝ exp(−L/T), T = ησ²/(2S), the odds of two basins are √(det H_B/det H_A) exp(−(L_A − "
    "L_B)/T), with a relative error O(T). A higher ratio η/S weakens what the depths decide and leaves "
    "what the widths decide.",
    printed=sp.Eq(P(A) / P(B), sp.sqrt(det_B / det_A) * sp.exp(-(L_A - L_B) / T), evaluate=False),
    assumptions=(
        Assumption("Noise is isotropic, C = σ²I, and the law is stationary."),
        assumptions.NON_DEGENERATE_MINIMA,
        Assumption("L has four continuous derivatives near the minima."),
        assumptions.LAW_OF_SDE,
        assumptions.SMALL_TEMPERATURE,
    ),
    formula=sp.sqrt(det_B / det_A) * sp.exp(-(L_A - L_B) / T),
    arguments=(T, L_A, L_B, det_A, det_B),
    slip=Slip("the determinants exchanged", sp.sqrt(det_A / det_B) * sp.exp(-(L_A - L_B) / T)),
)
