"""Lecture (9): the mini-batch loss is unbiased."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S

n = sp.Symbol("n", nonnegative=True, integer=True)
w = sp.Symbol("w", real=True)
loss, hat = sp.Function("ell"), sp.Function(r"\hat{\ell}")
mean_loss = sp.Symbol("L", real=True)  # (1/N) Σ_i ℓ_i, so that ℓ = NL


def steps(formula):
    """The mean count of an example from its binomial law, for a batch of three; then linearity."""
    binomial = sp.binomial(3, n) * (1 / N) ** n * (1 - 1 / N) ** (3 - n)
    count = S / N
    return [
        Step(
            "The count n_i of example i is binomial, S draws with probability 1/N each; for S = 3 its mean is",
            sp.Sum(n * binomial, (n, 0, 3)),
            count.subs(S, 3),
            name=E(sp.Symbol("n_i")),
        ),
        Step(
            "For any S and for subsets too: C(N−1, S−1) of the C(N, S) subsets hold the example.",
            sp.binomial(N - 1, S - 1) / sp.binomial(N, S),
            count,
            name=E(sp.Symbol("n_i")),
        ),
        Step(
            "ℓ̂ = (N/S) Σ n_i ℓ_i is linear in the counts, and Σ ℓ_i = NL:",
            N / S * count * (N * mean_loss),
            formula,
            name=E(hat(w)),
        ),
    ]


def check(formula):
    """Every batch, with and without replacement, in rationals."""
    losses = [sp.Rational(value) for value in ("3", "1/2", "7", "-2")]
    comparisons = []
    for size, replacement in ((2, True), (3, True), (3, False)):
        batch_losses = [
            sp.Rational(4, size) * sum(losses[i] for i in batch) for batch in oracles.batches(4, size, replacement)
        ]
        mode = "with" if replacement else "without"
        comparisons.append(
            Comparison(
                f"E ℓ̂ for N = 4, S = {size}, over all {len(batch_losses)} batches {mode} replacement",
                formula.subs({N: 4, S: size, mean_loss: sum(losses) / 4}),
                oracles.mean(batch_losses),
            )
        )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="The mini-batch loss is unbiased",
    sources=(Source("lecture", "9"),),
    verdict=Verdict.EXACT,
    summary="At fixed parameters the mini-batch loss is the loss on average, exactly and for every batch size, with "
    "replacement and without.",
    printed=sp.Eq(E(hat(w)), loss(w), evaluate=False),
    assumptions=(
        Assumption(
            "The parameters are fixed before the batch is drawn.", sp.Eq(sp.Function("Cov")(w, sp.Symbol("n_i")), 0)
        ),
        Assumption("All examples are equally likely.", sp.Eq(E(sp.Symbol("n_i")), S / N)),
    ),
    formula=N * mean_loss,
    arguments=(N, mean_loss),
    steps=steps,
    check=check,
    slip=Slip("the factor N of the sum loss forgotten", mean_loss),
)
