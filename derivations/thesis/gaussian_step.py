"""Thesis (3.1): what replacing the batch noise of one step by a Gaussian changes."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, c, eta, g, theta

third = sp.Symbol("kappa_3", real=True)  # third cumulant of the per-example gradients
f1, f2, f3 = sp.symbols("φ′ φ″ φ‴", real=True)  # derivatives of a test function φ at θ
noise = sp.Symbol("epsilon", real=True)
i = sp.Symbol("i", integer=True)


def steps(formula):
    """The mean of φ(θ − η(g + ε)) to third order, for a batch's noise and for a Gaussian's."""
    f0 = sp.Symbol("φ", real=True)
    move = -eta * (g + noise)
    taylor = sp.Poly(sp.expand(f0 + f1 * move + f2 * move**2 / 2 + f3 * move**3 / 6), noise)

    def mean(moments):
        return sum(taylor.coeff_monomial(noise**p) * moment for p, moment in enumerate(moments))

    own, gaussian = mean([1, 0, c / S, third / S**2]), mean([1, 0, c / S, 0])
    cubes = [(-eta) ** 3 * (g**3 + 3 * g * c / S + skew) for skew in (third / S**2, 0)]  # E(θ′ − θ)³ of both
    return [
        Step(
            "Cumulants of independent gradients add. The mean of S of them has the variance C/S and the third cumulant",
            sp.Sum(third / S**3, (i, 1, S)),
            third / S**2,
        ),
        Step(
            "Taylor's series of E φ(θ − η(g + ε)) for SGD, up to the third order, against that for a Gaussian ε. Up to "
            "the second order only mean and variance of ε enter, which agree:",
            own,
            gaussian,
            order=(eta, 3),
        ),
        Step(
            "At the third order stands φ‴/6 times the mean cube of the step, and a Gaussian has no third cumulant. "
            "(The fourth comes with η⁴.)",
            sp.Mul(f3 / 6, sp.Add(cubes[0], -cubes[1], evaluate=False), evaluate=False),
            formula,
        ),
    ]


GRADIENTS = (sp.Integer(-1), sp.Integer(1), sp.Rational(9, 2))
CENTRE = oracles.mean(GRADIENTS)
SKEW = oracles.mean((x - CENTRE) ** 3 for x in GRADIENTS)


def cubes(rate, size):
    """E(θ′ − θ)³ of a step of SGD, over all batches, and of one with a law of five Gaussian moments."""
    own = oracles.mean((-rate * sum(GRADIENTS[i] for i in b) / size) ** 3 for b in oracles.batches(3, size, True))
    noise_law = oracles.three_point(sp.sqrt(oracles.variance(GRADIENTS) / size))
    gaussian = oracles.expectation(lambda e: (-rate * (CENTRE + e)) ** 3, noise_law)
    return own, sp.nsimplify(sp.expand(gaussian))


def check(formula):
    """φ = (· − θ)³ has φ‴ = 6 alone."""
    rate, size = sp.Rational(1, 10), 2
    own, gaussian = cubes(rate, size)
    values = {eta: rate, S: size, third: SKEW, f3: 6}
    return [
        Comparison(
            "E(θ′ − θ)³ of SGD minus that of Gaussian noise, N = 3, S = 2, over all 9 batches",
            formula.subs(values),
            own - gaussian,
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    rate, size = sp.Rational(1, 10), 2
    own, gaussian = cubes(rate, size)
    change = {
        (step, number): abs(cubes(step, number)[1] - cubes(step, number)[0]) / step
        for step in (rate, rate / 2, rate / 4)
        for number in (1, 2)
    }
    return [
        prose.figure(
            "changes the mean of a smooth function φ by +η³κ₃φ‴/(6S²)",
            gaussian - own,
            "E(θ′ − θ)³ with Gaussian noise minus that of SGD, N = 3, S = 2, over all 9 batches",
            {"η": rate, "κ₃": SKEW, "φ‴": 6, "S": size},
            text="+η³κ₃φ‴/(6S²)",
        ),
        prose.figure(
            "by +η³κ₃φ‴/(6S²)",
            -formula.subs({eta: rate, S: size, third: SKEW, f3: 6}),
            "minus the formula, which is SGD's mean minus the Gaussian's",
            {"η": rate, "κ₃": SKEW, "φ‴": 6, "S": size},
            text="+η³κ₃φ‴/(6S²)",
        ),
        prose.order(
            "of order η²/S²",
            {step: value for (step, number), value in change.items() if number == 2},
            "η",
            "the change over η for η = 1/10, 1/20, 1/40",
            text="η²/S²",
        ),
        prose.order(
            "of order η²/S²",
            {number: change[rate, number] for number in (1, 2)},
            "S",
            "the change over η at S = 1 and 2",
            text="η²/S²",
        ),
        prose.direction(
            "so the Gaussian is the better the smaller the rate, even at S = 1",
            [-value for (_, number), value in change.items() if number == 1],
            "minus the change per unit of time for η = 1/10, 1/20, 1/40 at S = 1",
            word="better",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="One step with Gaussian noise",
    sources=(Source("thesis", "3.1"),),
    verdict=Verdict.ORDER,
    order="η³/S²",
    summary="Replacing the noise of a step by a Gaussian of the same covariance changes the mean of a smooth "
    "function φ by +η³κ₃φ‴/(6S²) and higher orders: per unit of SDE time that is of order η²/S², so the "
    "Gaussian is the better the smaller the rate, even at S = 1.",
    printed=sp.Eq(sp.Indexed("theta", i + 1), theta - eta * (g + sp.Function("𝒩")(0, c / S)), evaluate=False),
    assumptions=(
        assumptions.WITH_REPLACEMENT,
        Assumption("The test function is smooth."),
        Assumption("The noise has mean zero and is independent from step to step."),
    ),
    formula=-(eta**3) * third * f3 / (6 * S**2),
    arguments=(eta, S, third, f3),
    slip=Slip("1/S for 1/S²", -(eta**3) * third * f3 / (6 * S)),
)
