"""Kramers' rates and Laplace's occupancies of two basins agree: k_AB P(A) = k_BA P(B)."""

import mpmath
import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, P, T, theta

L_A, L_B, L_s = sp.symbols("L_A L_B L_s", real=True)  # losses at the minima and at the saddle
det_A, det_B, det_s = (sp.Symbol(x, positive=True) for x in ("det H_A", "det H_B", "|det H|_s"))
mu = sp.Symbol("mu", positive=True)  # |negative eigenvalue| of H at the saddle
k_AB, k_BA = sp.symbols("k_AB k_BA", positive=True)  # rates


def steps(formula):
    """No flux under the Gibbs law; then the rates' ratio, the weights' ratio, the two-state chain."""
    L = sp.Function("L")(theta)
    gibbs = sp.exp(-L / T)
    w_A, w_B = sp.symbols("w_A w_B")  # display only

    def rate(det, loss):
        return mu / (2 * sp.pi) * sp.sqrt(det / det_s) * sp.exp(-(L_s - loss) / T)

    def weight(det, loss):
        return (2 * sp.pi * T) ** (D / 2) / sp.sqrt(det) * sp.exp(-loss / T)

    return [
        Step(
            "Under p ∝ exp(−L/T) the probability flux −L′p − Tp′ vanishes at each point, for any L and T:",
            -sp.diff(L, theta) * gibbs - T * sp.Derivative(gibbs, theta),
            0,
        ),
        Step(
            "In D dimensions the rate out of a basin is μ/(2π) √(det H/|det H_s|) exp(−(L_s − L)/T), which is "
            "Kramers' for D = 1, where |det H_s| = μ. Both ways lead over one saddle. The formula times the rate from "
            "B to A is the rate from A to B:",
            sp.Mul(formula, rate(det_B, L_B), evaluate=False),
            rate(det_A, L_A),
            name=k_AB,
        ),
        Step(
            "The formula times Laplace's weight of A is that of B, at every T and with no error: what Laplace's method "
            "neglects of a basin, the rate out of it neglects too:",
            sp.Mul(formula, weight(det_A, L_A), evaluate=False),
            weight(det_B, L_B),
        ),
        Step(
            "So the formula is both k_AB/k_BA and P(B)/P(A), and the two-state chain with these rates has the "
            "occupancies that Laplace's method gives:",
            rate(det_B, L_B) / (rate(det_A, L_A) + rate(det_B, L_B)),
            weight(det_A, L_A) / (weight(det_A, L_A) + weight(det_B, L_B)),
            name=P(sp.Symbol("A")),
            shown=sp.Eq(k_BA / (k_AB + k_BA), w_A / (w_A + w_B), evaluate=False),
        ),
    ]


def check(formula):
    """Passage times of a random walk both ways over a lopsided barrier."""
    loss = (theta**2 - 1) ** 2 * (theta**2 + theta + 2) / 2 + theta / 10
    slope, curvature = (sp.lambdify(theta, sp.diff(loss, theta, n), "math") for n in (1, 2))
    left, right = (float(mpmath.findroot(slope, x)) for x in (-1, 1))
    function = sp.lambdify(theta, loss)
    values = {L_A: function(left), L_B: function(right), det_A: curvature(left), det_B: curvature(right)}
    ratios = []
    for n in (16, 32, 64):
        temperature = sp.Rational(1, n)
        derived = formula.subs(values).subs(T, temperature).evalf()
        there, back = (
            oracles.passage_time(lambda x: -slope(x), lambda _, n=n: 1 / n, *ends, 0.5, 50 * n)
            for ends in ((left, right), (right, left))
        )
        ratios.append(back / there / derived)
    return [
        Comparison(
            "(θ² − 1)²(θ² + θ + 2)/2 + θ/10: mean times B to A over A to B of a random walk, over the formula; "
            "T = 1/16, 1/32, 1/64 extrapolated to T = 0",
            (ratios[0] - 6 * ratios[1] + 8 * ratios[2]) / 3,
            1,
            2e-3,
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"det H_A": det_A, "det H_B": det_B, "L_A": L_A, "L_B": L_B, "T": T}
    rate = {det: sp.sqrt(det) * sp.exp(loss / T) for det, loss in ((det_A, L_A), (det_B, L_B))}  # but for the saddle's
    weight = {det: sp.exp(-loss / T) / sp.sqrt(det) for det, loss in ((det_A, L_A), (det_B, L_B))}
    # Laplace's weight of a one-dimensional basin x²/2 + x³/3 + x⁴ against its integral, at two temperatures.
    off = {}
    for n in (100, 200):
        basin = lambda x, n=n: mpmath.exp(-n * (x**2 / 2 + x**3 / 3 + x**4))  # noqa: E731
        off[sp.Rational(1, n)] = sp.Float(
            oracles.quadrature(basin, (-1, -0.3, 0, 0.3, 1), 20) / mpmath.sqrt(2 * mpmath.pi / n) - 1, 15
        )
    return [
        prose.formula("√(det H_A/det H_B) exp((L_A − L_B)/T)", formula, names),
        prose.formula(
            "which is P(B)/P(A) by Laplace's method",
            formula,
            {"P(B)": weight[det_B], "P(A)": weight[det_A]},
            text="P(B)/P(A)",
        ),
        prose.cases(
            "The two approximations agree with each other exactly",
            [sp.simplify(rate[det_A] / rate[det_B] - weight[det_B] / weight[det_A]) == 0],
            "Kramers' rates over one saddle, their ratio, against the ratio of Laplace's weights",
        ),
        prose.order(
            "only up to O(T)", off, "T", "Laplace's weight of x²/2 + x³/3 + x⁴ by quadrature, T = 1/100 and 1/200"
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Detailed balance of escape rates and occupancies",
    sources=(Source("Kramers 1940"), Source("Gardiner 2009", place="detailed balance")),
    verdict=Verdict.EXACT,
    summary="The ratio of the two escape rates over a saddle is √(det H_A/det H_B) exp((L_A − L_B)/T), which is "
    "P(B)/P(A) by Laplace's method. The two approximations agree with each other exactly, though each is right only "
    "up to O(T).",
    printed=sp.Eq(k_AB * P(sp.Symbol("A")), k_BA * P(sp.Symbol("B")), evaluate=False),
    assumptions=(
        Assumption("Noise is isotropic and constant, so that the Gibbs law is stationary."),
        Assumption("One saddle joins the two basins."),
        Assumption("Minima and saddle are non-degenerate."),
    ),
    formula=sp.sqrt(det_A / det_B) * sp.exp((L_A - L_B) / T),
    arguments=(T, L_A, L_B, det_A, det_B),
    slip=Slip("the losses exchanged", sp.sqrt(det_A / det_B) * sp.exp((L_B - L_A) / T)),
)
