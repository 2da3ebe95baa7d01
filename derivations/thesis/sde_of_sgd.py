"""Thesis (3.2): the stochastic differential equation whose one-step mean and covariance are SGD's."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, S, c, eta, g, t

c11, c22 = sp.symbols("C_11 C_22", nonnegative=True)
c12 = sp.Symbol("C_12", real=True)
RESULT = eta / S * sp.Matrix([[c11, c12], [c12, c22]])
dtheta, force, dt, factor, dW = sp.symbols("dθ g dt R dW", commutative=False)  # in this order on the page


def steps(formula):
    """The squared noise coefficient from one step; then all moments of a step in one dimension."""
    A = sp.Matrix(2, 2, sp.symbols("r_11 r_12 r_21 r_22", real=True))
    C = A * A.T
    of_factor = formula.subs({c11: C[0, 0], c12: C[0, 1], c22: C[1, 1]}, simultaneous=True)
    R, x = sp.MatrixSymbol("R", 2, 2), sp.MatrixSymbol("dW", 2, 1)
    signs = [sp.Matrix([a, b]) for a in (-1, 1) for b in (-1, 1)]
    coefficient = formula[0, 0].subs(c11, c)
    h, f1, f2 = sp.symbols("g′ φ′ φ″", real=True)  # slope of g; derivatives of a test function φ at θ
    sgd = -eta * g * f1 + eta**2 * (g**2 + c / S) * f2 / 2
    generator = -g * f1 + coefficient * f2 / 2
    twice = -g * (-h * f1 - g * f2)  # the generator twice, less what the noise adds at O(η³)
    return [
        Step(
            "A step of SGD lasts η and its noise has the covariance η²C/S. The equation's noise, (η/S)C per unit of "
            "time, must reach that. For any entry, such as C_11:",
            formula.applyfunc(lambda entry: sp.Integral(entry, (t, 0, eta))),
            eta**2 / S * sp.Matrix([[c11, c12], [c12, c22]]),
            shown=sp.Eq(sp.Integral(formula[0, 0], (t, 0, eta)), eta**2 / S * c11, evaluate=False),
        ),
        Step(
            "√(η/S) R dW has a covariance of η/S times RRᵀ per unit of time (entries of dW ±√dt over all four signs, "
            "dt = 1). So RRᵀ must be C, whatever the shape of R:",
            eta / S * oracles.mean(A * s * (A * s).T for s in signs),
            of_factor,
            shown=sp.Eq(eta / S * E(R * x * x.T * R.T), eta / S * sp.Symbol("C"), evaluate=False),
        ),
        Step(
            "A test function φ changes by −ηgφ′ + η²(g² + C/S)φ″/2 + O(η³) in the mean of a step of SGD. In the "
            "equation it is the generator, applied once and twice, and η²gg′φ′/2 is added: the gradient moves during "
            "the step.",
            eta * generator + eta**2 / 2 * twice,
            sgd + eta**2 * g * h * f1 / 2,
            order=(eta, 3),
        ),
    ]


def moments(formula, rate):
    """After a step from 1.5 on two parabolas, S = 1: SGD's ends over both batches; the equation's mean and mean square,
    a linear system solved by its exponential."""
    curvatures, centres = [sp.Integer(1), sp.Integer(3)], (2, -1)
    size, start = 1, sp.Rational(3, 2)
    ends = [start - rate * curvatures[j] * (start - centres[j]) for j in (0, 1)]

    # Gradients a_j(θ − b_j), so g and C are polynomials of θ; moments m_1, m_2 and the constant 1 obey y′ = My.
    x = sp.Symbol("x")
    gradients = [curvatures[j] * (x - centres[j]) for j in (0, 1)]
    mean = sp.Poly(oracles.mean(gradients), x).all_coeffs()
    noise = sp.Poly(formula[0, 0].subs({c11: oracles.variance(gradients), eta: rate, S: size}), x)
    q2, q1, q0 = (noise.coeff_monomial(x**p) for p in (2, 1, 0))
    M = sp.Matrix([[-mean[0], 0, -mean[1]], [-2 * mean[1] + q1, -2 * mean[0] + q2, q0], [0, 0, 0]])
    y = term = sp.Matrix([start, start**2, 1])
    for order in range(1, 8):
        term = rate * M * term / order
        y = y + term
    return ends, y, oracles.mean(gradients).subs(x, start) * oracles.mean(curvatures)


def check(formula):
    """SGD on parabolas over all batches against the equation's moments."""
    rate = sp.Rational(1, 10**6)
    ends, y, pull = moments(formula, rate)
    return [
        Comparison(
            "variance after one step from θ = 1.5 over η², N = 2, S = 1, both batches, up to O(η)",
            (y[1] - y[0] ** 2) / rate**2,
            oracles.variance(ends) / rate**2,
            sp.Rational(1, 1000),
        ),
        Comparison(
            "mean of the equation minus that of SGD over η², against gg′/2, up to O(η)",
            (y[0] - oracles.mean(ends)) / rate**2,
            pull / 2,
            sp.Rational(1, 1000),
        ),
    ]


