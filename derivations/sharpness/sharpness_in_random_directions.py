"""Lecture, Table 1, rows "Random": the sharpness of the four functions for one number A = a and for a 2×2 matrix A."""

import itertools

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict

eps = sp.Symbol("epsilon", positive=True)
a, a11, a12, a21, a22, x, y = sp.symbols("a a_11 a_12 a_21 a_22 x y", real=True)
phi, lengths = sp.Function("phi"), a11**2 + a12**2 + a21**2 + a22**2
functions = 100 * x**2, x**8, 100 * x**2 + 100 * y**2, 100 * x**2 + y**8
# ε, then φ of the four functions, as printed.
table = (("0.001", "2.8e-03", "6.5e-25", "2.1e-02", "1.9e-02"), ("0.0005", "7.1e-04", "2.5e-27", "5.3e-03", "4.8e-03"))
names = ("100x²", "x⁸", "100(x² + y²)", "100x² + y⁸")
# Numbers that give every printed value; the lecture doesn't print its A.
example = {a: "213/400", a11: "9/10", a12: "12/25", a21: "3/10", a22: "3/20"}


def larger(u, v):
    """max(u, v), in a form that every backend takes."""
    return (u + v + sp.Abs(u - v)) / 2


def corner(sign):
    """Az for z = ε(1, ±1)."""
    return eps * (a11 + sign * a12), eps * (a21 + sign * a22)


def steps(formula):
    """Convex functions of z, so the largest value is at a corner of the box; f(Az) is even, so two corners suffice."""
    f_plus, f_minus = sp.symbols("f_+ f_-", real=True)
    gap = sp.Symbol("d", positive=True)
    square, eighth = (sp.Pow(sp.Mul(a, eps, evaluate=False), power, evaluate=False) for power in (2, 8))
    corners = [sp.Subs(functions[3], (x, y), corner(sign)) for sign in (1, -1)]
    half_sum, half_gap = 100 * eps**2 * lengths, 200 * eps**2 * sp.Abs(a11 * a12 + a21 * a22)
    return [
        Step(
            "In one dimension 100(az)² and (az)⁸ are largest at the end z = ε of the box. In percent:",
            sp.Matrix([sp.Mul(*pair, evaluate=False) for pair in ((100, 100, square), (100, eighth))]),
            sp.Matrix(formula[:2]),
            name=sp.ImmutableDenseMatrix([phi(functions[0]), phi(functions[1])]),
        ),
        Step(
            "In two, call f_+ and f_− the values at the corners z = ε(1, ±1). The larger of the two is half of "
            "f_+ + f_− + |f_+ − f_−|, as f_− = f_+ + d with d > 0 shows:",
            sp.Subs(larger(f_plus, f_minus), f_minus, f_plus + gap),
            f_plus + gap,
        ),
        Step(
            "For 100|Az|² they differ by the sign of the columns' inner product,",
            100 * sum(entry**2 for entry in corner(1)) - 100 * sum(entry**2 for entry in corner(-1)),
            400 * eps**2 * (a11 * a12 + a21 * a22),
            name=f_plus - f_minus,
        ),
        Step(
            "and half their sum has the columns' squared lengths:",
            sp.Mul(100, half_sum + half_gap, evaluate=False),
            formula[2],
            name=phi(functions[2]),
        ),
        Step(
            "For 100x² + y⁸, where f_± = 100ε²(a_11 ± a_12)² + ε⁸(a_21 ± a_22)⁸:",
            100 * larger(*corners),
            formula[3],
            name=phi(functions[3]),
            shown=sp.Eq(sp.Mul(100, larger(f_plus, f_minus), evaluate=False), formula[3], evaluate=False),
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
    values = [100 * u**2 + v**8 for u, v in (corner(1), corner(-1))]
    round_well = 10**4 * eps**2 * (lengths + 2 * cross(a11 * a12 + a21 * a22))
    return sp.ImmutableDenseMatrix([10**4 * a**2 * eps**2, 100 * a**8 * eps**8, round_well, 100 * larger(*values)])


def says(formula):
    """What the summary states, in numbers."""
    values = {symbol: sp.Rational(value) for symbol, value in example.items()}
    rows, low, high = [], [], []
    for row in table:
        derived = formula.subs(values).subs(eps, sp.Rational(row[0]))
        for place, (printed, mine) in enumerate(zip(row[1:], derived, strict=True)):
            half = sp.Rational("0.05e" + printed.partition("e")[2])
            number = sp.Rational(printed)
            rows.append(abs(mine - number) <= half)
            if place < 2:  # φ = 100(…)a² or a⁸: where it reaches half a digit below, above
                factor = formula[place].subs(a, 1).subs(eps, sp.Rational(row[0]))
                power = sp.Rational(1, 4) if place else 1
                low.append(((number - half) / factor) ** power)
                high.append(((number + half) / factor) ** power)
    edges = sp.Max(*low).evalf(8), sp.Min(*high).evalf(8)
    one_row = formula[0].subs(eps, sp.Rational(1, 1000))
    return [
        prose.cases("one number a and one 2×2 matrix give all eight rows", rows, "each within half of its last digit"),
        prose.figure("0.2834", edges[0], "the largest of the four rows' lower bounds of a²"),
        prose.figure("0.2842", edges[1], "the smallest of the four rows' upper bounds of a²"),
        prose.cases(
            "every one-dimensional row holds for a² between",
            [
                low_edge <= sp.Rational("0.2834") < sp.Rational("0.2842") <= high_edge
                for low_edge, high_edge in zip(low, high, strict=True)
            ],
            "the bounds of each of the four rows",
        ),
        prose.figure("|a| ≈ 0.533", sp.sqrt((edges[0] + edges[1]) / 2), "the middle of the bounds", text="0.533"),
        prose.figure("1.0e-2", one_row.subs(a, 1), "as derived, at ε = 0.001"),
        prose.figure("2.8e-3", one_row.subs(values), "as derived, at ε = 0.001"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Sharpness of flat and sharp minima, A random",
    sources=(Source("lecture", place="Table 1"), Source("lecture", "2"), Source("lecture", "3")),
    verdict=Verdict.CONDITIONAL,
    summary="The lecture does not print its random A, but one number a and one 2×2 matrix give all eight rows: "
    "every one-dimensional row holds for a² between 0.2834 and 0.2842, |a| ≈ 0.533. The sharpness of a "
    "minimum is thus a property of the drawn A too: the same 100x² has 1.0e-2 for a = 1 and 2.8e-3 here.",
    printed=sp.ImmutableDenseMatrix(
        [[eps, *map(phi, functions)], *([sp.Float(value, 2) for value in row] for row in table)]
    ),
    assumptions=(
        Assumption("The sharpness is taken at the minimum, the origin, so the box is [−ε, ε]^p."),
        Assumption("A has as many columns as rows."),
        Assumption("In one dimension a² is between 0.2834 and 0.2842."),
        Assumption("In two, (|a_11| + |a_12|)² is between 1.90 and 1.94: the first row decides φ of 100x² + y⁸."),
        Assumption("In two, the largest of |Az|²/ε² over the box is between 2.10 and 2.14."),
    ),
    formula=closed_forms(sp.Abs),
    arguments=(eps, a, a11, a12, a21, a22),
    slip=Slip(
        "the columns' inner product with its sign, as if one corner were always the larger", closed_forms(lambda u: u)
    ),
)
