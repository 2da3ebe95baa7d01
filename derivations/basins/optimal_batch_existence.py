"""The lecture's inference after (24): that the noise scale falls with B doesn't give an optimal batch size."""

from fractions import Fraction

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import N, S, c, eta, lam

delta = sp.Symbol("delta", real=True)  # distance of the test loss's minimum from the training loss's
g_best = sp.Symbol("g_*", positive=True)  # a noise scale at which the test loss is least
S_opt = sp.Symbol("S_opt", positive=True)
loss, noise_scale = sp.Function("L_test")(S), sp.Function("g")(S)
half = sp.Rational(1, 2)


def steps(formula):
    """A quadratic model, in which g falls with S and the test loss with it; what is missing."""
    V = sp.Symbol("V", positive=True)
    kick = eta**2 * c * (N - S) / ((N - 1) * S)
    variance = eta * c * (N - S) / (lam * (2 - eta * lam) * (N - 1) * S)
    slope = -half * eta * c * N / ((2 - eta * lam) * (N - 1) * S**2)
    return [
        Step(
            "The premise holds, for any problem: the noise scale (24) falls with the batch size S.",
            sp.Derivative(eta * (N / S - 1), S),
            -eta * N / S**2,
            shown=sp.Eq(sp.Derivative(noise_scale, S), -eta * N / S**2, evaluate=False),
        ),
        Step(
            "Take a mean loss λθ²/2 with a gradient variance c that is the same everywhere. A step multiplies θ by "
            "1 − ηλ and adds noise; batches are drawn without replacement. So the variance V of θ obeys",
            (1 - eta * lam) ** 2 * variance + kick,
            variance,
            shown=sp.Eq((1 - eta * lam) ** 2 * V + kick, V, evaluate=False),
        ),
        Step(
            "A test loss of the same curvature with its minimum a distance δ away is, above its least value and on "
            "average, λ(δ² + V)/2. With V from the line above:",
            lam * (delta**2 + variance) / 2,
            formula,
            name=loss,
            shown=sp.Eq(sp.Mul(half, lam, delta**2 + V), formula, evaluate=False),
        ),
        Step(
            "It falls with S all the way to S = N. The whole training set is the best batch, and the conclusion fails:",
            sp.Derivative(formula, S),
            slope,
            shown=sp.Eq(sp.Derivative(loss, S), slope, evaluate=False),
        ),
        Step(
            "What is missing is a noise scale g_* > 0 at which the test loss is least. If it depends on S through g "
            "alone and rises on both sides of g_*, the best batch, that of η(N/S − 1) = g_*, is smaller than N by",
            N - eta * N / (g_best + eta),
            N * g_best / (g_best + eta),
            name=N - S_opt,
        ),
        Step(
            "That is one example at least if g_* is at least η/(N − 1), the noise scale of batches of N − 1:",
            sp.Subs(N * g_best / (g_best + eta), g_best, eta / (N - 1)),
            1,
            name=N - S_opt,
        ),
    ]


def check(formula):
    """The stationary second moment of three examples' SGD, from all batches of each size."""
    centres = [sp.Rational(x) for x in (-2, 1, 1)]
    curvature, rate, shift = sp.Rational(3, 2), sp.Rational(1, 4), sp.Rational(1, 3)
    n, gradients = len(centres), [curvature * x for x in centres]
    comparisons, losses = [], {}
    for size in range(1, n + 1):
        kicks = [
            rate * oracles.mean(gradients[i] for i in batch) for batch in oracles.batches(n, size, replacement=False)
        ]
        # With V for E θ², the next E θ² is the mean of ((1 − ηλ)θ + kick)²; E θ stays zero.
        V = sp.Symbol("V")
        second = sp.solve((1 - rate * curvature) ** 2 * V + oracles.mean(x**2 for x in kicks) - V, V)[0]
        losses[size] = curvature * (second + shift**2) / 2
        values = {eta: rate, lam: curvature, c: oracles.variance(gradients), N: n, S: size, delta: shift}
        comparisons.append(
            Comparison(
                f"expected test loss of (λ/2)(θ − x_i)², three examples, S = {size}, all batches enumerated",
                formula.subs(values),
                losses[size],
            )
        )
    best = Comparison("the best batch size of these three, S = N", n, min(losses, key=losses.__getitem__))
    edge = Comparison(
        "with a test loss (g − g_*)² and η = 1/10, g_* = η/999: the best of the batch sizes 1 to 1000",
        999,
        best_batch(sp.Rational(1, 9990)),
    )
    return [*comparisons, best, edge]


