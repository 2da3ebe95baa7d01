"""Lecture (9): the mini-batch loss is unbiased."""

from typing import Any

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S

i, z = sp.Symbol("i", integer=True), sp.Symbol("z", real=True)
example = sp.Indexed("ell", i)  # loss of example i
w = sp.Symbol("w", real=True)
loss, hat = sp.Function("ell"), sp.Function("ℓhat")
mean_loss = sp.Symbol("L", real=True)  # (1/N) Σ_i ℓ_i, so that ℓ = NL


def steps(formula):
    """The mean count of an example in both modes of sampling; then linearity."""
    count = E(sp.Symbol("n_i"))
    expected: Any = sp.Sum(S / N * example, (i, 1, N))
    return [
        Step(
            "With replacement the count n_i of example i is binomial, S draws with probability 1/N each. Its mean is "
            "the slope at z = 1 of the generating function E z^{n_i}:",
            sp.Subs(sp.Derivative((1 - 1 / N + z / N) ** S, z), z, 1),
            S / N,
            name=count,
        ),
        Step(
            "Without replacement, C(N−1, S−1) of the C(N, S) subsets hold the example:",
            sp.binomial(N - 1, S - 1) / sp.binomial(N, S),
            S / N,
            name=count,
        ),
        Step(
            "ℓ̂ = (N/S) Σ n_i ℓ_i is linear in the counts, so either way its mean is the sum of all losses, NL with "
            "their mean L:",
            sp.Mul(N / S, expected, evaluate=False),
            formula.subs(mean_loss, sp.Sum(example, (i, 1, N)) / N),
            name=E(hat(w)),
        ),
    ]


def check(formula):
    """Every batch, with and without replacement, in rationals."""
    losses = [sp.Rational(value) for value in ("3", "1/2", "7", "-2")]
    comparisons = []
    for size, replacement in ((2, True), (3, True), (3, False)):
        batch_losses = [
            sp.Rational(4, size) * sum(losses[n] for n in batch) for batch in oracles.batches(4, size, replacement)
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


def says(formula):
    """What the summary states, in numbers."""
    x = [sp.Rational(value) for value in ("3", "1/2", "7", "-2")]
    return [
        prose.cases(
            "the mini-batch loss is the loss on average, exactly and for every batch size",
            [
                oracles.mean(oracles.fluctuations(x, size, replacement)) + sum(x)
                == formula.subs({N: 4, mean_loss: sum(x) / 4})
                for size in (1, 2, 3, 4)
                for replacement in (True, False)
            ],
            "for N = 4 and each S, over all batches with replacement and without",
        )
    ]


CLAIM = Claim(
    module=__name__,
    title="The mini-batch loss is unbiased",
    sources=(Source("lecture", "9"),),
    verdict=Verdict.EXACT,
    summary="At fixed parameters the mini-batch loss is the loss on average, exactly and for every batch size, with "
    "replacement and without.",
    printed=sp.Eq(E(hat(w)), loss(w), evaluate=False),
    assumptions=(
        assumptions.FIXED_PARAMETERS,
        assumptions.EQUALLY_LIKELY,
    ),
    formula=N * mean_loss,
    arguments=(N, mean_loss),
    slip=Slip("the factor N of the sum loss forgotten", mean_loss),
)
