"""Two minima of equal depth: the wider is favoured, by a factor that η/S doesn't change."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, P, T, theta

A, B = sp.symbols("A B")
L_A = sp.Symbol("L_A", real=True)  # loss at the minima, equal here
det_A, det_B = (sp.Symbol(name, positive=True) for name in ("det H_A", "det H_B"))  # determinants of the Hessians there


def steps(formula):
    """Laplace's weights at equal depth; the next order; what a stretched basin gains."""
    r_A, r_B = sp.symbols("r_A r_B", real=True)
    stretch = sp.Symbol("s", positive=True)

    def weight(det, correction):
        return (2 * sp.pi * T) ** (D / 2) * sp.exp(-L_A / T) / sp.sqrt(det) * (1 + correction * T)

    odds = weight(det_A, r_A) / weight(det_B, r_B)
    return [
        Step(
            "At equal depth, L_A = L_B, the formula times Laplace's weight of B is that of A. It is the ratio of the "
            "weights; exponentials and powers of T have cancelled, and with T = ησ²/(2S) all that depended on η/S:",
            sp.Mul(formula, weight(det_B, 0), evaluate=False),
            weight(det_A, 0),
        ),
        Step(
            "At the next order the odds do depend on it, by the relative corrections 1 + rT of the weights. The sign "
            "of r_A − r_B belongs to the third and fourth derivatives, not to the widths:",
            odds,
            formula * (1 + (r_A - r_B) * T),
            order=(T, 2),
        ),
        Step(
            "Stretching basin A by s in each of its D directions divides det H_A by s²ᴰ and multiplies the odds by "
            "sᴰ, the ratio of volumes:",
            sp.Pow(stretch ** (2 * D) * det_B / det_A, sp.Rational(1, 2), evaluate=False),
            stretch**D * formula,
        ),
    ]


def check(formula):
    """Quadrature over both sides of a double well of equal depths and unequal widths."""
    loss = (theta**2 - 1) ** 2 * (theta**2 + theta + 2) / 2
    function = sp.lambdify(theta, loss, "mpmath")
    second = [sp.diff(loss, theta, 2).subs(theta, x) for x in (-1, 1)]
    derived = formula.subs({det_A: second[0], det_B: second[1]}).evalf()
    top = mpmath.findroot(sp.lambdify(theta, sp.diff(loss, theta), "mpmath"), 0)
    odds = []
    for n in (25, 50, 100):
        left, right = (
            oracles.quadrature(lambda x, n=n: mpmath.exp(-n * function(x)), points, 20)
            for points in ((-3, -1.5, -1, -0.5, top), (top, 0.5, 1, 1.5, 3))
        )
        odds.append(left / right)
    return [
        Comparison(
            "(θ² − 1)²(θ² + θ + 2)/2, both minima at zero: odds of the wider well by quadrature at T = 1/25, 1/50, "
            "1/100, extrapolated to T = 0",
            derived,
            (odds[0] - 6 * odds[1] + 8 * odds[2]) / 3,
            5e-5,
        ),
        Comparison("the same odds at T = 1/25, within 1 % of the formula", derived, odds[0], derived / 100),
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"det H_B": det_B, "det H_A": det_A}
    loss = (theta**2 - 1) ** 2 * (theta**2 + theta + 2) / 2  # both minima at zero; the wider one is the left
    function = sp.lambdify(theta, loss, "mpmath")
    off, odds = {}, {}
    limit = formula.subs(
        {det_A: loss.diff(theta, 2).subs(theta, -1), det_B: loss.diff(theta, 2).subs(theta, 1)}
    ).evalf()
    top = mpmath.findroot(sp.lambdify(theta, loss.diff(theta), "mpmath"), 0)
    for n in (50, 100):
        left, right = (
            oracles.quadrature(lambda x, n=n: mpmath.exp(-n * function(x)), points, 20)
            for points in ((-3, -1.5, -1, -0.5, top), (top, 0.5, 1, 1.5, 3))
        )
        odds[n] = sp.Float(left / right, 15)
        off[sp.Rational(1, n)] = odds[n] / limit - 1
    how = "the double well of the check, T = 1/50 and 1/100"
    return [
        prose.direction(
            "the stationary law favours the wider", [1, odds[100]], f"the wider well's odds, {how}", word="favours"
        ),
        prose.formula("by √(det H_B/det H_A)", formula, names, text="√(det H_B/det H_A)"),
        prose.cases(
            "whatever η/S", [abs(odds[n] / limit - 1) < 0.01 for n in odds], f"the odds within 1 % of it, {how}"
        ),
        prose.cases(
            "a higher η/S doesn't favour it more",
            [formula.has(T), odds[50] / odds[100] > 1.01],
            "whether the formula has T, and whether the odds rise by 1 % as T doubles",
        ),
        prose.order("Corrections are O(T)", off, "T", f"the odds over the formula, {how}"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Odds of a wide and a narrow minimum of equal depth",
    sources=(Source("lecture", place="what (26) says of equal depths"), Source("Jastrzębski et al. 2017")),
    verdict=Verdict.ORDER,
    order="T",
    summary="Of two minima of equal depth the stationary law favours the wider by √(det H_B/det H_A), whatever η/S. "
    "With isotropic noise a higher η/S doesn't favour it more; the thesis's sentence after (3.3) is about another "
    "comparison, see minima-of-equal-height. Corrections are O(T), of either sign.",
    printed=sp.Eq(P(A) / P(B), sp.sqrt(det_B / det_A), evaluate=False),
    assumptions=(
        Assumption("The minima are equally deep."),
        Assumption("Noise is isotropic and the law is stationary."),
        assumptions.NON_DEGENERATE_MINIMA,
        assumptions.LAW_OF_SDE,
        assumptions.SMALL_TEMPERATURE,
    ),
    formula=sp.sqrt(det_B / det_A),
    arguments=(det_A, det_B),
    slip=Slip("the determinants without their root", det_B / det_A),
)
