"""A direction without curvature: SGD's variance grows for ever, with momentum at 1/(1 − m)² times the rate."""

import itertools

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import S, Var, c, eta, k, lam, m, theta


def steps(formula):
    """Response to one kick → the sum over kicks → plain SGD, momentum, weak curvature, weight decay."""
    j = sp.Symbol("j", integer=True, nonnegative=True)
    kick = (1 - m**j) / (1 - m)
    saturated = eta * c / (S * lam * (2 - eta * lam))
    curved = saturated * (1 - (1 - eta * lam) ** (2 * k))
    return [
        Step(
            "A kick −ηξ moves θ by −ηξ at once, and the velocity it leaves moves θ on by m^j of that in step j + 1. "
            "After j steps θ has moved by (1 − m^j)/(1 − m) times −ηξ:",
            kick.subs(j, j + 1) - kick,
            m**j,
        ),
        Step(
            "The kicks of k steps are uncorrelated, each of variance η²c/S, so the variance is a sum of squares: "
            "one more step adds one more square, and before the first step it is 0:",
            sp.Matrix([formula.subs(k, k + 1) - formula, formula.subs(k, 0)]),
            sp.Matrix([eta**2 * c / S * kick.subs(j, k + 1) ** 2, 0]),
        ),
        Step(
            "Plain SGD: (η/S) c per unit of the time kη, as in the SDE:",
            formula.subs(m, 0),
            eta / S * c * sp.UnevaluatedExpr(k * eta),
        ),
        Step(
            "With momentum, here ½, the late rate is 1/(1 − m)² = 4 times that:",
            sp.Limit(formula.subs(m, sp.Rational(1, 2)) / k, k, sp.oo),
            4 * eta**2 * c / S,
        ),
        Step(
            "Without momentum it is also the limit of a weak curvature λ, where the variance after k steps is "
            "ηc/(Sλ(2 − ηλ)) · (1 − (1 − ηλ)^{2k}):",
            sp.Limit(curved, lam, 0),
            formula.subs(m, 0),
        ),
        Step(
            "Weight decay λθ²/2 is such a curvature. One more step multiplies the variance by (1 − ηλ)² and adds "
            "η²c/S; that has a fixed point, which the flat direction has not:",
            (1 - eta * lam) ** 2 * saturated + formula.subs({m: 0, k: 1}),
            saturated,
        ),
    ]


def check(formula):
    """Every sequence of kicks ±1 over five steps of heavy ball, in rationals; and of batches for plain SGD."""
    rate, size = sp.Rational(1, 3), 2
    comparisons = []
    for momentum in (sp.S.Zero, sp.Rational(3, 4)):
        ends = []
        for kicks in itertools.product((-1, 1), repeat=5):
            place, velocity = sp.S.Zero, sp.S.Zero
            for kick in kicks:
                velocity = momentum * velocity - rate * kick
                place += velocity
            ends.append(place)
        comparisons.append(
            Comparison(
                f"Var θ after k = 5 steps for gradients ±1, S = 1, η = 1/3, m = {momentum}, over all 32 sequences",
                formula.subs({eta: rate, S: 1, c: 1, k: 5, m: momentum}),
                oracles.variance(ends),
            )
        )
    gradients = [sp.Integer(2), sp.Integer(-1), sp.Integer(-1)]
    moves = [-rate * oracles.mean([gradients[i] for i in b]) for b in oracles.batches(3, size, replacement=True)]
    comparisons.append(
        Comparison(
            "Var θ after k = 3 steps of SGD, S = 2, for gradients 2, −1, −1, over all 729 sequences of batches",
            formula.subs({eta: rate, S: size, c: oracles.variance(gradients), k: 3, m: 0}),
            oracles.variance([sum(path) for path in itertools.product(moves, repeat=3)]),
        )
    )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    half = sp.S.Half
    late = [formula.subs({m: half, c: 1, eta: 1, S: 1, k: number}) for number in (199, 200)]
    plain = [formula.subs({m: 0, c: 1, eta: 1, S: 1, k: number}) for number in (1, 10, 100, 1000)]
    decayed = [(1 - sp.Rational(9, 10) ** (2 * n)) / (1 - sp.Rational(81, 100)) for n in (50, 100)]  # ηλ = 1/10
    return [
        prose.cases("there is no stationary law", [plain[-1] == plain[-2]], "the variance after 100 and 1000 steps"),
        prose.formula("is kη²c/S", sp.expand(formula.subs(m, 0)), {"k": k, "η": eta, "c": c, "S": S}, text="kη²c/S"),
        prose.direction("and grows 1/", plain, "the variance after 1, 10, 100, 1000 steps"),
        prose.figure(
            "1/(1 − m)² times as fast with momentum once k ≫ 1/(1 − m)",
            late[1] - late[0],
            "the growth in the 200th step over that without momentum, m = 1/2",
            {"m": half},
            text="1/(1 − m)²",
            tolerance=sp.Rational(1, 10**9),
        ),
        prose.cases(
            "Any weight decay stops the growth",
            [decayed[1] - decayed[0] < sp.Rational(1, 1000)],
            "v ← (1 − ηλ)²v + 1 for ηλ = 1/10 after 50 and 100 steps",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Diffusion along a flat direction",
    sources=(Source("textbook", place="random walk"),),
    verdict=Verdict.CONDITIONAL,
    summary="Along a direction without curvature there is no stationary law: the variance of SGD is kη²c/S after "
    "k steps, and grows 1/(1 − m)² times as fast with momentum once k ≫ 1/(1 − m). Any weight decay stops "
    "the growth.",
    printed=sp.Eq(Var(theta), k * eta**2 * c / S, evaluate=False),
    assumptions=(
        Assumption("The loss does not depend on this direction."),
        Assumption("The noise along it has the same variance everywhere; steps are uncorrelated."),
        Assumption("The run starts at a point, at rest."),
        Assumption("Momentum below one; as printed, none.", sp.Lt(m, 1, evaluate=False)),
    ),
    formula=eta**2
    * c
    / (S * (1 - m) ** 2)
    * (k - 2 * m * (1 - m**k) / (1 - m) + m**2 * (1 - m ** (2 * k)) / (1 - m**2)),
    arguments=(k, c, eta, S, m),
    slip=Slip(
        "the effective rate η/(1 − m) entering once, not squared",
        eta**2 * c / (S * (1 - m)) * (k - 2 * m * (1 - m**k) / (1 - m) + m**2 * (1 - m ** (2 * k)) / (1 - m**2)),
    ),
)
