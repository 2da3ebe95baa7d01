"""Lecture (7): the loss of a mini-batch; a batch drawn with replacement must count repeated examples."""

from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, N, S

i, d = sp.symbols("i d", integer=True)
w = sp.Symbol("w", real=True)
count = sp.Indexed("n", i)
hat = sp.Function("ℓhat")


def steps(formula):
    """What the mean would be if the batch were a set, each example counted once."""
    hit: Any = sp.Sum(1 / N * (1 - 1 / N) ** (d - 1), (d, 1, S))
    ratio = E(sp.Symbol("ℓhat_set")) / sp.Symbol("ell")
    return [
        Step(
            "With repeats counted, an example is in S draws with replacement on average",
            sp.Sum(1 / N, (d, 1, S)),
            S / N,
            name=E(sp.Symbol("n_i")),
        ),
        Step(
            "times, and N/S times that is 1: the definition is made so that the mean of ℓ̂ is ℓ. Counted once however "
            "often drawn, it would be there if some draw d is the first to hit it, and the mean of ℓ̂ would be ℓ times",
            sp.Mul(N / S, hit, evaluate=False),
            formula,
            name=ratio,
        ),
        Step(
            "For N = S = 2, where two of the four draws hold one example only, that is too small by a quarter:",
            sp.Subs(formula.subs(N, 2), S, 2),
            sp.Rational(3, 4),
            name=ratio,
        ),
    ]


def check(formula):
    """Every batch with replacement, each reduced to a set, in rationals."""
    losses = [sp.Rational(value) for value in ("3", "1/2", "7", "2")]
    return [
        Comparison(
            f"E(ℓ̂ of the set)/ℓ for N = {n}, S = {size}, over all {n**size} batches",
            formula.subs({N: n, S: size}),
            oracles.mean(
                sp.Rational(n, size) * sum(losses[index] for index in set(batch))
                for batch in oracles.batches(n, size, replacement=True)
            )
            / sum(losses[:n]),
        )
        for n, size in ((2, 2), (3, 2), (4, 3), (2, 5))
    ]


def says(formula):
    """What the summary states, in numbers."""
    losses = [sp.Rational(value) for value in ("3", "1/2", "7", "2")]
    draws = [(n, size) for n in (2, 3, 4) for size in (2, 3)]

    def average(n, size, scale, count):
        drawn = oracles.batches(n, size, replacement=True)
        return oracles.mean(scale * sum(losses[i] for i in count(batch)) for batch in drawn) / sum(losses[:n])

    at = {"N": 4, "S": 3}
    right = average(4, 3, 1, tuple)
    return [
        prose.figure("multiplied by N/S", 1 / right, "ℓ over the mean batch sum, N = 4, S = 3", at, text="N/S"),
        prose.cases(
            "an example drawn twice must be counted twice",
            [average(n, size, sp.Rational(n, size), tuple) == 1 for n, size in draws],
            "E ℓ̂ = ℓ for N = 2, 3, 4, S = 2, 3 with repeats counted, over all batches",
        ),
        prose.cases(
            "Counted once, ℓ̂ would be too small on average",
            [average(n, size, sp.Rational(n, size), set) < 1 for n, size in draws],
            "the mean of ℓ̂ over ℓ with repeats counted once, over all batches",
        ),
        prose.formula("by the factor (N/S)(1 − (1 − 1/N)^S)", formula, {"N": N, "S": S}, text="(N/S)(1 − (1 − 1/N)^S)"),
    ]


CLAIM = Claim(
    module=__name__,
    title="The mini-batch loss",
    sources=(Source("lecture", "7"),),
    verdict=Verdict.STATEMENT,
    summary="The batch sum is multiplied by N/S, so that it estimates the sum over all examples. With replacement "
    "the batch is not a set: an example drawn twice must be counted twice. Counted once, ℓ̂ would be too "
    "small on average, by the factor (N/S)(1 − (1 − 1/N)^S).",
    printed=sp.Eq(hat(w), N / S * sp.Sum(sp.Indexed("ℓ", sp.Indexed("b", i)), (i, 1, S)), evaluate=False),
    assumptions=(Assumption("Batches are drawn with replacement; n_i says how often example i is drawn."),),
    formula=N / S * (1 - (1 - 1 / N) ** S),
    arguments=(N, S),
    slip=Slip("the probability of being drawn exactly once for that of being drawn", (1 - 1 / N) ** (S - 1)),
)