def best_batch(place):
    """The best of S = 1 to 1000 where the test loss is (g − place)² and g = (1000/S − 1)/10."""
    goal = Fraction(place.p, place.q)
    return min(range(1, 1001), key=lambda size: (Fraction(1000 - size, 10 * size) - goal) ** 2)


excess = half * lam * delta**2 + half * eta * c * (N - S) / ((2 - eta * lam) * (N - 1) * S)


def says(formula):
    """What the summary states, in numbers."""
    at = {N: 1000, eta: sp.Rational(1, 10), lam: 1, c: 1, delta: 1}
    scales = [eta * (N / S - 1).subs({S: size, N: 1000}) for size in (1, 10, 100, 1000)]
    losses = [formula.subs({**at, S: size}) for size in (1, 2, 10, 500, 999, 1000)]
    return [
        prose.direction(
            "That the noise scale falls as the batch size S grows",
            [scale.subs(eta, 1) for scale in scales],
            "(24) at S = 1, 10, 100, 1000, N = 1000, η = 1",
            word="falls",
        ),
        prose.cases(
            "doesn't imply that there is an optimal batch size, if that means one below N",
            [losses.index(min(losses)) < len(losses) - 1],
            "whether on a quadratic loss the best of S = 1, 2, 10, 500, 999, 1000 is below N = 1000",
        ),
        prose.direction(
            "the expected test loss falls with S all the way to S = N",
            losses,
            "the loss as derived at S = 1, 2, 10, 500, 999, 1000 = N",
        ),
        prose.formula(
            "g_* ≥ η/(N − 1), that of batches of N − 1",
            eta * (N / S - 1).subs(S, N - 1),
            {"η": eta, "N": N},
            text="η/(N − 1)",
        ),
        prose.cases(
            "g_* ≥ η/(N − 1)",
            [best_batch(place) < 1000 for place in (sp.Rational(1, 9990), sp.Rational(1, 1000), sp.Rational(1, 10))],
            "the best batch for (g − g_*)², N = 1000, η = 1/10 at three such g_*",
        ),
        prose.cases(
            "g_* > 0 alone doesn't suffice", [best_batch(sp.Rational(1, 10**5)) < 1000], "the same at g_* = 10⁻⁵"
        ),
        prose.cases(
            "a g_* of 10⁻⁵ has its best batch at S = N",
            [best_batch(sp.Rational(1, 10**5)) == 1000],
            "the best of 1 to 1000 for (g − g_*)²",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Existence of an optimal batch size",
    sources=(Source("lecture", place="text after (24)"),),
    verdict=Verdict.WRONG,
    summary="That the noise scale falls as the batch size S grows doesn't imply that there is an optimal batch "
    "size, if that means one below N (the best of all sizes up to N trivially exists): on a quadratic "
    "loss the expected test loss falls with S all the way to S = N. It takes a second premise: that the "
    "test loss is least at some noise scale g_* ≥ η/(N − 1), that of batches of N − 1. This is an "
    "observation on networks and no consequence of (24), and g_* > 0 alone doesn't suffice: at N = 1000 "
    "and η = 0.1 a g_* of 10⁻⁵ has its best batch at S = N.",
    printed=sp.Implies(sp.Lt(sp.Derivative(noise_scale, S), 0), sp.Lt(S_opt, N), evaluate=False),
    corrected=sp.Implies(
        sp.And(sp.Lt(sp.Derivative(noise_scale, S), 0), sp.Ge(g_best, eta / (N - 1), evaluate=False)),
        sp.Lt(S_opt, N),
        evaluate=False,
    ),
    assumptions=(
        Assumption("Training and test loss are quadratic of curvature λ."),
        Assumption("The gradient covariance is the same everywhere."),
        Assumption("SGD is stable and stationary.", sp.Lt(eta * lam, 2, evaluate=False)),
        assumptions.WITHOUT_REPLACEMENT,
    ),
    formula=excess,
    arguments=(S, N, eta, lam, c, delta),
    slip=Slip("N/S for N/S − 1", half * lam * delta**2 + half * eta * c * N / ((2 - eta * lam) * (N - 1) * S)),
    example=Example(
        "the best of the batch sizes 1 to N = 1000 on a quadratic loss",
        sp.Symbol("less than 1000"),
        sp.Integer(min(range(1, 1001), key=sp.lambdify(S, excess.subs({N: 1000, eta: 0.1, lam: 1, c: 1, delta: 1})))),
    ),
)
