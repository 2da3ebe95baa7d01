"""Thesis, 3.2: the factor g = √(η/S), and what is linear in η/S."""

import itertools

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, Var, c, eta, k, t

displacement = sp.Symbol("Delta_theta", real=True)
j = sp.Symbol("j", integer=True)


def steps(formula):
    """The variance the coefficient gives in a time, in k steps, and in the lecture's units."""
    return [
        Step(
            "k steps take the time kη, and the variance of each is η²C/S. √(η/S) R dW has the same:",
            sp.Integral(formula**2 * c, (t, 0, k * eta)),
            sp.Sum(eta**2 * c / S, (j, 1, k)),
            name=Var(displacement),
        ),
        Step(
            "Four times the ratio η/S doubles the coefficient and so the standard deviation; the variance grows "
            "fourfold:",
            sp.Subs(formula, eta, 4 * eta),
            2 * formula,
        ),
        Step(
            "The lecture's g is another quantity, the strength ηN/S of a variance. Its time is that of the sum loss, "
            "in which a step lasts η/N. Both equations give a step the same variance:",
            sp.Integral(eta * N / S * c, (t, 0, eta / N)),
            sp.Integral(formula**2 * c, (t, 0, eta)),
        ),
    ]


def check(formula):
    """SGD on three linear losses, all 81 runs of two steps with batches of two."""
    gradients = [sp.Integer(-1), sp.Integer(1), sp.Rational(9, 2)]
    rate, size = sp.Rational(1, 10), 2
    moves = [-rate / size * sum(gradients[i] for i in run) for run in itertools.product(range(3), repeat=2 * size)]
    return [
        Comparison(
            "variance of two steps of SGD with S = 2, over all 81 runs",
            sp.simplify(formula.subs({eta: rate, S: size}) ** 2) * oracles.variance(gradients) * 2 * rate,
            oracles.variance(moves),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    rate, size = sp.Rational(1, 10), 2
    values = [(formula.subs({eta: factor * rate, S: size})) for factor in (1, 2, 3, 4)]
    return [
        prose.formula("√(η/S) is what multiplies R dW", formula, {"η": eta, "S": S}, text="√(η/S)"),
        prose.cases(
            "The linear dependence on η/S holds for the variance",
            [
                sp.simplify(value**2 - factor * values[0] ** 2) == 0
                for factor, value in zip((1, 2, 3, 4), values, strict=True)
            ],
            "the variance per unit of time at 1, 2, 3, 4 times η/S = 1/20",
        ),
        prose.direction(
            "its standard deviation grows as the square root", values, "√(η/S) at 1, 2, 3, 4 times η/S = 1/20"
        ),
        prose.cases(
            "grows as the square root",
            [sp.simplify(values[3] - 2 * values[0]) == 0],
            "√(η/S) at 4 times η/S is twice that at η/S",
        ),
        prose.figure(
            "is N times the square of this one",
            (rate * 7 / size) / sp.simplify(values[0] ** 2),
            "ηN/S over the square of √(η/S), N = 7",
            {"N": 7},
            text="N",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The factor √(η/S)",
    sources=(Source("thesis", place="3.2, text after (3.3)"), Source("thesis", place="3.2, text before (3.2)")),
    verdict=Verdict.CONDITIONAL,
    summary="√(η/S) is what multiplies R dW. The linear dependence on η/S holds for the variance of the noise in a "
    "given SDE time; its standard deviation grows as the square root. The lecture's g, though of the same name, is N "
    "times the square of this one.",
    printed=sp.Eq(sp.Symbol("g"), sp.Pow(eta / S, sp.Rational(1, 2), evaluate=False), evaluate=False),
    assumptions=(
        Assumption("The noise's scale means its variance."),
        assumptions.WITH_REPLACEMENT_OR_SMALL,
        Assumption("C hardly changes during the time looked at."),
    ),
    formula=sp.sqrt(eta / S),
    arguments=(eta, S),
    slip=Slip("η/S in front of R dW", eta / S),
)
