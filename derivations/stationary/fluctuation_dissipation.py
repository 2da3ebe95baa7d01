"""Yaida (2018): a relation between gradient and noise that every stationary law of SGD obeys, at any learning rate."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import D, E, eta

theta, gradient, estimate = (sp.MatrixSymbol(name, D, 1) for name in ("theta", "g", "ghat"))
square = sp.Symbol("G_2", nonnegative=True)  # E |ĝ|², over batches and the stationary law


def steps(formula):
    """One step's change of |θ|² → its mean over batches → stationarity → any origin."""
    point, guess, origin = (sp.Matrix(sp.symbols(f"{n}_1:4", real=True)) for n in ("theta", "ghat", "a"))
    batches = [sp.Matrix(sp.symbols(f"g{b}_1:4", real=True)) for b in range(3)]
    slope = oracles.mean(batches)
    now = sp.Symbol("M", real=True)  # E |θ|²
    moved = point - eta * guess
    return [
        Step(
            "One step θ′ = θ − ηĝ changes the squared length by a term of first and one of second order, exactly:",
            (moved.T * moved)[0],
            (point.T * point)[0] - 2 * eta * (point.T * guess)[0] + eta**2 * (guess.T * guess)[0],
        ),
        Step(
            "The mean over batches makes ∇L of ĝ in the first term, since ĝ is unbiased and drawn after θ (here three "
            "equally likely batches):",
            oracles.mean([(point.T * b)[0] for b in batches]),
            (point.T * slope)[0],
        ),
        Step(
            "At stationarity E |θ′|² = E |θ|² = M. With A = E θᵀ∇L and G₂ = E |ĝ|², M − 2ηA + η²G₂ = M is "
            "solved by A = (η/2) G₂:",
            now - 2 * eta * sp.UnevaluatedExpr(formula) + eta**2 * square,
            now,
        ),
        Step(
            "Nothing depends on the origin, because E θ′ = E θ makes E ∇L = 0: about any point a, |θ′ − a|² gives the "
            "same relation:",
            ((moved - origin).T * (moved - origin))[0] - ((point - origin).T * (point - origin))[0],
            (moved.T * moved)[0] - (point.T * point)[0] + 2 * eta * (origin.T * guess)[0],
        ),
    ]


def check(formula):
    """Stationary laws solved exactly: a lattice walk for the kinked loss |θ − y_i|, and linear regression."""
    rate = sp.Rational(1, 2)
    # ℓ_i = |θ − y_i| has gradients ±1, so SGD walks on a lattice; beyond the outermost label it can only return.
    labels, size = [sp.Integer(0), sp.Rational(1, 3), sp.Rational(5, 3)], 2
    lattice = [sp.Rational(1, 10) + k * rate for k in range(-2, 6)]
    index = {point: k for k, point in enumerate(lattice)}
    draws = oracles.batches(3, size, replacement=True)

    def draw(point, batch):
        return oracles.mean([sp.sign(point - labels[i]) for i in batch])

    chain = sp.zeros(len(lattice))
    for point in lattice:
        for batch in draws:
            chain[index[point], index[point - rate * draw(point, batch)]] += sp.Rational(1, len(draws))
    (law,) = (chain.T - sp.eye(len(lattice))).nullspace()  # one vector: the stationary law is unique
    weights = list(zip(lattice, law / sum(law), strict=True))

    def stationary(function):
        return sum(w * oracles.mean([function(point, b) for b in draws]) for point, w in weights)

    pull = stationary(lambda point, _: point * oracles.mean([sp.sign(point - y) for y in labels]))
    comparisons = [
        Comparison(
            "E θL′ for ℓ_i = |θ − y_i|, N = 3, S = 2, η = 1/2, over the stationary law of the lattice walk",
            formula.subs({eta: rate, square: stationary(lambda point, b: draw(point, b) ** 2)}),
            pull,
        )
    ]
    # Linear regression: θ′ = (1 − ηh_i)θ + ηb_i, so the first two moments are linear equations.
    curvatures, pushes, rate = [sp.Integer(1), sp.Integer(4)], [sp.Integer(2), sp.Integer(-1)], sp.Rational(1, 5)
    data = list(zip(curvatures, pushes, strict=True))
    first = oracles.mean(pushes) / oracles.mean(curvatures)
    second = (
        rate
        * oracles.mean([2 * (1 - rate * a) * b * first + rate * b**2 for a, b in data])
        / (1 - oracles.mean([(1 - rate * a) ** 2 for a in curvatures]))
    )
    gradient_square = oracles.mean([a**2 * second - 2 * a * b * first + b**2 for a, b in data])
    comparisons.append(
        Comparison(
            "E θL′ for two quadratics of curvature 1 and 4, S = 1, η = 1/5, from the first two moments",
            formula.subs({eta: rate, square: gradient_square}),
            oracles.mean([a * second - b * first for a, b in data]),
        )
    )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    # Two quadratics a_iθ²/2 − b_iθ with a = 1, 4 and b = 2, −1, S = 1: stationary moments at several rates and origins.
    data, exact = ((1, 2), (4, -1)), []
    for rate in (sp.Rational(1, 100), sp.Rational(1, 5), sp.Rational(2, 5)):
        first = sp.Rational(2 - 1, 1 + 4)
        second = rate * oracles.mean([2 * (1 - rate * a) * b * first + rate * b**2 for a, b in data])
        second /= 1 - oracles.mean([(1 - rate * a) ** 2 for a, _ in data])
        square_of = oracles.mean([a**2 * second - 2 * a * b * first + b**2 for a, b in data])
        for origin in (0, 3):
            left = oracles.mean([a * second - b * first - origin * (a * first - b) for a, b in data])
            exact.append(left == formula.subs({eta: rate, square: square_of}))
    return [
        prose.formula("(η/2) E|ĝ|²", formula, {"η": eta, "E|ĝ|²": square}),
        prose.cases(
            "In every stationary state of plain SGD E[θᵀ∇L] =", exact, "two quadratics at three η, θ from two origins"
        ),
        prose.cases(
            "It is exact at any learning rate, for any loss and any noise with independent batches, and θ may be "
            "counted from any origin",
            exact,
            "two quadratics at η = 0.01, 0.2, 0.4, θ counted from 0 and from 3; the kinked loss is above",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Fluctuation–dissipation relation of SGD",
    sources=(Source("Yaida 2018"),),
    verdict=Verdict.CONDITIONAL,
    summary="In every stationary state of plain SGD E[θᵀ∇L] = (η/2) E|ĝ|², with the batch gradient ĝ. It is exact "
    "at any learning rate, for any loss and any noise with independent batches, and θ may be counted from any "
    "origin. Where it fails, the run is not stationary.",
    printed=sp.Eq(E(theta.T * gradient), eta / 2 * E(estimate.T * estimate), evaluate=False),
    assumptions=(
        Assumption("The law of θ is stationary."),
        Assumption("ĝ is unbiased given θ: batches are drawn afresh each step (an epoch's reshuffling is not)."),
        Assumption("Second moments exist."),
        assumptions.NO_MOMENTUM,
    ),
    formula=eta / 2 * square,
    arguments=(eta, square),
    slip=Slip("the ½ forgotten", eta * square),
)
