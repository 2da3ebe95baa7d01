"""The lecture's inference after (24): that the noise scale falls with B doesn't give an optimal batch size."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Example, Slip, Source, Step, Verdict
from derivations.symbols import N, S, c, eta, lam, theta

delta = sp.Symbol("delta", real=True)  # distance of the test loss's minimum from the training loss's
loss = sp.Function("L_test")(S)


def steps(formula):
    """A quadratic model: the stationary variance falls with S, and the test loss with it."""
    V = sp.Symbol("V", positive=True)
    A, g = sp.Function("A"), sp.Function("g")
    noise = eta**2 * c * (N - S) / ((N - 1) * S)
    variance = eta * c * (N - S) / (lam * (2 - eta * lam) * (N - 1) * S)
    return [
        Step(
            "If accuracy A depends on the noise scale alone, it is stationary in B where A′(g) is zero and nowhere "
            "else, as g′(B) < 0. Nothing says that there is such a g:",
            sp.Derivative(A(g(S)), S),
            sp.Subs(sp.Derivative(A(theta), theta), theta, g(S)) * sp.Derivative(g(S), S),
        ),
        Step(
            "An example without one. SGD on the mean loss λθ²/2 with a gradient covariance c, the same everywhere, and "
            "batches drawn without replacement multiplies θ by 1 − ηλ and adds noise; its stationary variance is V:",
            (1 - eta * lam) ** 2 * variance + noise,
            variance,
            name=V,
        ),
        Step(
            "A test loss of the same curvature with its minimum a distance δ away exceeds its least value by "
            "λ(δ² + V)/2 on average:",
            lam * (delta**2 + variance) / 2,
            formula,
            name=loss,
        ),
        Step(
            "It falls with S all the way, so the best batch is the whole training set:",
            sp.Derivative(formula, S),
            -eta * c * N / (2 * (2 - eta * lam) * (N - 1) * S**2),
        ),
    ]


def check(formula):
    """The stationary second moment of three examples' SGD, from all batches of each size."""
    centres = [sp.Rational(x) for x in (-2, 1, 1)]
    curvature, rate, shift = sp.Rational(3, 2), sp.Rational(1, 4), sp.Rational(1, 3)
    n, gradients = len(centres), [curvature * x for x in centres]
    comparisons = []
    for size in range(1, n + 1):
        kicks = [
            rate * oracles.mean(gradients[i] for i in batch) for batch in oracles.batches(n, size, replacement=False)
        ]
        # With V for E θ², the next E θ² is the mean of ((1 − ηλ)θ + kick)²; E θ stays zero.
        V = sp.Symbol("V")
        second = sp.solve((1 - rate * curvature) ** 2 * V + oracles.mean(x**2 for x in kicks) - V, V)[0]
        values = {eta: rate, lam: curvature, c: oracles.variance(gradients), N: n, S: size, delta: shift}
        comparisons.append(
            Comparison(
                f"expected test loss of (λ/2)(θ − x_i)², three examples, S = {size}, all batches enumerated",
                formula.subs(values),
                curvature * (second + shift**2) / 2,
            )
        )
    return comparisons


excess = lam * delta**2 / 2 + eta * c * (N - S) / (2 * (2 - eta * lam) * (N - 1) * S)
CLAIM = Claim(
    module=__name__,
    title="Existence of an optimal batch size",
    sources=(Source("lecture", place="text after (24)"),),
    verdict=Verdict.WRONG,
    summary="That the noise scale falls as B grows doesn't imply a best batch size below N. On a quadratic loss the "
    "expected test loss falls with B all the way to B = N. An optimum inside needs accuracy to peak at some noise "
    "scale g_*, which is an observation and not a consequence of (24).",
    printed=sp.Implies(
        sp.Lt(sp.Derivative(sp.Function("g")(S), S), 0),
        sp.Eq(sp.Subs(sp.Derivative(loss, S), S, sp.Symbol("B_opt", positive=True)), 0),
        evaluate=False,
    ),
    corrected=sp.Eq(loss, excess, evaluate=False),
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
    slip=Slip("N/S for N/S − 1", lam * delta**2 / 2 + eta * c * N / (2 * (2 - eta * lam) * (N - 1) * S)),
    example=Example(
        "slope in S of the expected test loss at the best batch size, S = N = 4, for λ = c = 1, η = 1/2",
        sp.S.Zero,
        sp.Rational(-1, 72),
    ),
)
