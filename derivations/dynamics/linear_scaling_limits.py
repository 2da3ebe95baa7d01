"""Goyal et al. 2017: what the linear scaling rule neglects, k steps of η with batch S against one of kη with kS."""

import itertools
from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, S, eta, k

g1, g2 = sp.symbols("g_1 g_2", real=True)
h11, h12, h22 = sp.symbols("H_11 H_12 H_22", real=True)
c11, c12, c22 = sp.symbols("C_11 C_12 C_22", real=True)
third = sp.symbols("L_111 L_112 L_122 L_222", real=True)
gradient, hessian = sp.Matrix([g1, g2]), sp.Matrix([[h11, h12], [h12, h22]])
C = sp.Matrix([[c11, c12], [c12, c22]])
small, large, after = sp.symbols("theta_small theta_large delta_k+1")
i = sp.Symbol("i", integer=True, nonnegative=True)


def steps(formula):
    """Induction over the steps, for a generic smooth loss in the plane."""

    def mean(number, slope: Any = gradient, curvature: Any = hessian) -> Any:
        return -eta * number * slope + number * (number - 1) / 2 * eta**2 * curvature * slope

    def covariance(number, population: Any = C) -> Any:
        return number * eta**2 / S * population

    slices = [sp.Matrix([[third[i], third[i + 1]], [third[i + 1], third[i + 2]]]) for i in range(2)]
    bend = sp.Matrix([(part * (covariance(k) + mean(k) * mean(k).T)).trace() / 2 for part in slices])
    shrink = sp.eye(2) - eta * hessian
    g, H, M, identity = sp.symbols("g H C I", commutative=False)
    large_variance = sp.Mul((k * eta) ** 2, sp.Symbol("C") / (k * S), evaluate=False)
    overshoot = sp.Sum(i * eta**2, (i, 0, k - 1))
    return [
        Step(
            "Let δ be the displacement after k small steps, E δ = −kηg + (k(k−1)/2)η²Hg. One more step adds −η E "
            "g(θ+δ) = −η(g + H E δ + ½ L‴ : E δδᵀ); the last is O(η³). So the form holds for k + 1, from 0 on:",
            mean(k) - eta * (gradient + hessian * mean(k) + bend),
            mean(k + 1),
            order=(eta, 3),
            name=E(after),
            shown=sp.Eq(mean(k, g, H) - eta * (g + H * mean(k, g, H)), mean(k + 1, g, H), evaluate=False),
        ),
        Step(
            "The large step takes the gradient once, at the start. The small step i = 0, 1, … finds it changed by "
            "−iηHg, so the means differ by",
            overshoot * hessian * gradient,
            formula,
            name=E(small) - E(large),
            shown=sp.Eq(overshoot * H * g, k * (k - 1) / 2 * eta**2 * H * g, evaluate=False),
        ),
        Step(
            "Fluctuations: each small step adds η²C/S, and I − ηH shrinks what is there; C at the displaced point is C "
            "+ O(η). So kη²C/S becomes (k + 1)η²C/S:",
            shrink * covariance(k) * shrink.T + eta**2 * C / S,
            covariance(k + 1),
            order=(eta, 3),
            name=Cov(after),
            shown=sp.Eq(
                (identity - eta * H) * covariance(k, M) * (identity - eta * H) + eta**2 / S * M,
                covariance(k + 1, M),
                evaluate=False,
            ),
        ),
        Step(
            "The large step's covariance is the same to this order:",
            C.applyfunc(lambda entry: sp.Mul((k * eta) ** 2, entry / (k * S), evaluate=False)),
            covariance(k),
            name=Cov(large),
            shown=sp.Eq(large_variance, covariance(k, M), evaluate=False),
        ),
    ]


