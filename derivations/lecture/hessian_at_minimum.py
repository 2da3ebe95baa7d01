"""Lecture, section 2: the Hessian at a local minimum is positive semi-definite; nothing more."""

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict

r, q = sp.symbols("r q", positive=True)  # f = r x² + b y² + q y⁸
b = sp.Symbol("b", nonnegative=True)
x, y = sp.symbols("x y", real=True)
d = sp.Symbol("d", positive=True)  # a displacement
g, curv = sp.symbols("g H", real=True)

f = r * x**2 + b * y**2 + q * y**8


def steps(formula):
    """What a minimum forces on the Hessian, and a strict minimum whose Hessian is singular."""
    origin = {x: 0, y: 0}
    third, fourth = sp.symbols("f''' f''''", real=True)
    forth = g * d + curv * d**2 / 2 + third * d**3 / 6 + fourth * d**4 / 24
    return [
        Step(
            "Along any line the rises to both sides of a minimum add up to H d² + O(d⁴). Both are at least 0, so H "
            "cannot be negative; but it can be 0:",
            forth + forth.subs(d, -d),
            curv * d**2,
            order=(d, 4),
        ),
        Step(
            "f = rx² + by² + qy⁸ has a strict minimum at the origin for every b ≥ 0, being 0 there and a sum of such "
            "terms. Its Hessian there:",
            sp.hessian(f, (x, y)).subs(origin),
            sp.diag(2 * r, 2 * b),
        ),
        Step(
            "Hence the determinant of the Hessian at the minimum:",
            sp.hessian(f, (x, y)).subs(origin).det(),
            formula,
            name=sp.Symbol("det H"),
        ),
        Step(
            "It is 0 at b = 0, as for the lecture's 100x² + y⁸ and x⁸, though the minimum is strict:",
            formula.subs(b, 0),
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


CLAIM = Claim(
    module=__name__,
    title="The Hessian at a minimum",
    sources=(Source("lecture", place="section 2"),),
    verdict=Verdict.WRONG,
    summary="At a local minimum the Hessian is positive semi-definite, and it need not be positive definite: it is 0 "
    "for x⁸ and singular for 100x² + y⁸, two of the lecture's own examples. Positive definite is sufficient for a "
    "strict minimum, not necessary.",
    printed=sp.Gt(sp.Function("λ_min")(curv), 0, evaluate=False),
    corrected=sp.Ge(sp.Function("λ_min")(curv), 0, evaluate=False),
    assumptions=(
        Assumption("The loss is smooth, and the point is a local minimum.", sp.Eq(g, 0)),
        Assumption("The example is rx² + by² + qy⁸ with b = 0 allowed.", sp.And(sp.Q.positive(r), sp.Q.nonnegative(b))),
    ),
    formula=4 * r * b,
    arguments=(r, b),
    steps=steps,
    check=check,
    slip=Slip("the curvature of y⁸ taken at y = 1 for that at the minimum", 4 * r * b + 112 * r),
    example=Example("the smallest eigenvalue for 100x² + y⁸ at (0, 0)", sp.Gt(sp.Function("λ_min")(curv), 0), 0),
)
