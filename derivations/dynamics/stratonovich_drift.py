"""Itô and Stratonovich: the drift of SGD's equation in Stratonovich form, with the per-example diffusion factor."""

from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, eta, g, h

f = sp.Symbol("f", nonnegative=True)  # finite-population factor
slope = sp.Symbol("∇TrC", real=True)  # the component that belongs to g
x, y = sp.symbols("x y", real=True)
w = sp.Symbol("w", real=True)
drift, eps, r0, r1 = sp.symbols("b epsilon r r′", real=True)


def gradient(function) -> Any:
    return sp.Matrix([function.diff(x), function.diff(y)])


def factor(losses) -> list[Any]:
    """Columns (∇ℓ_j − g)/√N of R."""
    gradients = [gradient(loss) for loss in losses]
    return [(v - oracles.mean(gradients)) / sp.sqrt(len(losses)) for v in gradients]


def steps(formula):
    """The midpoint rule's mean, the sum over examples as a gradient, and a factor for which it is none."""
    potential = sp.Function("u")(x, y)
    column = gradient(potential)
    density = sp.exp(-(w**2) / (2 * h)) / sp.sqrt(2 * sp.pi * h)
    midpoint = eps * (r0 + r1 * eps * r0 * w / 2)
    turning = [sp.Matrix([sp.cos(x), sp.sin(x)]), sp.Matrix([-sp.sin(x), sp.cos(x)])]
    advected = [sp.MatMul(r.jacobian([x, y]), r) for r in turning]
    noise = f * eta / S
    r_j, jacobian = sp.symbols("r_j Dr_j", commutative=False)
    return [
        Step(
            "The Stratonovich integral takes ε r at the midpoint, where θ has moved by ½ε r w, w = ΔW of density p, "
            "N(0, h). Its mean over a step is not zero, unlike Itô's; in one dimension, with r′ the derivative of r:",
            sp.Integral(midpoint * w * density, (w, -sp.oo, sp.oo)),
            eps**2 / 2 * r1 * r0 * h,
            shown=sp.Eq(
                sp.Integral(midpoint * w * sp.Function("p")(w), (w, -sp.oo, sp.oo)),
                eps**2 / 2 * r1 * r0 * h,
                evaluate=False,
            ),
        ),
        Step(
            "In more dimensions the columns r_j of R have independent increments, so the mean is (ε²/2)h Σ_j (Dr_j) "
            "r_j. Here r_j = (∇ℓ_j − g)/√N is a gradient, its Jacobian Dr_j is symmetric, and so, for any potential in "
            "the plane,",
            column.jacobian([x, y]) * column,
            sp.Matrix([sp.Derivative(column.dot(column) / 2, z) for z in (x, y)]),
            shown=sp.Eq(jacobian * r_j, sp.Symbol("∇") * sp.Abs(sp.Symbol("r_j")) ** 2 / 2, evaluate=False),
        ),
        Step(
            "Summed over j that is ½∇Tr C, as Tr C = Σ_j |r_j|². So the Itô drift is −g = b + (ε²/2)·½∇Tr C with ε² = "
            "fη/S, and the Stratonovich drift is",
            sp.Add(-g, sp.Mul(-noise / 2, slope / 2, evaluate=False), evaluate=False),
            formula,
            name=drift,
        ),
        Step(
            "Not every root of C will do. The columns (cos x, sin x), (−sin x, cos x) have C = I, whose trace has no "
            "gradient, but Σ_j (Dr_j) r_j is not zero. Another root of the same C has the same Itô equation and "
            "another Stratonovich drift:",
            sp.MatAdd(*advected),
            sp.Matrix([0, 1]),
        ),
    ]


