"""Thesis (2.3): the minimiser of the training loss, and how far its training loss flatters."""

import itertools

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, lam, theta

v = sp.Symbol("v", positive=True)  # variance of the examples
x = sp.IndexedBase("x")
i = sp.Symbol("i", integer=True)
p1, p2 = sp.symbols("p_1 p_2", real=True)  # Σ x_i, Σ x_i²
RESULT = lam * v / 2 * sp.Matrix([1 - 1 / N, 1 + 1 / N])


def steps(formula):
    """ℓ_i = λ(θ − x_i)²/2 with independent x_i of mean 0 and variance v: θ* is the sample mean."""
    training = lam / 2 * (theta**2 - 2 * theta * p1 / N + p2 / N)
    best, total = p1 / N, sp.Sum(v, (i, 1, N))
    return [
        Step(
            "The training loss is stationary at the sample mean p_1/N:",
            sp.Subs(sp.Derivative(training, theta), theta, best),
            sp.S.Zero,
        ),
        Step(
            "There it is",
            sp.Subs(training, theta, best),
            lam / 2 * (p2 / N - p1**2 / N**2),
        ),
        Step(
            "Both p_2 = Σx_i² and the square of p_1 = Σx_i have the mean Σv = Nv, since the x_i are independent:",
            lam / 2 * (total / N - total / N**2),
            formula[0],
        ),
        Step(
            "On unseen data, independent of θ*, the expected loss is λ(E θ*² + v)/2, and E θ*² = v/N:",
            lam / 2 * (total / N**2 + v),
            formula[1],
        ),
        Step(
            "The gap is λv/N. With H = λ and C = λ²v that is Tr(H⁻¹C)/N:",
            formula[1] - formula[0],
            sp.Mul(1 / lam, lam**2 * v, 1 / N, evaluate=False),
        ),
    ]


def check(formula):
    """All samples of three examples from a population of four; the minimum found by its equation."""
    population, curvature = (-3, -1, 0, 4), sp.Integer(2)
    training, unseen = [], []
    for sample in itertools.product(population, repeat=3):
        risk = sp.Add(*(curvature * (theta - s) ** 2 for s in sample)) / 6
        (best,) = sp.solve(sp.diff(risk, theta), theta)
        training.append(risk.subs(theta, best))
        unseen.append(oracles.mean(curvature * (best - s) ** 2 / 2 for s in population))
    values = {lam: curvature, v: oracles.variance([sp.Integer(s) for s in population]), N: 3}
    return [
        Comparison(
            "mean training and unseen loss at the minimiser for N = 3, over all 64 samples",
            formula.subs(values),
            [oracles.mean(training), oracles.mean(unseen)],
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    curvature, spread, number = sp.Integer(2), sp.Integer(3), 5
    training, expected = formula.subs({lam: curvature, v: spread, N: number})
    at = {"Tr(H⁻¹C)": curvature**2 * spread / curvature, "N": number}
    separable = [sp.log(1 + sp.exp(-scale)) for scale in (1, 10, 100)]  # the cross-entropy of y = 1 at x = 1, θ = scale
    return [
        prose.cases(
            "for the cross-entropy of separable data none does",
            [value == 0 for value in separable] + [later >= value for value, later in itertools.pairwise(separable)],
            "whether the loss of a logistic regression is reached at, or stops falling by, θ = 1, 10, 100",
        ),
        prose.direction(
            "the training loss is lower than the expected one", [expected, training], "the two as derived, N = 5"
        ),
        prose.figure("Tr(H⁻¹C)/N", expected - training, "their difference as derived for λ = 2, v = 3, N = 5", at),
    ]


CLAIM = Claim(
    module=__name__,
    title="Minimiser of the training loss",
    sources=(Source("thesis", "2.3"),),
    verdict=Verdict.STATEMENT,
    summary="This defines the goal of training, where a minimiser exists (for the cross-entropy of separable data none "
    "does). At the minimiser the training loss is lower than the expected one, on parabolas by Tr(H⁻¹C)/N on average.",
    printed=sp.Eq(
        sp.Symbol("theta^*"),
        sp.Function("argmin")(
            sp.Sum(sp.Function("L")(sp.Function("yhat")(sp.Indexed(x, i), theta), sp.Symbol("y_i")), (i, 1, N)) / N
        ),
        evaluate=False,
    ),
    assumptions=(
        Assumption("A minimiser exists."),
        Assumption("The per-example losses are parabolas of one curvature."),
        Assumption("Examples are independent draws with a finite variance."),
    ),
    formula=RESULT,
    arguments=(lam, v, N),
    slip=Slip("the sign of both corrections", lam * v / 2 * sp.Matrix([1 + 1 / N, 1 - 1 / N])),
)