def check(formula):
    """Every path of k steps with one of two examples each, as polynomials in η, against every batch of k."""
    x, y = sp.symbols("x y")
    losses = [x**3 / 3 + x * y - y**2, x**2 - x * y**2 + y**3 / 6 + 2 * x]
    start = {x: sp.Rational(1, 2), y: sp.Rational(-2, 3)}
    fields = [sp.Matrix([loss.diff(x), loss.diff(y)]) for loss in losses]
    mean_loss = sp.Add(*losses) / 2
    slope = [mean_loss.diff(a).subs(start) for a in (x, y)]
    curvature = [mean_loss.diff(a, b).subs(start) for a, b in ((x, x), (x, y), (y, y))]
    origin = sp.Matrix([start[x], start[y]])

    def cut(vector, order=3):
        return vector.applyfunc(lambda e: sum(sp.Poly(e, eta).nth(i) * eta**i for i in range(order)))

    comparisons = []
    for number in (2, 3):
        ends, jumps = [], []
        for path in itertools.product(fields, repeat=number):
            point = origin
            for field in path:
                point = cut(point - eta * field.subs({x: point[0], y: point[1]}, simultaneous=True))
            ends.append(point)
            jumps.append(origin - number * eta * oracles.mean(path).subs(start))
        values = dict(zip((g1, g2, h11, h12, h22), (*slope, *curvature), strict=True))
        derived = formula.subs({**values, k: number})
        difference = cut(oracles.mean(ends) - oracles.mean(jumps))
        words = f"k = {number}, S = 1, two cubic losses in the plane: the means' difference up to η², over all paths"
        comparisons.append(Comparison(words, (derived / eta**2).expand(), (difference / eta**2).expand()))
        spreads = [cut(sp.Matrix(oracles.covariance(points)[:])) for points in (ends, jumps)]
        comparisons.append(Comparison(f"k = {number}: the covariances up to η²", *spreads))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"k": k, "η": eta, "Hg": (hessian * gradient)[0]}
    # On aθ²/2 with a = 1, 1 or 4 from θ = 1: two steps of η with S = 1 against one of 2η with S = 2; C = 2, Hg = 4.
    small = ((1 - 2 * eta) ** 2 + 2 * eta**2) ** 2 - (1 - 2 * eta) ** 4
    large = (2 * eta) ** 2 * 2 / 2
    gaps = {rate: (small - large).subs(eta, rate) for rate in (sp.Rational(1, 100), sp.Rational(1, 200))}
    means = (1 - 2 * eta) ** 2 - (1 - 4 * eta)
    subsets = [oracles.variance(oracles.fluctuations([sp.Integer(v) for v in (1, 1, 4)], n, False)) / 9 for n in (1, 2)]
    return [
        prose.formula("(k(k−1)/2)η²Hg", formula[0], names),
        prose.cases(
            "which the large step moves too far",
            [means.subs(eta, sp.Rational(1, 100)) > 0],
            "θ after two small steps down from 1 minus θ after one large one, η = 1/100",
        ),
        prose.figure(
            "in the covariance, kη²C/S",
            sp.Rational(sp.Poly(small, eta).nth(2), 100**2),
            "the variance of two small steps to leading order, η = 1/100, C = 2, S = 1",
            {"k": 2, "η": sp.Rational(1, 100), "C": 2, "S": 1},
            text="kη²C/S",
        ),
        prose.order("up to O(η³)", gaps, "η", "the difference of the variances at η = 1/100 and 1/200, k = 2"),
        prose.cases(
            "So the rule needs kη times the curvature to be small",
            [abs(means / (4 * eta)).subs(eta, rate) < sp.Rational(1, 20) for rate in (sp.Rational(1, 100),)],
            "the gap of the means over the large step's own move at kη times the curvature 4/100",
        ),
        prose.cases(
            "For subsets the covariances also differ by their finite-population factors",
            [subsets[0] != 2 * subsets[1]],
            "the variance of ĝ for subsets of 1 of three examples, against twice that of 2",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="What the linear scaling rule neglects",
    sources=(Source("Goyal et al. 2017"), Source("lecture", place="section 4")),
    verdict=Verdict.ORDER,
    order="η²",
    summary="k steps of η with batch S and one step of kη with batch kS agree in the mean up to (k(k−1)/2)η²Hg, "
    "which the large step moves too far, and in the covariance, kη²C/S, up to O(η³). So the rule needs kη "
    "times the curvature to be small. For subsets the covariances also differ by their finite-population "
    "factors.",
    printed=sp.Eq(E(large), E(small), evaluate=False),
    assumptions=(
        Assumption("The loss has bounded third derivatives and kη|H| is small."),
        Assumption("Batches are drawn with replacement, or kS ≪ N."),
    ),
    formula=k * (k - 1) / 2 * eta**2 * hessian * gradient,
    arguments=(eta, k, g1, g2, h11, h12, h22),
    slip=Slip("k² for k(k−1)", k**2 / 2 * eta**2 * hessian * gradient),
)
