"""Smith & Le 2018, Smith et al. 2018: the noise scale of SGD with heavy-ball momentum."""

import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, Var, c, eta, g, m

r = sp.Symbol("r", positive=True)  # m = 1/(1 + r): sums and limits then know that m < 1
noise_scale, velocity, theta_n, theta_before = sp.symbols("g_Smith v theta_n theta_n-1")
n = sp.Symbol("n", positive=True, integer=True)
j = sp.Symbol("j", integer=True, nonnegative=True)


def steps(formula):
    """v ← m v − η ĝ, θ ← θ + v at a constant gradient: one kick moves θ by η/(1 − m) in all."""
    rate = eta / (1 - m)
    decay = 1 / (1 + r)
    reach = eta * (1 - m**n) / (1 - m)  # displacement by one kick after n steps
    velocity_variance = eta**2 * c / S / (1 - m**2)
    growth = eta**2 * c / (S * (1 - m) ** 2)
    kick = sp.Symbol("reach_n")
    return [
        Step(
            "At a constant gradient g the mean velocity comes to rest at the fixed point of v = m v − η g. The drift "
            "is that of a step of size η/(1 − m), so a step lasts a time η/(1 − m):",
            m * (-rate * g) - eta * g,
            -rate * g,
            name=E(velocity),
        ),
        Step(
            "A kick of size 1 moves θ by η in its own step, and by m times the last move in each further one. Within n "
            "steps it moves θ by",
            sp.Sum(eta * decay**j, (j, 0, n - 1)),
            reach.subs(m, decay),
            name=kick,
            shown=sp.Eq(sp.Sum(eta * m**j, (j, 0, n - 1)), reach, evaluate=False),
        ),
        Step(
            "The kicks are independent with variance c/S. From rest, Var θ_n is the sum over i ≤ n of (c/S) reach_i²; "
            "it grows by its last term in a step. After many steps:",
            sp.Limit(reach.subs(m, decay) ** 2 * c / S, n, sp.oo),
            growth.subs(m, decay),
            name=Var(theta_n) - Var(theta_before),
            shown=sp.Eq(sp.Limit(reach**2 * c / S, n, sp.oo), growth, evaluate=False),
        ),
        Step(
            "The same from velocities at rest in their law, of variance η²c/(S(1 − m²)) and correlated as m^j when j "
            "steps apart (Green and Kubo), with Σ_{j≥1} m^j = m/(1 − m):",
            velocity_variance * (1 + 2 * m / (1 - m)),
            growth,
            name=Var(theta_n) - Var(theta_before),
        ),
        Step(
            "Per unit of time, a step lasting η/(1 − m):",
            sp.Mul(growth, (1 - m) / eta, evaluate=False),
            formula * c,
        ),
        Step(
            "In Smith's convention, sum loss and η/(N(1 − m)) of time a step, subsets give (N/S − 1)η/(1 − m). For N ≫ "
            "S that is N times the above; the ratio tends to one:",
            sp.Limit((N / S - 1) * eta / (1 - m) / (N * formula), N, sp.oo),
            sp.S.One,
        ),
    ]


def check(formula):
    """Exact moments of the heavy-ball recursion, propagated in rationals for 300 steps."""
    comparisons = []
    for momentum in (sp.Rational(1, 2), sp.Rational(3, 4)):
        rate, gradient, noise = sp.Rational(1, 10), sp.Rational(3, 2), sp.Rational(5, 7)  # noise = c/S with S = 4
        mean, vel, tt, tv, vv = [sp.S.Zero] * 5
        for _ in range(300):
            old_mean, old_tt = mean, tt
            vel = momentum * vel - rate * gradient
            mean += vel
            tv, vv = momentum * tv, momentum**2 * vv + rate**2 * noise
            tv, tt = tv + vv, tt + 2 * tv + vv
        value = formula.subs({eta: rate, S: 4, m: momentum}) * 4 * noise  # c = 4 noise
        time = rate / (1 - momentum)
        comparisons += [
            Comparison(f"variance of the 300th step's growth, m = {momentum}", value * time, tt - old_tt, 1e-30),
            Comparison(
                f"variance over squared drift of that step, m = {momentum}",
                value / (gradient**2 * time),
                (tt - old_tt) / (mean - old_mean) ** 2,
                1e-30,
            ),
        ]
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    momentum, rate, gradient = sp.Rational(3, 4), sp.Rational(1, 10), sp.Rational(3, 2)
    velocity = sp.S.Zero
    moves = []
    for _ in range(100):
        velocity = momentum * velocity - rate * gradient
        moves.append(velocity)
    at = {"η": rate, "m": momentum}
    after = next(n for n, move in enumerate(moves, 1) if abs(move / moves[-1] - 1) < sp.exp(-1))
    how = "the mean move of the 100th step over −g, m = 3/4, η = 1/10"
    return [
        prose.figure(
            "long against 1/(1−m) steps",
            after,
            "steps after which a move is within 1/e of its limit",
            {"m": momentum},
            text="1/(1−m)",
            tolerance=1,
        ),
        prose.figure(
            "learning rate η/(1−m)", -moves[-1] / gradient, how, at, text="η/(1−m)", tolerance=sp.Rational(1, 10**9)
        ),
        prose.figure(
            "a step lasts η/(1−m)", -moves[-1] / gradient, how, at, text="η/(1−m)", tolerance=sp.Rational(1, 10**9)
        ),
        prose.formula("the noise is η/(S(1−m)) times", formula, {"η": eta, "S": S, "m": m}, text="η/(S(1−m))"),
        prose.figure(
            "Smith's noise scale is N times that, up to the finite-population factor",
            (eta * N / (S * (1 - m)) / formula).subs(N, 7),
            "ηN/(S(1 − m)) over it, N = 7",
            {"N": 7},
            text="N",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Noise scale with momentum",
    sources=(Source("Smith & Le 2018"), Source("Smith et al. 2018")),
    verdict=Verdict.CONDITIONAL,
    summary="Over spells long against 1/(1−m) steps, heavy-ball SGD at a slowly varying gradient is SGD with "
    "learning rate η/(1−m): a step lasts η/(1−m), the noise is η/(S(1−m)) times the covariance per unit "
    "of time. Smith's noise scale is N times that, up to the finite-population factor.",
    printed=sp.Eq(noise_scale, eta * N / (S * (1 - m)), evaluate=False),
    assumptions=(
        assumptions.MOMENTUM_BELOW_ONE,
        Assumption(
            "Gradient and covariance are constant over the 1/(1 − m) steps for which a kick lasts: ηλ ≪ (1 − m)² for "
            "every curvature λ."
        ),
        Assumption("N ≫ S, or draws with replacement."),
    ),
    formula=eta / (S * (1 - m)),
    arguments=(eta, S, m),
    slip=Slip("1/(1−m)² for 1/(1−m): the growth a step, without the step's longer time", eta / (S * (1 - m) ** 2)),
)