def check(formula):
    """Mean of a midpoint step over an eight-point law of ΔW, coefficient of h, for three polynomial losses."""
    losses = [x**3 / 3 + x * y**2, x**2 * y - y**3 / 6 + 2 * x, x**4 / 4 - x * y + y**2]
    start = {x: sp.Rational(1, 2), y: sp.Rational(-2, 3)}
    rate, size = sp.Rational(3, 25), 2  # with N = 3, S = 2, f = 1/2 the amplitude √(fη/(SN)) is 1/10
    columns = factor(losses)
    kicks = [sp.sqrt(3) * r / 10 for r in columns]
    root = sp.Symbol("root_h", positive=True)  # √h

    def noise(*increments) -> Any:
        middle = [
            start[name] + sum(r[i].subs(start) * dw for r, dw in zip(kicks, increments, strict=True)) / 2
            for i, name in enumerate((x, y))
        ]
        there = [r.subs({x: middle[0], y: middle[1]}, simultaneous=True) for r in kicks]
        return sum((r * dw for r, dw in zip(there, increments, strict=True)), sp.zeros(2, 1))

    law = oracles.two_point(root)
    mean = [oracles.expectation(lambda *dw, i=i: noise(*dw)[i], law, law, law) for i in (0, 1)]
    extra = [sp.Poly(sp.expand(move), root).nth(2) for move in mean]
    full = oracles.mean([gradient(loss) for loss in losses]).subs(start)
    trace = sp.Add(*(r.dot(r) for r in columns))
    comparisons = []
    for i, name in ((0, x), (1, y)):
        values = {f: sp.Rational(1, 2), eta: rate, S: size, g: full[i], slope: trace.diff(name).subs(start)}
        words = f"component {i + 1}: Stratonovich drift plus the midpoint noise's mean, against the Itô drift −g"
        comparisons.append(Comparison(words, formula.subs(values) + extra[i], -full[i]))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"g": g, "f": f, "η": eta, "S": S, "∇Tr C": slope}
    swapped = -g - (formula + g)  # −g read as Stratonovich's drift; what formula takes off is then put on
    flat, turning = sp.Matrix([1, 0]), sp.Matrix([[sp.cos(x), -sp.sin(x)], [sp.sin(x), sp.cos(x)]])

    def moved(columns):
        """Σ_j (Dr_j) r_j at (x, y) = (1, 2)."""
        total: Any = sum((r.jacobian([x, y]) * r for r in columns), sp.zeros(2, 1))
        return sp.simplify(total.subs({x: 1, y: 2}))

    still = [flat, sp.Matrix([0, 1])]
    turned = [turning[:, 0], turning[:, 1]]
    one = [sp.Function("r")(x), -sp.Function("r")(x)]  # two roots of r² in one dimension
    return [
        prose.formula("its drift is −g − (fη/4S)∇Tr C", formula, names, text="−g − (fη/4S)∇Tr C"),
        prose.cases(
            "in one dimension for any factor",
            [sp.simplify(r * r.diff(x) - (one[0] ** 2).diff(x) / 2) == 0 for r in one],
            "rr′ = (r²)′/2 for both roots of r²",
        ),
        prose.cases(
            "Another square root of the same C, such as the symmetric one, has in general another Stratonovich drift",
            [moved(still) != moved(turned)],
            "Σ_j (Dr_j) r_j of two roots of C = I, one of which turns with x",
        ),
        prose.cases(
            "given −g instead solves another equation",
            [sp.simplify(swapped + g) != 0],
            "its Itô drift minus −g",
        ),
        prose.formula("whose Itô drift is −g + (fη/4S)∇Tr C", swapped, names, text="−g + (fη/4S)∇Tr C"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Stratonovich form of SGD's equation",
    sources=(Source("Kloeden & Platen, Numerical Solution of Stochastic Differential Equations"),),
    verdict=Verdict.CONDITIONAL,
    summary="SGD's equation is an Itô equation. In Stratonovich form its drift is −g − (fη/4S)∇Tr C, if the diffusion "
    "factor is made of the per-example gradients; in one dimension for any factor. Another square root of the same C, "
    "such as the symmetric one, has in general another Stratonovich drift. A scheme for Stratonovich equations that is "
    "given −g instead solves another equation, whose Itô drift is −g + (fη/4S)∇Tr C.",
    printed=sp.Eq(drift, -g - f * eta / (4 * S) * slope, evaluate=False),
    assumptions=(
        Assumption("R has the columns (∇ℓ_j − g)/√N."),
        Assumption("The per-example losses are twice differentiable."),
    ),
    formula=-g - f * eta / (4 * S) * slope,
    arguments=(f, eta, S, g, slope),
    slip=Slip("½ for ¼: ∇Tr C in place of its half", -g - f * eta / (2 * S) * slope),
)
