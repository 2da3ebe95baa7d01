"""Lecture (15): the covariance of a batch gradient's fluctuation when the data far outnumber the batch."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S

F = sp.Symbol("F", nonnegative=True)  # variance of the per-example gradients along one direction
psi = sp.Symbol("psi", real=True)
ratio = sp.Symbol("rho", positive=True)  # S/N
SUBSETS = N * (N / S - 1) * F  # lecture (14), the covariance of draws without replacement


def steps(formula):
    """The ratio of (14) to (15), and the case where no limit is needed."""
    return [
        Step(
            "With ρ = S/N, (14) is NF(1/ρ − 1); its ratio to (15) tends to one as ρ → 0:",
            SUBSETS.subs(S, ratio * N) / formula.subs(S, ratio * N),
            sp.S.One,
            order=(ratio, 1),
        ),
        Step(
            "Nothing was lost but the −1 in the bracket, so the relative error is S/N and no more:",
            1 - SUBSETS / formula,
            S / N,
        ),
        Step(
            "Draws with replacement are independent, the batch sum has variance SF, and N/S scales it: no limit at "
            "all.",
            (N / S) ** 2 * S * F,
            formula,
        ),
    ]


def check(formula):
    """All batches of two out of four gradients in the plane, both ways of drawing, in rationals."""
    gradients = [sp.Matrix(v) for v in ((1, -2), (sp.Rational(1, 3), 4), (-5, sp.Rational(1, 2)), (2, 0))]
    n, size = len(gradients), 2
    total = sum(gradients, sp.zeros(2, 1))

    def enumerated(replacement):
        batches = oracles.batches(n, size, replacement)
        sums = [sum((gradients[i] for i in batch), sp.zeros(2, 1)) for batch in batches]
        return oracles.covariance([s * n / size - total for s in sums])

    covariance = oracles.covariance(gradients)
    derived = covariance.applyfunc(lambda entry: formula.subs({N: n, S: size, F: entry}))
    return [
        Comparison("Cov(ψ) for N = 4, S = 2 with replacement, over all 16 batches", derived, enumerated(True)),
        Comparison(
            "Cov(ψ) without replacement, over all 6 batches: (15) with F in its 1/(N−1) form, less its fraction S/N",
            derived * sp.Rational(n, n - 1) * (1 - sp.Rational(size, n)),
            enumerated(False),
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Covariance of a batch gradient for N ≫ S",
    sources=(Source("lecture", "15"),),
    verdict=Verdict.ORDER,
    order="S/N",
    summary="It exceeds (14) by the fraction S/N of itself, exactly. For draws with replacement, which the lecture "
    "says it uses, it is no approximation: it holds for every S and N.",
    printed=sp.Eq(Cov(psi), N**2 / S * F, evaluate=False),
    assumptions=(
        Assumption("The data far outnumber the batch, or batches are drawn with replacement.", sp.Lt(S / N, 1)),
        Assumption("F is the covariance of the per-example gradients.", sp.Q.nonnegative(F)),
    ),
    formula=N**2 / S * F,
    arguments=(N, S, F),
    steps=steps,
    check=check,
    slip=Slip("the mean loss's N⁰ for the sum loss's N²", F / S),
)
