"""Smith & Le: the batch size that a fixed best noise scale asks for, and how far it is linear in ηN."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, eta, k, m

B_opt = sp.Symbol("B_opt", positive=True)
g_best = sp.Symbol("g_*", positive=True)  # the noise scale at which test accuracy peaks


def steps(formula):
    """Solve the noise scale for the batch size."""
    rate = sp.Symbol("r", positive=True)  # effective learning rate η/(1 − m)
    B = sp.Symbol("B", positive=True)
    scale = rate * (N / B - 1)
    linear = eta * N / ((1 - m) * g_best)
    opt = sp.Function("B_opt")  # display only
    return [
        Step(
            "With momentum one gradient moves θ by η at once and then by m times as much in all again, a sum that is "
            "the effective learning rate:",
            sp.Add(eta, sp.Mul(m, eta / (1 - m), evaluate=False), evaluate=False),
            eta / (1 - m),
            name=rate,
        ),
        Step(
            "The noise scale g = η/(1 − m) (N/B − 1) falls with B, so at most one B has the value g_*:",
            sp.Derivative(scale, B),
            -rate * N / B**2,
        ),
        Step(
            "The formula is that B:",
            (eta / (1 - m)) * (N * sp.Pow(formula, -1, evaluate=False) - 1),
            g_best,
            name=sp.Symbol("g"),
        ),
        Step(
            "The straight line ηN/((1 − m)g_*) is too large; the factor that corrects it is 1 − B/N, exactly:",
            linear * (1 - formula / N),
            formula,
            name=B_opt,
        ),
        Step(
            "So k times the learning rate asks for less than k times the batch, and never for more than N:",
            formula.subs(eta, k * eta) / formula,
            k / (1 + (k - 1) * formula / N),
            shown=sp.Eq(opt(k * eta) / opt(eta), k / (1 + (k - 1) * opt(eta) / N), evaluate=False),
        ),
        Step(
            "Drawn with replacement, a batch has the noise scale η/(1 − m) · N/B, without the −1 (F in its 1/N form). "
            "There is no such limit, and the line B = ηN/((1 − m)g_*) is exact:",
            sp.Mul(eta / (1 - m), N, sp.Pow(linear, -1, evaluate=False), evaluate=False),
            g_best,
            shown=sp.Eq(sp.Mul(eta / (1 - m), N / B, evaluate=False), g_best, evaluate=False),
        ),
    ]


def check(formula):
    """Enumerated batches of six numbers: the noise per unit of time is the same along the formula, nowhere else."""
    data = [sp.Integer(x) for x in (3, -1, 4, 1, -5, 9)]
    n = len(data)

    def noise(rate, size):
        variance = oracles.variance(
            oracles.mean(data[i] for i in batch) for batch in oracles.batches(n, size, replacement=False)
        )
        return rate * variance

    def best(values):
        found = [size for size in range(1, n + 1) if noise(values[eta] / (1 - values[m]), size) == noise(rate, 2)]
        return found[0]

    # B = 2 at the effective rate 1/10 sets the noise; g_* = (1/10)(6/2 − 1).
    rate = sp.Rational(1, 10)
    cases = (
        (sp.Rational(1, 5), sp.S.Zero),
        (sp.Rational(1, 20), sp.Rational(1, 2)),
        (sp.Rational(1, 15), sp.Rational(5, 6)),
        (sp.Rational(1, 25), sp.S.Zero),
    )
    comparisons = []
    for learning_rate, momentum in cases:
        values = {eta: learning_rate, m: momentum, N: n, g_best: rate * (sp.Rational(n, 2) - 1)}
        comparisons.append(
            Comparison(
                f"six examples, η = {learning_rate}, m = {momentum}: the B whose subsets, all enumerated, give the "
                "noise that B = 2 gives at η = 1/10, m = 0",
                formula.subs(values),
                best(values),
            )
        )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="Optimal batch size at a fixed noise scale",
    sources=(Source("lecture", place="text after (24), figures 10b and 11b"), Source("Smith & Le 2018")),
    verdict=Verdict.ORDER,
    order="B/N",
    summary="If accuracy peaks at a fixed noise scale g_*, batches drawn without replacement should have "
    "B = ηN/((1 − m)g_* + η) examples. B ∝ ηN/(1 − m) is too large by a relative B/N, so the lines of figures 10b and "
    "11b bend as B nears N; drawn with replacement they are straight.",
    printed=sp.Eq(B_opt, eta * N / ((1 - m) * g_best), evaluate=False),
    assumptions=(
        Assumption(
            "Test accuracy depends on η, B, N and m through the noise scale alone.",
            sp.Eq(sp.Function("accuracy")(eta, S, N, m), sp.Function("accuracy")(sp.Symbol("g")), evaluate=False),
        ),
        Assumption("It has its only maximum at g_*, the same for all η, N and m.", sp.Gt(g_best, 0, evaluate=False)),
        Assumption("Batches are drawn without replacement.", sp.Le(S, N, evaluate=False)),
        Assumption("Momentum acts through η/(1 − m): steps are small.", sp.Lt(eta / (1 - m), 1, evaluate=False)),
    ),
    formula=eta * N / ((1 - m) * g_best + eta),
    arguments=(eta, N, g_best, m),
    steps=steps,
    check=check,
    slip=Slip("momentum forgotten", eta * N / (g_best + eta)),
)
