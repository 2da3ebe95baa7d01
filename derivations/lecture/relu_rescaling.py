"""Lecture, section 2: rescaling the layers of a ReLU net leaves its outputs and changes the Hessian."""

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict

alpha = sp.Symbol("alpha", positive=True)
a1, a2, b, z = sp.symbols("a_1 a_2 b z", real=True)  # two weights into a ReLU, one out of it
entries = sp.symbols("H_11 H_12 H_13 H_22 H_23 H_33", real=True)
H = sp.Matrix([[entries[0], entries[1], entries[2]], [entries[1], *entries[3:5]], [entries[2], *entries[4:]]])
weights = (a1, a2, b)
rescaled = {a1: alpha * a1, a2: alpha * a2, b: b / alpha}
F = sp.symbols("F F_u F_v F_uu F_uv F_vv", real=True)
u0, v0 = sp.symbols("u_0 v_0", real=True)


def relu(value):
    """max(0, value)."""
    return (value + sp.Abs(value)) / 2


def entries_of(matrix):
    """Its entries, row by row."""
    return sp.flatten(matrix.tolist())


def steps(formula):
    """The loss is any smooth function of the products b·a; its Taylor coefficients at them are F, F_u, …"""
    du, dv = b * a1 - u0, b * a2 - v0
    loss = F[0] + F[1] * du + F[2] * dv + F[3] * du**2 / 2 + F[4] * du * dv + F[5] * dv**2 / 2
    at_point = {u0: b * a1, v0: b * a2}
    hessian = sp.hessian(loss, weights)
    before = hessian.subs(at_point)
    after = hessian.xreplace(rescaled).subs(at_point)
    known = dict(zip(entries_of(H), entries_of(before), strict=True))
    at_minimum = before.subs({F[1]: 0, F[2]: 0})
    T, whole = sp.MatrixSymbol("T", 3, 3), sp.MatrixSymbol("H", 3, 3)
    inverse = sp.diag(1 / alpha, 1 / alpha, alpha)
    return [
        Step(
            "A ReLU passes a positive factor on, so (αa, b/α) gives the outputs of (a, b):",
            sp.Mul(b / alpha, relu(alpha * z), evaluate=False),
            b * relu(z),
            shown=sp.Eq(
                sp.Mul(b / alpha, sp.Function("max")(0, alpha * z), evaluate=False),
                b * sp.Function("max")(0, z),
                evaluate=False,
            ),
        ),
        Step(
            "While no unit switches, the loss is a smooth function of the products b·a, here with any first and second "
            "derivatives. Differentiated at (αa, b/α), with H the Hessian at (a, b) and T = diag(α, α, 1/α):",
            after,
            formula.xreplace(known),
            shown=sp.Eq(
                sp.Function("H")(alpha * a1, alpha * a2, b / alpha),
                sp.MatMul(T.inv(), whole, T.inv(), evaluate=False),
                evaluate=False,
            ),
        ),
        Step("In its entries:", sp.MatMul(inverse, H, inverse, evaluate=False), formula),
        Step(
            "So at a minimum where H is not 0 the trace is without bound as α → 0 or ∞:",
            sp.Trace(formula),
            (H[0, 0] + H[1, 1]) / alpha**2 + alpha**2 * H[2, 2],
        ),
        Step(
            "The determinant changes too, unless both layers have as many weights; here 2 and 1:",
            sp.Determinant(formula),
            sp.Mul(1 / alpha**2, sp.Determinant(H), evaluate=False),
        ),
        Step(
            "At a minimum, where the loss's slopes F_u and F_v are 0, the direction (a, −b), along which the outputs "
            "stay, has curvature 0: there det H = 0, however sharp the other directions are.",
            sp.MatMul(at_minimum, sp.Matrix([a1, a2, -b]), evaluate=False),
            sp.zeros(3, 1),
        ),
    ]


def network_hessian(point):
    """The Hessian at a point of the mean squared error of b·relu(a·x) on three examples."""
    data = (((1, 2), 3), ((-1, 4), sp.Rational(1, 2)), ((3, -5), 2))
    loss = sp.S.Zero
    for inputs, target in data:
        value = a1 * inputs[0] + a2 * inputs[1]
        active = value.subs(dict(zip(weights, point, strict=True))) > 0
        loss += ((b * value if active else 0) - target) ** 2 / 3
    return sp.hessian(loss, weights).subs(dict(zip(weights, point, strict=True)))


