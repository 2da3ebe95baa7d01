"""Lecture (11): the fluctuation of the batch gradient; its mean vanishes for one factor before the batch sum only."""

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S, g

factor = sp.Symbol("kappa", positive=True)  # before the batch sum; N/S in (7)
psi, w = sp.symbols("psi w", real=True)
whole, noisy = sp.Function("∇ℓ"), sp.Function("∇ℓ̂")


def steps(formula):
    """Linearity, with a free factor before the batch sum."""
    d = sp.Symbol("d", integer=True)
    change, slope = sp.Function("ℓhat")(w) - sp.Function("ell")(w), sp.Symbol("a", real=True)
    return [
        Step(
            "ψ = ∇ℓ̂ − ∇ℓ is the derivative of ℓ̂ − ℓ, the loss's own fluctuation, and another quantity. Losses b_i + "
            "a_iw show it: the b_i of the batch are part of ℓ̂ − ℓ alone. Here for a batch of one out of two:",
            sp.Derivative(2 * (slope * w + g) - (slope * w + g) - (w + 1), w),
            slope - 1,
            name=psi,
            shown=sp.Eq(sp.Derivative(change, w), noisy(w) - whole(w), evaluate=False),
        ),
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


def says(formula):
    """What the summary states, in numbers."""
    gradients = [sp.Rational(value) for value in ("3", "1/2", "7", "-2")]
    heights = [sp.Rational(value) for value in ("5", "-1", "0", "9")]  # losses b_i + a_i w, at w = 0
    batches = oracles.batches(4, 2, replacement=False)
    of_losses = [2 * sum(heights[i] for i in batch) - sum(heights) for batch in batches]
    return [
        prose.cases(
            "not 'around the true loss'",
            [psi == loss for psi, loss in zip(oracles.fluctuations(gradients, 2, False), of_losses, strict=True)],
            "ψ against the fluctuation of the loss, over all 6 subsets of four linear losses",
        ),
        prose.figure(
            "Its mean is 0", formula.subs({factor: N / S}).subs({N: 4, S: 2, g: 3}), "E ψ for κ = N/S", text="0"
        ),
        prose.cases(
            "because both are scaled to the sum",
            [formula.subs({factor: 1 / S}).subs({N: 4, S: 2, g: 3}) != 0],
            "E ψ for κ = 1/S, a batch mean beside a sum",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The fluctuation of the batch gradient",
    sources=(Source("lecture", "11"),),
    verdict=Verdict.STATEMENT,
    summary="The fluctuation is the batch gradient minus the full one: it is the fluctuation around the true "
    "gradient, as (8) has it, not 'around the true loss', as the words before (11) have it. Its mean is 0 "
    "because both are scaled to the sum over all examples; that takes no Gaussian assumption.",
    printed=sp.Eq(psi, noisy(w) - whole(w), evaluate=False),
    assumptions=(Assumption("All examples are equally likely, and the parameters are fixed before the draw."),),
    formula=(factor * S - N) * g,
    arguments=(factor, S, N, g),
    slip=Slip("N and S exchanged", (factor * N - S) * g),
)
