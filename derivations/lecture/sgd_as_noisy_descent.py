"""Lecture (8): the step of SGD as gradient descent plus a fluctuation."""

import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, S, eta

full = sp.Symbol("p_1", real=True)  # Σ_i x_i, the gradient ∇ℓ of the sum loss; x_i = ∇ℓ(x_i, y_i; w)
batch_sum = sp.Symbol("s_B", real=True)  # Σ_{i∈B} x_i
whole, noisy = sp.Function("∇ℓ"), sp.Function("∇ℓ̂")
w, step = sp.Symbol("w", real=True), sp.Symbol("Δw")
FLUCTUATION = sp.Add(noisy(w), -whole(w), evaluate=False)


def steps(formula):
    """The full gradient is added and taken away again; N cancels."""
    noisy_gradient = sp.Symbol("ghat", real=True)
    return [
        Step(
            "With p_1 for the full gradient ∇ℓ and ĝ for ∇ℓ̂, the full gradient cancels:",
            sp.Mul(
                -eta / N, sp.Add(full, sp.Add(noisy_gradient, -full, evaluate=False), evaluate=False), evaluate=False
            ),
            -eta / N * noisy_gradient,
            name=step,
        ),
        Step(
            "ℓ̂ of (7) is N/S times the batch's loss, so ĝ is N/S times the sum s_B of the batch's gradients. The "
            "factors N cancel as well, and the step of the iteration (1) is left:",
            sp.Mul(-eta / N, N / S, batch_sum, evaluate=False),
            formula,
            name=step,
        ),
    ]


def check(formula):
    """Both sides for a regression in rationals: (1) with the batch mean, (8) with derivatives of the two losses."""
    w1, w2 = sp.symbols("w_1 w_2")
    data = ((1, 2, 3), (-1, 4, sp.Rational(1, 2)), (5, 0, 2), (2, -3, 1))
    losses = [(a * w1 + b * w2 - target) ** 2 / 2 for a, b, target in data]
    point, rate = {w1: sp.Rational(2, 3), w2: -1}, sp.Rational(1, 20)
    comparisons = []
    for batch in ((0, 3), (1, 1, 2)):
        # (8): the losses (6) and (7) are differentiated.
        ell, ell_hat = sum(losses), sp.Rational(4, len(batch)) * sum(losses[n] for n in batch)
        printed = [
            (-rate / 4 * (sp.diff(ell, v) + (sp.diff(ell_hat, v) - sp.diff(ell, v)))).subs(point) for v in (w1, w2)
        ]
        # (1): residual times input, summed over the batch.
        residuals = [a * point[w1] + b * point[w2] - target for a, b, target in data]
        sums = [sum(residuals[n] * data[n][axis] for n in batch) for axis in (0, 1)]
        derived = [formula.subs({eta: rate, S: len(batch), batch_sum: value, N: 4}) for value in sums]
        comparisons.append(
            Comparison(f"the step with batch {batch} of a regression on four examples", derived, printed)
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    values = [sp.Rational(value) for value in ("3", "1/2", "7", "-2")]
    rate = sp.Rational(1, 5)
    whole = sum(values)
    steps = {
        batch: formula.subs({eta: rate, N: 4, S: size, batch_sum: sum(values[i] for i in batch)})
        for size in (1, 2, 3)
        for replacement in (True, False)
        for batch in oracles.batches(4, size, replacement)
    }
    noise = {batch: sp.Rational(4, len(batch)) * sum(values[i] for i in batch) - whole for batch in steps}
    return [
        prose.figure(
            "plus −η/N times the fluctuation",
            (steps[0, 1] + rate / 4 * whole) / noise[0, 1],
            "the step minus that of gradient descent, over ψ, for one batch",
            {"η": rate, "N": 4},
            text="−η/N",
        ),
        prose.cases(
            "This is an identity, for every batch and however it is drawn",
            [steps[batch] == -rate / 4 * (whole + noise[batch]) for batch in steps],
            "both sides for N = 4, S = 1, 2, 3, every batch with replacement and without",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="SGD as noisy gradient descent",
    sources=(Source("lecture", "8"),),
    verdict=Verdict.EXACT,
    summary="The step of SGD is a step of gradient descent plus −η/N times the fluctuation of the batch gradient. This "
    "is an identity, for every batch and however it is drawn; nothing about noise is assumed.",
    printed=sp.Eq(
        step,
        sp.Mul(-eta / N, sp.Add(whole(w), FLUCTUATION, evaluate=False), evaluate=False),
        evaluate=False,
    ),
    assumptions=(
        assumptions.SUM_LOSS,
        Assumption("ℓ̂ has the factor N/S."),
    ),
    formula=-eta / S * batch_sum,
    arguments=(eta, N, S, batch_sum),
    slip=Slip("the factor N/S of the batch loss forgotten", -eta / N * batch_sum),
)
