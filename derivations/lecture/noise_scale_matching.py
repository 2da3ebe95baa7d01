"""Lecture, before (24): which two covariances must be equated to find the noise scale."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, eta

scale = sp.Symbol("g_Smith", positive=True)  # the lecture's g
F = sp.Symbol("F", positive=True)  # variance of the per-example gradients, 1/(N−1) form
FLUCTUATION = N * (N / S - 1) * F  # lecture (14)


def steps(formula):
    """(23) belongs to a step Δw, (14) to ψ; a step is −(η/N) times the gradient."""
    return [
        Step(
            "The noise of a step is −(η/N)ψ, so its covariance (23) is (η/N)² times (14):",
            sp.Mul(eta / N, formula, F, evaluate=False),
            sp.Mul((eta / N) ** 2, FLUCTUATION, evaluate=False),
        ),
        Step(
            "The noise must vanish with the learning rate, because w then solves dw/dt = −∇ℓ:",
            sp.Limit(formula, eta, 0, "+"),
            sp.S.Zero,
        ),
        Step(
            "Two steps at η/2 have half the variance of one step at η: in (23) one factor η is that of the time, so "
            "the other must be in g.",
            sp.Mul(2, (eta / (2 * N)) ** 2, FLUCTUATION, evaluate=False),
            sp.Mul(eta / (2 * N), formula, F, evaluate=False),
        ),
    ]


def check(formula):
    """The variance of one step over all subsets of two out of four gradients."""
    gradients = [sp.Integer(v) for v in (3, -1, 0, 7)]
    n, size, rate = 4, 2, sp.Rational(1, 3)
    moves = [-rate / size * sum(gradients[j] for j in batch) for batch in oracles.batches(n, size, False)]
    unbiased = oracles.variance(gradients) * sp.Rational(n, n - 1)
    return [
        Comparison(
            "variance of a step for N = 4, S = 2, η = 1/3, over all 6 subsets",
            rate / n * formula.subs({eta: rate, N: n, S: size}) * unbiased,
            oracles.variance(moves),
        )
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "N": N, "S": S}
    literal = FLUCTUATION / (eta / N * F)
    rates = [literal.subs({N: 10, S: 2, eta: rate}) for rate in (sp.Rational(1, 10), sp.Rational(1, 20))]
    return [
        prose.cases(
            "(24) is right",
            [sp.simplify(formula - eta * (N / S - 1)) == 0],
            "(24) beside the derived noise scale",
        ),
        prose.formula("which is (η/N)² times (14)", eta / N * formula * F / FLUCTUATION, names, text="(η/N)²"),
        prose.formula("g would be N²(N/S − 1)/η", literal, names, text="N²(N/S − 1)/η"),
        prose.direction(
            "which grows as the learning rate falls", rates, "it for N = 10, S = 2, η = 1/10 and 1/20", word="grows"
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The covariances that fix the noise scale",
    sources=(Source("lecture", place="text before (24)"),),
    verdict=Verdict.CONDITIONAL,
    summary="(24) is right. It follows from equating (23), the covariance of a step, with that of the step's "
    "noise in (8), which is (η/N)² times (14). The text names (14) alone and leaves the rest to the "
    "reader; left out, g would be N²(N/S − 1)/η, which grows as the learning rate falls.",
    printed=sp.Eq(eta / N * scale * F, Cov(sp.Symbol("(14)")), evaluate=False),
    assumptions=(
        Assumption("'The one obtained in (14)' is read as the step's, (η/N)² times (14)."),
        Assumption("Batches are drawn without replacement, F is in its 1/(N−1) form.", sp.Le(S, N, evaluate=False)),
        assumptions.SUM_LOSS_STEP,
    ),
    formula=eta * (N / S - 1),
    arguments=(eta, N, S),
    slip=Slip("one factor η/N for two", N * (N / S - 1)),
)
