"""Lecture, section 2: the Hessian at a local minimum is positive semi-definite; nothing more."""

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict

r, q = sp.symbols("r q", positive=True)  # f = r x² + b y² + q y⁸
b = sp.Symbol("b", nonnegative=True)
x, y = sp.symbols("x y", real=True)
d = sp.Symbol("d", positive=True)  # a displacement
g, curv = sp.symbols("g H", real=True)

f = r * x**2 + b * y**2 + q * y**8
LECTURE = 100 * x**2 + y**8
POSITIVE = sp.hessian(LECTURE, (x, y)).subs({x: 0, y: 0}).rank()  # its positive eigenvalues; none is negative


def steps(formula):
    """What a minimum forces on the Hessian, and a strict minimum whose Hessian is singular."""
    third, fourth = sp.symbols("c_3 c_4", real=True)
    forth = g * d + curv * d**2 / 2 + third * d**3 / 6 + fourth * d**4 / 24
    rise = sp.Function("f")
    names = sp.symbols("f_xx f_xy f_yy")
    hessian = sp.diag(2 * r, 2 * b)
    return [
        Step(
            "Along any line through the minimum, with H the curvature there, the odd terms of the rises to both sides "
            "cancel. Both rises are at least 0, so H cannot be negative; but it can be 0:",
            forth + forth.subs(d, -d),
            curv * d**2,
            order=(d, 4),
            shown=sp.Eq(rise(d) + rise(-d) - 2 * rise(0), curv * d**2, evaluate=False),
        ),
        Step(
            "f = rx² + by² + qy⁸ with r, q > 0 has a strict minimum at the origin for every b ≥ 0, being 0 there and "
            "positive elsewhere. Its Hessian there:",
            sp.Matrix(2, 2, lambda i, j: sp.Subs(sp.Derivative(f, (x, y)[i], (x, y)[j]), (x, y), (0, 0))),
            hessian,
            name=sp.Symbol("H"),
            shown=sp.Eq(sp.Matrix([names[:2], names[1:]]), hessian, evaluate=False),
        ),
        Step("Hence the determinant:", sp.Determinant(hessian), formula, name=sp.Symbol("det H")),
        Step(
            "It is 0 at b = 0, as for the lecture's 100x² + y⁸, though the minimum is strict:",
            sp.Subs(formula, b, 0),
            0,
        ),
    ]


def check(formula):
    """The Hessian from the polynomial through values of the loss, without a derivative, for three losses."""
    comparisons = []
    for values in ((100, 0, 1), (100, 3, 1), (2, sp.Rational(1, 7), 5)):

        def loss(u, v, values=values):
            return values[0] * u**2 + values[1] * v**2 + values[2] * v**8

        # Values on a grid determine the polynomial, hence the coefficients of x², xy and y², without a derivative.
        nodes = [sp.Rational(n, 2) for n in range(-4, 5)]
        in_x = sp.Poly(sp.interpolate([(n, loss(n, 0)) for n in nodes], x), x)
        in_y = sp.Poly(sp.interpolate([(n, loss(0, n)) for n in nodes], x), x)
        mixed = (loss(1, 1) - loss(1, -1) - loss(-1, 1) + loss(-1, -1)) / sp.Integer(4)
        determinant = 4 * in_x.coeff_monomial(x**2) * in_y.coeff_monomial(x**2) - mixed**2
        comparisons.append(
            Comparison(
                f"det H of {values[0]}x² + {values[1]}y² + {values[2]}y⁸, from the polynomial through its values",
                formula.subs({r: values[0], b: values[1], q: values[2]}),
                determinant,
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    at_zero = {x: 0, y: 0}
    return [
        prose.cases(
            "it is singular for 100x² + y⁸ and zero for x⁸",
            [sp.hessian(LECTURE, (x, y)).det().subs(at_zero) == 0, sp.diff(x**8, x, 2).subs(at_zero) == 0],
            "the determinant and the second derivative at 0",
        ),
        prose.cases(
            "isn't necessary",
            [sp.hessian(LECTURE, (x, y)).subs(at_zero).is_positive_definite],
            "the Hessian at the strict minimum of 100x² + y⁸",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The Hessian at a minimum",
    sources=(Source("lecture", place="section 2"),),
    verdict=Verdict.WRONG,
    summary="At a local minimum the Hessian is positive semi-definite, as the lecture itself says in section 5.3, "
    "and need not be positive definite: it is singular for 100x² + y⁸ and zero for x⁸, two of the "
    "lecture's own examples. At a stationary point, positive definite suffices for a strict minimum and "
    "isn't necessary.",
    printed=sp.Gt(sp.Function("λ_min")(curv), 0, evaluate=False),
    corrected=sp.Ge(sp.Function("λ_min")(curv), 0, evaluate=False),
    assumptions=(
        Assumption("The loss is smooth, and the point is a local minimum."),
        Assumption("The example is rx² + by² + qy⁸ with b = 0 allowed."),
    ),
    formula=4 * r * b,
    arguments=(r, b),
    slip=Slip("the curvature of y⁸ taken at y = 1 for that at the minimum", 4 * r * b + 112 * r),
    example=Example("the number of positive eigenvalues of the Hessian of 100x² + y⁸ at (0, 0)", 2, POSITIVE),
)
