"""Lecture, Table 1, rows "Random": the sharpness of the four functions for one number A = a and for a 2×2 matrix A."""

import itertools

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict

eps = sp.Symbol("epsilon", positive=True)
a, a11, a12, a21, a22, x, y = sp.symbols("a a_11 a_12 a_21 a_22 x y", real=True)
phi = sp.Function("phi")
# ε, then φ of 100x², x⁸, 100(x² + y²), 100x² + y⁸, as printed.
table = (("0.001", "2.8e-03", "6.5e-25", "2.1e-02", "1.9e-02"), ("0.0005", "7.1e-04", "2.5e-27", "5.3e-03", "4.8e-03"))
names = ("100x²", "x⁸", "100(x² + y²)", "100x² + y⁸")
columns = phi(100 * x**2), phi(x**8), phi(100 * x**2 + 100 * y**2), phi(100 * x**2 + y**8)
# Numbers that give every printed value; the lecture doesn't print its A.
example = {a: "213/400", a11: "9/10", a12: "12/25", a21: "3/10", a22: "3/20"}


def larger(u, v):
    """max(u, v), smooth enough for every backend."""
    return (u + v + sp.Abs(u - v)) / 2


def flat_in_y(sign):
    """f = 100x² + y⁸ at the corner ε(1, ±1) of the box."""
    return 100 * (eps * (a11 + sign * a12)) ** 2 + (eps * (a21 + sign * a22)) ** 8


def steps(formula):
    """Convex functions of z, so the largest value is at a corner of the box; f(Az) is even, so two corners suffice."""
    both = [100 * eps**2 * ((a11 + s * a12) ** 2 + (a21 + s * a22) ** 2) for s in (1, -1)]
    lengths, product = a11**2 + a12**2 + a21**2 + a22**2, a11 * a12 + a21 * a22
    end = sp.Mul(a, eps, evaluate=False)
    u, v = sp.symbols("f_+ f_-", real=True)
    gap = sp.Symbol("d", positive=True)
    corners = [sp.Subs(100 * x**2 + y**8, (x, y), (eps * (a11 + s * a12), eps * (a21 + s * a22))) for s in (1, -1)]
    return [
        Step(
            "In one dimension the largest of 100(az)² is at the end z = ε of the box. In percent:",
            sp.Mul(100, 100, sp.Pow(end, 2, evaluate=False), evaluate=False),
            formula[0],
            name=phi(100 * x**2),
        ),
        Step(
            "So is the largest of (az)⁸:",
            sp.Mul(100, sp.Pow(end, 8, evaluate=False), evaluate=False),
            formula[1],
            name=phi(x**8),
        ),
        Step(
            "In two, call f_+ and f_− the values at the corners z = ε(1, ±1). The larger of the two is half of "
            "f_+ + f_− + |f_+ − f_−|, as f_− = f_+ + d with d > 0 shows:",
            sp.Subs((u + v + sp.Abs(u - v)) / 2, v, u + gap),
            u + gap,
        ),
        Step(
            "For 100|Az|² the two differ by the sign of the columns' inner product:",
            both[0] - both[1],
            400 * eps**2 * product,
            name=u - v,
        ),
        Step(
            "so the larger is given by the columns' squared lengths and the modulus of that product:",
            sp.Mul(100, 100 * eps**2 * lengths + sp.Abs(400 * eps**2 * product) / 2, evaluate=False),
            formula[2],
            name=phi(100 * x**2 + 100 * y**2),
        ),
        Step(
            "For 100x² + y⁸, where f_± = 100ε²(a_11 ± a_12)² + ε⁸(a_21 ± a_22)⁸:",
            50 * (corners[0] + corners[1] + sp.Abs(corners[0] - corners[1])),
            formula[3],
            name=phi(100 * x**2 + y**8),
            shown=sp.Eq(sp.Mul(100, (u + v + sp.Abs(u - v)) / 2, evaluate=False), formula[3], evaluate=False),
        ),
    ]