def says(formula):
    """What the summary states, in numbers."""
    means, variances, squares = {}, {}, {}
    for rate in (sp.Rational(1, 1000), sp.Rational(1, 2000)):
        ends, y, _ = moments(formula, rate)
        means[rate] = y[0] - oracles.mean(ends)
        variances[rate] = y[1] - y[0] ** 2 - oracles.variance(ends)
        squares[rate] = (y[1] - oracles.mean(end**2 for end in ends)) / rate  # 1/η steps in a unit of time
    x, rate = [sp.Rational(value) for value in ("3", "1/2", "-2", "7")], sp.Rational(1, 10)
    n, size = 4, 3
    subset = rate**2 * oracles.variance(oracles.fluctuations(x, size, False)) / n**2
    factor = subset / (rate**2 * oracles.variance(x) / size)
    how = "of one step on two parabolas, S = 1, at η = 1/1000 and 1/2000"
    return [
        prose.order("up to O(η²) in the mean", means, "η", f"the difference of the means {how}"),
        prose.order("and O(η³) in the covariance", variances, "η", f"the difference of the variances {how}"),
        prose.cases(
            "hence order 1 over a fixed time",
            [sp.Abs(squares[sp.Rational(1, 1000)] / squares[sp.Rational(1, 2000)] - 2) < sp.Rational(1, 10)],
            f"the difference of the mean squares {how}, times the 1/η steps of a unit of time, halves with η",
        ),
        prose.figure(
            "√(fη/S)",
            sp.sqrt(subset / (rate * oracles.variance(x))),
            "root of a subset's variance over ηC, N = 4, S = 3, over all subsets",
            {"f": factor, "η": rate, "S": size},
        ),
        prose.figure(
            "f = (N − S)/(N − 1)",
            factor,
            "variance of a step by a subset over that with replacement",
            {"N": n, "S": size},
            text="(N − S)/(N − 1)",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The stochastic differential equation of SGD",
    sources=(Source("thesis", "3.2"), Source("Li et al. 2017")),
    verdict=Verdict.ORDER,
    order="η² a step",
    summary="Read in Itô's sense, with RRᵀ = C and a step lasting η, the equation has SGD's mean and covariance "
    "of one step up to O(η²) in the mean and O(η³) in the covariance, hence order 1 over a fixed time. "
    "For draws without replacement the coefficient is √(fη/S) with f = (N − S)/(N − 1).",
    printed=sp.Eq(
        dtheta,
        sp.Add(
            -force * dt,
            sp.Mul(sp.Pow(eta / S, sp.Rational(1, 2), evaluate=False), factor, dW, evaluate=False),
            evaluate=False,
        ),
        evaluate=False,
    ),
    assumptions=(
        Assumption("R is a factor of C from the left."),
        assumptions.WITH_REPLACEMENT_OR_SMALL,
        assumptions.ITO,
        Assumption("Gradient and covariance are smooth in θ."),
    ),
    formula=RESULT,
    arguments=(eta, S, c11, c12, c22),
    slip=Slip("η/S in front of R itself, so its square here", RESULT * eta / S),
)
