"""Lecture, section 4, first caution: is scaling the loss the same as scaling the learning rate?"""

from typing import Any

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import eta, g, m, theta

s = sp.Symbol("s", positive=True)  # the factor
decay = sp.Symbol("lambda_w", nonnegative=True)  # weight decay λ_w|θ|²/2, which is not scaled with the data's loss
u = sp.Symbol("u", real=True)  # velocity before the change, without the learning rate: u ← m u + gradient, θ ← θ − η u
j, n = sp.symbols("j n", integer=True, nonnegative=True)
past = sp.Indexed("g", j)  # the gradient j steps ago


def heavy_ball(rate, factor, velocity):
    """One step: the parameters after it."""
    return theta - rate * (m * velocity + factor * g + decay * theta)


def steps(formula):
    """One step each way from the same state; then the cases."""
    v = sp.Symbol("v", real=True)  # velocity with the learning rate in it: v ← m v + η gradient, θ ← θ − v
    on_loss, on_rate = m * v + eta * (s * g + decay * theta), m * v + s * eta * (g + decay * theta)
    scaled: Any = sp.Sum(m**j * s * past, (j, 0, n))
    unscaled: Any = sp.Sum(m**j * past, (j, 0, n))
    difference = sp.Symbol("θ_loss") - sp.Symbol("θ_rate")
    return [
        Step(
            "One step θ ← θ − η(mu + ∇), with weight decay ∇ = g + λ_wθ, from one state: once with sg for g, once with "
            "sη for η. They differ by",
            heavy_ball(eta, s, u) - heavy_ball(s * eta, 1, u),
            formula,
            name=difference,
        ),
        Step(
            "Plain SGD without weight decay: no difference.",
            sp.Subs(formula.subs(m, 0), decay, 0),
            0,
            name=difference,
        ),
        Step(
            "Weight decay is not part of the scaled loss, but the rate multiplies it, so it makes one:",
            sp.Subs(formula, m, 0),
            eta * (s - 1) * decay * theta,
            name=difference,
        ),
        Step(
            "The old velocity is multiplied by the new rate, not by the new loss. A run scaled from its start has s "
            "times the velocity u = Σ_j m^j g_j, g_j the gradient j steps ago, and the same ηu:",
            sp.Mul(eta, scaled, evaluate=False),
            sp.Mul(s * eta, unscaled, evaluate=False),
        ),
        Step(
            "If the velocity holds the rate, v ← mv + η∇ and θ ← θ − v, only the weight decay is left, at a change on "
            "the way too:",
            on_rate - on_loss,
            formula.subs(m, 0),
            name=difference,
        ),
    ]


def check(formula):
    """Heavy-ball runs on a quartic in rationals, changed after three steps in one way or the other."""
    rate, factor = sp.Rational(1, 20), sp.Rational(3)

    def run(start, momentum, weight, changed_at, of):
        """Parameters and velocity after four steps; from `changed_at` on, the loss or the rate is scaled."""
        position, velocity = sp.sympify(start), sp.S.Zero
        before = (position, velocity)
        for n in range(4):
            before = (position, velocity)
            on_loss = factor if n >= changed_at and of == "loss" else 1
            on_rate = factor if n >= changed_at and of == "rate" else 1
            gradient = position**3 - position - 1
            velocity = momentum * velocity + on_loss * gradient + weight * position
            position = position - rate * on_rate * velocity
        return position, before

    comparisons = []
    for start, momentum, weight in ((2, 0, 0), (2, 0, sp.Rational(1, 9)), (-1, sp.Rational(1, 2), sp.Rational(1, 4))):
        scaled_loss, (position, velocity) = run(start, momentum, weight, 3, "loss")
        scaled_rate, _ = run(start, momentum, weight, 3, "rate")
        values = {eta: rate, s: factor, m: momentum, decay: weight, theta: position, u: velocity}
        comparisons.append(
            Comparison(
                f"difference after a change at step 3, m = {momentum}, weight decay {weight}, by both runs",
                formula.subs(values),
                scaled_loss - scaled_rate,
            )
        )
    one, _ = run(2, sp.Rational(1, 2), 0, 0, "loss")
    other, _ = run(2, sp.Rational(1, 2), 0, 0, "rate")
    comparisons.append(
        Comparison(
            "difference after four steps scaled from the start, m = 1/2, no weight decay",
            formula.subs({decay: 0, u: 0}),
            one - other,
        )
    )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    at = {eta: sp.Rational(1, 20), s: 3, theta: 2, u: 5, decay: 0, m: 0}
    return [
        prose.cases(
            "For plain SGD, and for momentum scaled from the first step on, scaling the loss by s and scaling the "
            "learning rate by s are the same",
            [formula.subs(at) == 0, formula.subs({**at, m: sp.Rational(1, 2), u: 0}) == 0],
            "the difference without momentum, and with it from a velocity of 0",
        ),
        prose.cases(
            "They differ with weight decay",
            [formula.subs({**at, decay: sp.Rational(1, 9)}) != 0],
            "the difference with λ_w = 1/9, m = 0",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Scaling the loss and scaling the learning rate",
    sources=(Source("lecture", place="section 4, first caution"), Source("Goyal et al. 2017")),
    verdict=Verdict.CONDITIONAL,
    summary="For plain SGD, and for momentum scaled from the first step on, scaling the loss by s and scaling the "
    "learning rate by s are the same. They differ with weight decay, which only the rate scales, and when "
    "the change comes during training and the velocity does not contain the learning rate; with one that "
    "does, see momentum-correction.",
    printed=sp.Ne(sp.Symbol("θ_loss"), sp.Symbol("θ_rate"), evaluate=False),
    assumptions=(
        Assumption("There is weight decay, or a velocity from before the change that does not contain the rate."),
        Assumption("The factor is not 1.", sp.Ne(s, 1, evaluate=False)),
        Assumption("The optimiser is SGD or heavy ball, not one that normalises the gradient."),
    ),
    formula=eta * (s - 1) * (decay * theta + m * u),
    arguments=(eta, s, decay, theta, m, u),
    slip=Slip("the weight decay scaled with the loss", eta * (s - 1) * m * u),
)
