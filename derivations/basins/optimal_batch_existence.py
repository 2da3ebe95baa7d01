"""The lecture's inference after (24): that the noise scale falls with B doesn't give an optimal batch size."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import N, S, c, eta, lam, theta

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
    return [*comparisons, best]


excess = half * lam * delta**2 + half * eta * c * (N - S) / ((2 - eta * lam) * (N - 1) * S)
CLAIM = Claim(
    module=__name__,
    title="Existence of an optimal batch size",
    sources=(Source("lecture", place="text after (24)"),),
    verdict=Verdict.WRONG,
    summary="That the noise scale falls as the batch size S grows doesn't imply an optimal batch size, one below N: on "
    "a quadratic loss the expected test loss falls with S all the way to S = N. It takes a second premise: that the "
    "test loss is least at some noise scale g_* > 0, which is an observation on networks and no consequence of (24).",
    printed=sp.Implies(sp.Lt(sp.Derivative(noise_scale, S), 0), sp.Lt(S_opt, N), evaluate=False),
    corrected=sp.Implies(
        sp.And(sp.Lt(sp.Derivative(noise_scale, S), 0), sp.Gt(sp.Symbol("g_*"), 0)),
        sp.Lt(S_opt, N),
        evaluate=False,
    ),
    assumptions=(
        Assumption("Training and test loss are quadratic of curvature λ.", sp.Gt(lam, 0, evaluate=False)),
        Assumption(
            "The gradient covariance is the same everywhere.",
            sp.Eq(sp.Derivative(sp.Function("C")(theta), theta), 0, evaluate=False),
        ),
        Assumption("SGD is stable and stationary.", sp.Lt(eta * lam, 2, evaluate=False)),
        Assumption("Batches are drawn without replacement.", sp.Le(S, N, evaluate=False)),
    ),
    formula=excess,
    arguments=(S, N, eta, lam, c, delta),
    steps=steps,
    check=check,
    slip=Slip("N/S for N/S − 1", half * lam * delta**2 + half * eta * c * N / ((2 - eta * lam) * (N - 1) * S)),
    example=Example(
        "the best of the batch sizes 1 to N = 1000 on a quadratic loss", sp.Symbol("less than 1000"), sp.Integer(1000)
    ),
)