def check(formula):
    """The printed values to their two digits with one A; the maximum over a grid for two other A, in rationals."""
    values = {symbol: sp.Rational(value) for symbol, value in example.items()}
    comparisons = []
    for row in table:
        derived = formula.subs(values).subs(eps, sp.Rational(row[0]))
        for name, value, mine in zip(names, row[1:], derived, strict=True):
            last_digit = sp.Rational("0.1e" + value.partition("e")[2])
            comparisons.append(
                Comparison(f"Table 1: φ of {name} at ε = {row[0]}", mine, sp.Rational(value), last_digit / 2)
            )
    grid = [sp.Rational(n, 4) for n in range(-2, 3)]
    for number, rows in ((3, ((1, -2), (3, 1))), (-2, ((1, 2), (-4, 3)))):
        images = [
            (rows[0][0] * u + rows[0][1] * v, rows[1][0] * u + rows[1][1] * v) for u, v in itertools.product(grid, grid)
        ]
        largest = [
            max(100 * (number * u) ** 2 for u in grid),
            max((number * u) ** 8 for u in grid),
            max(100 * (u**2 + v**2) for u, v in images),
            max(100 * u**2 + v**8 for u, v in images),
        ]
        entries = {a: number, a11: rows[0][0], a12: rows[0][1], a21: rows[1][0], a22: rows[1][1], eps: grid[-1]}
        comparisons.append(
            Comparison(
                f"φ for a = {number}, A = {rows} at ε = 1/2, by the largest value on a grid of the box",
                formula.subs(entries),
                sp.Matrix([100 * value for value in largest]),
            )
        )
    return comparisons


def closed_forms(cross):
    """The four values, with the columns' inner product entering as cross(…)."""
    lengths = a11**2 + a12**2 + a21**2 + a22**2
    return sp.ImmutableDenseMatrix(
        [
            10**4 * a**2 * eps**2,
            100 * a**8 * eps**8,
            10**4 * eps**2 * (lengths + 2 * cross(a11 * a12 + a21 * a22)),
            100 * larger(flat_in_y(1), flat_in_y(-1)),
        ]
    )


CLAIM = Claim(
    module=__name__,
    title="Sharpness of flat and sharp minima, A random",
    sources=(Source("lecture", place="Table 1"), Source("lecture", "2"), Source("lecture", "3")),
    verdict=Verdict.CONDITIONAL,
    summary="The lecture does not print its random A, but one number a and one 2×2 matrix give all eight rows: every "
    "one-dimensional row holds for a² between 0.2834 and 0.2842, |a| ≈ 0.533. The sharpness of a minimum is thus a "
    "property of the drawn A too: the same 100x² has 1.0e-2 for a = 1 and 2.8e-3 here.",
    printed=sp.ImmutableDenseMatrix([[eps, *columns], *([sp.Float(value, 2) for value in row] for row in table)]),
    assumptions=(
        Assumption(
            "The sharpness is taken at the minimum, the origin, so the box is [−ε, ε]^p.", sp.Eq(sp.Symbol("x"), 0)
        ),
        Assumption("A has as many columns as rows.", sp.Eq(sp.Symbol("p"), sp.Symbol("n"))),
        Assumption(
            "In one dimension a² is between 0.2834 and 0.2842.", sp.And(sp.Ge(a**2, 0.2834), sp.Le(a**2, 0.2842))
        ),
        Assumption(
            "In two, (|a_11| + |a_12|)² is between 1.90 and 1.94: the first row decides φ of 100x² + y⁸.",
            sp.And(sp.Ge((sp.Abs(a11) + sp.Abs(a12)) ** 2, 1.90), sp.Le((sp.Abs(a11) + sp.Abs(a12)) ** 2, 1.94)),
        ),
        Assumption(
            "In two, the largest of |Az|²/ε² over the box is between 2.10 and 2.14.",
            sp.And(
                sp.Ge(closed_forms(sp.Abs)[2] / (10**4 * eps**2), 2.10),
                sp.Le(closed_forms(sp.Abs)[2] / (10**4 * eps**2), 2.14),
            ),
        ),
    ),
    formula=closed_forms(sp.Abs),
    arguments=(eps, a, a11, a12, a21, a22),
    steps=steps,
    check=check,
    slip=Slip(
        "the columns' inner product with its sign, as if one corner were always the larger", closed_forms(lambda u: u)
    ),
)
