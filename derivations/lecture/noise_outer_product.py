"""Lecture (20): the covariance of the integrated noise is an outer product."""

import itertools

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import E, N, eta, t

scale = sp.Symbol("g_Smith", positive=True)  # the lecture's noise scale g
f11, f12, f22 = sp.symbols("F_11 F_12 F_22", real=True)
noise, transposed = sp.Function("ε"), sp.Function("εᵀ")
other = sp.Symbol("t′", nonnegative=True)
AT = {scale: 1, eta: 1, N: 1, f11: 1, f12: 0, f22: 4}
RESULT = scale * eta / N * sp.Matrix([[f11, f12], [f12, f22]])


def steps(formula):
    """In the plane, ∫ ε dt = A x with AAᵀ = gF and independent x of variance η/N."""
    A = sp.Matrix(2, 2, sp.symbols("a_11 a_12 a_21 a_22", real=True))
    F = A * A.T / scale
    values = {f11: F[0, 0], f12: F[0, 1], f22: F[1, 1]}
    noises = [A * sp.sqrt(eta / N) * sp.Matrix(signs) for signs in itertools.product((-1, 1), repeat=2)]
    x, factor = sp.MatrixSymbol("x", 2, 1), sp.MatrixSymbol("A", 2, 2)
    duration = eta / N
    return [
        Step(
            "The noise of a step is Ax with AAᵀ = gF, where the entries of x are independent, of mean 0 and variance "
            "η/N; here each is ±√(η/N). A column times a row is a matrix:",
            oracles.mean(v * v.T for v in noises),
            formula.subs(values),
            shown=sp.Eq(E(factor * x * x.T * factor.T), duration * scale * sp.Symbol("F"), evaluate=False),
        ),
        Step(
            "A row times a column is a number, which forgets all directions:",
            oracles.mean((v.T * v)[0] for v in noises),
            sp.trace(formula).subs(values),
            shown=sp.Eq(
                E(x.T * factor.T * factor * x), duration * scale * sp.Trace(sp.MatrixSymbol("F", 2, 2)), evaluate=False
            ),
        ),
    ]


def check(formula):
    """The noise of SGD steps in the plane over all batches, for which g = ηN/S."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)))]
    n, size, rate = 3, 2, sp.Rational(1, 5)
    moves = [
        -rate / size * sum((gradients[j] for j in batch), sp.zeros(2, 1)) for batch in oracles.batches(n, size, True)
    ]
    F = oracles.covariance(gradients)
    derived = formula.subs({scale: rate * n / size, eta: rate, N: n, f11: F[0, 0], f12: F[0, 1], f22: F[1, 1]})
    return [Comparison("covariance of a step for N = 3, S = 2, over all 9 batches", derived, oracles.covariance(moves))]


def says(formula):
    """What the summary states, in numbers."""
    kicks = [(sp.Integer(a), 2 * sp.Integer(b)) for a, b in itertools.product((-1, 1), repeat=2)]
    at = {scale: 1, eta: 1, N: 1, f11: 1, f12: 0, f22: 4}
    return [
        prose.cases(
            "read as a scalar product it gives the trace instead of the matrix",
            [oracles.mean(u**2 + v**2 for u, v in kicks) == sp.trace(formula).subs(at)],
            "for independent kicks of variance 1 and 4, over the four sign patterns",
        )
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of the integrated noise as an outer product",
    sources=(Source("lecture", "20"),),
    verdict=Verdict.WRONG,
    summary="The second of the two integrals in (20) lacks its transpose: the product of two columns is not "
    "defined, and read as a scalar product it gives the trace instead of the matrix. (21) has the "
    "transpose again and is right.",
    printed=E(
        sp.Mul(sp.Integral(noise(t), (t, 0, eta / N)), sp.Integral(noise(other), (other, 0, eta / N)), evaluate=False)
    ),
    corrected=E(
        sp.Mul(
            sp.Integral(noise(t), (t, 0, eta / N)), sp.Integral(transposed(other), (other, 0, eta / N)), evaluate=False
        )
    ),
    assumptions=(
        Assumption("F is frozen during a step."),
        Assumption("A step lasts η/N."),
    ),
    formula=RESULT,
    arguments=(scale, eta, N, f11, f12, f22),
    slip=Slip("the covariances between entries dropped", sp.diag(RESULT[0, 0], RESULT[1, 1])),
    example=Example(
        "variance along the second axis for g = η/N = 1 and F = diag(1, 4), the printed product read as a scalar one",
        sp.trace(RESULT).subs(AT),
        RESULT[1, 1].subs(AT),
    ),
)
