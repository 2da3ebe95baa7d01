"""Lecture (11): the fluctuation of the batch gradient; its mean vanishes for one factor before the batch sum only."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, g

factor = sp.Symbol("kappa", positive=True)  # before the batch sum; N/S in (7)
psi, w = sp.symbols("psi w", real=True)
whole, noisy = sp.Function("∇ℓ"), sp.Function("∇ℓ̂")


def steps(formula):
    """Linearity, with a free factor before the batch sum."""
    d = sp.Symbol("d", integer=True)
    return [
        Step(
            "Each of the S examples of a batch has the mean gradient g on average, so κ times the batch sum has mean",
            factor * sp.Sum(g, (d, 1, S)),
            factor * S * g,
        ),
        Step(
            "Less the gradient of the sum loss, Ng:",
            factor * sp.Sum(g, (d, 1, S)) - sp.Sum(g, (d, 1, N)),
            formula,
            name=E(psi),
        ),
        Step(
            "With the factor of the mini-batch loss, κ = N/S, the mean is 0 at every g:",
            sp.Subs(formula, factor, N / S),
            0,
            name=E(psi),
        ),
        Step(
            "With κ = 1/S, a batch mean against a full sum, it is not:",
            sp.Subs(formula, factor, 1 / S),
            (1 - N) * g,
            name=E(psi),
        ),
    ]


def check(formula):
    """Every batch, with replacement, for three factors, in rationals."""
    gradients = [sp.Rational(value) for value in ("3", "1/2", "7", "-2")]
    comparisons = []
    for size, value in ((2, sp.Integer(2)), (3, sp.Rational(4, 3)), (2, sp.Rational(1, 2))):
        fluctuations = [
            value * sum(gradients[i] for i in batch) - sum(gradients) for batch in oracles.batches(4, size, True)
        ]
        comparisons.append(
            Comparison(
                f"E ψ for N = 4, S = {size}, κ = {value}, over all {4**size} batches",
                formula.subs({N: 4, S: size, factor: value, g: sum(gradients) / 4}),
                oracles.mean(fluctuations),
            )
        )
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="The fluctuation of the batch gradient",
    sources=(Source("lecture", "11"),),
    verdict=Verdict.STATEMENT,
    summary="The fluctuation is the batch gradient less the full one. Its mean is 0 because both are scaled to the sum "
    "over all examples; that takes no Gaussian assumption.",
    printed=sp.Eq(psi, noisy(w) - whole(w), evaluate=False),
    assumptions=(
        Assumption(
            "All examples are equally likely, and the parameters are fixed before the draw.",
            sp.Eq(E(sp.Symbol("n_i")), S / N),
        ),
    ),
    formula=(factor * S - N) * g,
    arguments=(factor, S, N, g),
    steps=steps,
    check=check,
    slip=Slip("N and S exchanged", (factor * N - S) * g),
)
