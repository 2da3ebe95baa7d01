"""Lecture, Table 1, rows "Identity": the sharpness of the four functions at their minima, in closed form."""

import itertools

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict

eps = sp.Symbol("epsilon", positive=True)
x, y = sp.symbols("x y", real=True)
phi = sp.Function("phi")
functions = {
    "100x²": 100 * x**2,
    "x⁸": x**8,
    "100(x² + y²)": 100 * (x**2 + y**2),
    "100x² + y⁸": 100 * x**2 + y**8,
}
# ε, then φ of the four functions, as printed.
table = (("0.001", "1.0e-02", "1.0e-22", "2.0e-02", "1.0e-02"), ("0.0005", "2.5e-03", "3.9e-25", "5.0e-03", "2.5e-03"))


def steps(formula):
    """Each function rises with |x| and with |y|, so a corner of the box is the place of the maximum."""
    steep, flat = sp.Integral(200 * x, (x, 0, eps)), [sp.Integral(8 * v**7, (v, 0, eps)) for v in (x, y)]
    return [
        Step(
            "All four are 0 at their minimum, the origin, where the box is |x|, |y| ≤ ε and φ is 100 times the largest "
            "value. 100x² grows with |x|, by its slope:",
            sp.Mul(100, steep, evaluate=False),
            formula[0],
            name=phi(100 * x**2),
        ),
        Step("So does x⁸:", sp.Mul(100, flat[0], evaluate=False), formula[1], name=phi(x**8)),
        Step(
            "The box is a product, so the largest value of a sum of a function of x and one of y is the sum of the two "
            "largest:",
            sp.Mul(100, 2, steep, evaluate=False),
            formula[2],
            name=phi(100 * x**2 + 100 * y**2),
        ),
        Step("Likewise:", sp.Mul(100, steep + flat[1], evaluate=False), formula[3], name=phi(100 * x**2 + y**8)),
    ]


def check(formula):
    """The printed values to their two digits, and the maximum over a grid with the corners, in rationals."""
    comparisons = []
    for row in table:
        half = sp.Rational(row[0])
        derived = formula.subs(eps, half)
        for name, value, mine in zip(functions, row[1:], derived, strict=True):
            last_digit = sp.Rational("0.1e" + value.partition("e")[2])
            comparisons.append(
                Comparison(f"Table 1: φ of {name} at ε = {row[0]}", mine, sp.Rational(value), last_digit / 2)
            )
    grid = [sp.Rational(n, 16) for n in range(-4, 5)]
    largest = [max(f.subs({x: u, y: v}) for u, v in itertools.product(grid, grid)) for f in functions.values()]
    comparisons.append(
        Comparison(
            "φ of the four functions at ε = 1/4, by the largest of 81 values each",
            formula.subs(eps, sp.Rational(1, 4)),
            sp.Matrix([100 * value for value in largest]),
        )
    )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    agree = []
    for row in table:
        derived = formula.subs(eps, sp.Rational(row[0]))
        for printed, mine in zip(row[1:], derived, strict=True):
            agree.append(abs(mine - sp.Rational(printed)) <= sp.Rational("0.05e" + printed.partition("e")[2]))
    return [
        *(
            prose.formula(text, entry, {"ε": eps})
            for text, entry in zip(("10⁴ε²", "100ε⁸", "2·10⁴ε²", "10⁴ε² + 100ε⁸"), formula, strict=True)
        ),
        prose.cases(
            "All eight rows of the table with the identity agree to their two digits", agree, "each within half a digit"
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Sharpness of flat and sharp minima, A = identity",
    sources=(Source("lecture", place="Table 1"), Source("lecture", "2"), Source("lecture", "3")),
    verdict=Verdict.EXACT,
    summary="For A = I the sharpness of 100x², x⁸, 100(x² + y²) and 100x² + y⁸ at the minimum is 10⁴ε², 100ε⁸, "
    "2·10⁴ε² and 10⁴ε² + 100ε⁸. All eight rows of the table with the identity agree to their two digits.",
    printed=sp.ImmutableDenseMatrix(
        [[eps, *map(phi, functions.values())], *([sp.Float(value, 2) for value in row] for row in table)]
    ),
    assumptions=(
        assumptions.AT_THE_ORIGIN,
        assumptions.IDENTITY,
    ),
    formula=sp.ImmutableDenseMatrix([10**4 * eps**2, 100 * eps**8, 2 * 10**4 * eps**2, 10**4 * eps**2 + 100 * eps**8]),
    arguments=(eps,),
    slip=Slip(
        "the fraction, not in percent",
        sp.ImmutableDenseMatrix([100 * eps**2, eps**8, 200 * eps**2, 100 * eps**2 + eps**8]),
    ),
)
