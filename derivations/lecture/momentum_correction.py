"""Lecture, section 4, second caution: when a change of the learning rate asks for a correction of the velocity."""

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import eta, g, m, theta

new = sp.Symbol("etahat", positive=True)  # the learning rate after the change
u = sp.Symbol("u", real=True)  # velocity without the rate: u ← m u + gradient, θ ← θ − η u
v = sp.Symbol("v", real=True)  # velocity that contains it: v ← m v + η gradient, θ ← θ − v
RESULT = new / eta


def steps(formula):
    """The first step after the change, both ways, from one state: v = ηu."""
    position = sp.Symbol("θ′")
    return [
        Step(
            "While the rate is η the two forms are one run, with v = ηu: one step makes of ηu",
            m * (eta * u) + eta * g,
            sp.Mul(eta, m * u + g, evaluate=False),
            name=v,
        ),
        Step(
            "The velocity without the rate doesn't notice the change: its next move is −η̂(mu + g). The other is to "
            "move as far, so its velocity mv = mηu is multiplied by η̂/η:",
            theta - (m * formula * (eta * u) + new * g),
            theta - new * (m * u + g),
            name=position,
        ),
        Step(
            "Without the correction the old velocity keeps the old rate, and the two part by",
            theta - (m * (eta * u) + new * g) - (theta - new * (m * u + g)),
            (formula - 1) * eta * m * u,
        ),
    ]


def runs(momentum, rates, correction):
    """θ on a quartic after heavy ball with these rates: without the rate in the velocity, and with it."""
    plain, speed = sp.Integer(2), sp.S.Zero
    other, held = sp.Integer(2), sp.S.Zero
    for before, rate in zip((rates[0], *rates), rates, strict=False):
        speed = momentum * speed + plain**3 - plain - 1
        plain -= rate * speed
        held = momentum * (held * (correction.subs({eta: before, new: rate}) if rate != before else 1))
        held += rate * (other**3 - other - 1)
        other -= held
    return plain, other


def check(formula):
    """Whole runs on a quartic in rationals, changed after three steps, up and down."""
    comparisons = []
    for momentum, after in ((sp.Rational(1, 2), sp.Rational(3, 20)), (sp.Rational(9, 10), sp.Rational(1, 100))):
        rates = [sp.Rational(1, 20)] * 3 + [after] * 3
        plain, corrected = runs(momentum, rates, formula)
        comparisons.append(
            Comparison(
                f"θ after six steps of θ⁴/4 − θ²/2 − θ, η = 1/20, then {after}, m = {momentum}: with the rate in the "
                "velocity and the correction, against without",
                corrected,
                plain,
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    rates = [sp.Rational(1, 20)] * 3 + [sp.Rational(3, 20)] * 3
    plain, left_alone = runs(sp.S.Half, rates, sp.S.One)
    _, corrected = runs(sp.S.Half, rates, formula)
    at = {eta: sp.Rational(1, 20), new: sp.Rational(3, 20)}
    return [
        prose.formula("multiplied by η̂/η", formula, {"η̂": new, "η": eta}, text="η̂/η"),
        prose.cases(
            "to go on as the one that doesn't contain it",
            [corrected != plain],
            "whether θ differs after six steps, the rate changed after three",
        ),
        prose.cases(
            "Left alone after a rise of the rate, the old velocity is too small",
            [left_alone != plain],
            "θ after the same steps without the correction",
        ),
        prose.direction(
            "the old velocity is too small",
            [formula.subs(at), 1],
            "the velocity as it should be, then as it is, in units of it",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Momentum correction after a change of the learning rate",
    sources=(Source("lecture", place="section 4, second caution"), Source("Goyal et al. 2017", place="remark 2")),
    verdict=Verdict.CONDITIONAL,
    summary="After a change of the learning rate from η to η̂ a velocity that contains the rate, v ← mv + η∇, "
    "must be multiplied by η̂/η to go on as the one that doesn't contain it, u ← mu + ∇ with θ ← θ − ηu. "
    "Left alone after a rise of the rate, the old velocity is too small. The lecture has 'if using R-CNN' "
    "where Goyal et al. have 'if using (10)', their equation (10), which is the first of the two: it is "
    "the form of the update that asks for the correction, not the network.",
    printed=sp.Implies(sp.Symbol("R-CNN"), sp.Ne(sp.Symbol("v′"), v, evaluate=False)),
    assumptions=(
        Assumption(
            "The velocity contains the learning rate, as in equation (10) of Goyal et al.: v ← mv + η∇, θ ← θ − v."
        ),
        Assumption("There is momentum."),
    ),
    formula=RESULT,
    arguments=(eta, new),
    slip=Slip("the old rate over the new one", eta / new),
)