def check(formula):
    """A ReLU unit on three examples, one of which it does not fire for; both Hessians differentiated, in rationals."""
    comparisons = []
    for point, factor in (((sp.Rational(3, 2), 1, 2), 3), ((2, sp.Rational(1, 3), -1), sp.Rational(1, 5))):
        before = network_hessian(point)
        after = network_hessian((factor * point[0], factor * point[1], point[2] / sp.sympify(factor)))
        derived = formula.subs({alpha: factor}).xreplace(dict(zip(entries_of(H), entries_of(before), strict=True)))
        comparisons.append(Comparison(f"Hessian at (αa, b/α) for (a, b) = {point}, α = {factor}", derived, after))
    return comparisons


def conjugated(stretch):
    """T H T for T = diag(stretch, stretch, 1/stretch)."""
    matrix = sp.diag(stretch, stretch, 1 / stretch)
    return sp.ImmutableDenseMatrix(matrix * H * matrix)


def says(formula):
    """What the summary states, in numbers."""
    before, after = network_hessian((sp.Rational(3, 2), 1, 2)), {}
    for factor in (1, 10, 100, 1000):
        after[factor] = formula.subs({alpha: factor}).xreplace(
            dict(zip(entries_of(H), entries_of(before), strict=True))
        )
    slope, target = sp.Rational(2), sp.Rational(3)  # the unit on one example, input 1: its minima have b·a = 3
    curved = [
        sp.hessian((a1 * b - target) ** 2 / 2, (a1, b)).subs({a1: slope * n, b: target / (slope * n)})
        for n in (1, 10, 100)
    ]
    return [
        prose.cases(
            "leaves the function and hence the generalisation",
            [
                (b / alpha * relu(alpha * z)).subs({b: 2, alpha: factor, z: value})
                == (b * relu(z)).subs({b: 2, z: value})
                for factor in (3, sp.Rational(1, 5))
                for value in (-1, 0, 4)
            ],
            "the outputs of (αa, b/α) and of (a, b) for α = 3 and 1/5 at three inputs",
        ),
        prose.cases(
            "turns the Hessian H into T⁻¹HT⁻¹ with T = diag(α, …, 1/α)",
            [
                network_hessian((factor * sp.Rational(3, 2), factor, 2 / sp.Integer(factor))) == matrix
                for factor, matrix in after.items()
            ],
            "the Hessian of a unit on three examples, differentiated at α = 1, 10, 100, 1000",
        ),
        prose.cases(
            "Trace and largest eigenvalue can so be made as large as one likes",
            [matrix.trace() > 10**4 and max(matrix.eigenvals()) > 10**4 for matrix in curved[-1:]],
            "both at α = 100 for a minimum that has a trace of 25/4 at α = 1",
        ),
        prose.cases(
            "the determinant is 0 at every such minimum, sharp or flat",
            [matrix.det() == 0 for matrix in curved],
            "at the minima with α = 1, 10, 100",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Rescaled ReLU layers",
    sources=(Source("lecture", place="section 2"), Source("Dinh et al. 2017")),
    verdict=Verdict.EXACT,
    summary="Multiplying the weights into a ReLU by α and dividing those out of it by α leaves the function and hence "
    "the generalisation, and turns the Hessian H into T⁻¹HT⁻¹ with T = diag(α, …, 1/α). Trace and largest eigenvalue "
    "can so be made as large as one likes; the determinant is 0 at every such minimum, sharp or flat.",
    printed=sp.Eq(sp.Function("L")(alpha * a1, alpha * a2, b / alpha), sp.Function("L")(a1, a2, b), evaluate=False),
    assumptions=(
        Assumption("The factor is positive."),
        Assumption("No unit is at its kink, so that the Hessian exists."),
    ),
    formula=conjugated(1 / alpha),
    arguments=(alpha, *entries),
    slip=Slip("THT for T⁻¹HT⁻¹", conjugated(alpha)),
)
