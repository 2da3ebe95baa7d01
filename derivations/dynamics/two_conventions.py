"""Smith's sum loss with η/N of time a step and Jastrzębski's mean loss with η of time: one process."""

import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, N, S, eta

C = sp.Symbol("C", real=True)  # an entry of the covariance of the per-example gradients, 1/N form
F = sp.Symbol("F", real=True)  # the same in its 1/(N − 1) form
noise_scale, f = sp.symbols("g_Smith f", positive=True)
psi = sp.Symbol("psi")


def steps(formula):
    """Match one step's covariance, change the time, change the form of the covariance."""
    factor = (N - S) / (N - 1)
    scale = eta * (N / S - 1)
    return [
        Step(
            "Smith: dθ = −N g ds + √(g_Smith F) dB, with η/N of time s a step. One step's displacement −(η/N)(N g + ψ) "
            "has covariance (η/N)² Cov(ψ), Cov(ψ) = N(N/S − 1)F. The noise over η/N of time is the same for",
            scale * F * eta / N,
            (eta / N) ** 2 * N * (N / S - 1) * F,
            name=noise_scale * F * eta / N,
        ),
        Step(
            "Mean loss: t = N s makes a step last η. The drift N g per unit of s is g per unit of t, and the "
            "covariance per unit of time is divided by N as well:",
            scale / N,
            formula,
            name=noise_scale / N,
        ),
        Step(
            "Jastrzębski's equation with batches that are subsets has f (η/S) C with f = (N−S)/(N−1) per unit of t. "
            "Its coefficient and Smith's differ by (N−1)/N",
            formula,
            factor * eta / S * (N - 1) / N,
            name=noise_scale / N,
        ),
        Step(
            "which is what lies between the two forms of the covariance: Cov(ψ) above is that of subsets if F is in "
            "its 1/(N−1) form, F = C N/(N−1). So the two diffusions are one:",
            formula * (C * N / (N - 1)),
            factor * eta / S * C,
        ),
    ]


def check(formula):
    """One step's displacement over every subset, in rationals: it is the equation's covariance over a time η."""
    gradients = [sp.Matrix(v) for v in ((2, -1), (sp.Rational(1, 2), 3), (-4, sp.Rational(2, 3)), (0, 5), (1, 1))]
    n, rate = len(gradients), sp.Rational(1, 7)
    sample_form = oracles.covariance(gradients) * sp.Rational(n, n - 1)
    comparisons = []
    for size in (1, 2, 4):
        moves = [
            -rate * oracles.mean([gradients[i] for i in subset])
            for subset in oracles.batches(n, size, replacement=False)
        ]
        derived = formula.subs({N: n, S: size, eta: rate}) * sample_form * rate
        words = f"the 2 × 2 covariance of one step for N = 5, S = {size}, η = 1/7, over all subsets"
        comparisons.append(Comparison(words, derived, oracles.covariance(moves)))
    return comparisons


CLAIM = Claim(
    module=__name__,
    title="Smith's and Jastrzębski's equations are one",
    sources=(Source("lecture", "24"), Source("thesis", "3.2")),
    verdict=Verdict.EXACT,
    summary="Smith's noise scale over N is f (η/S)(N−1)/N with f = (N−S)/(N−1), exactly; the last factor turns the "
    "1/(N−1) form of the covariance into the 1/N form. So both equations describe one process, with f in "
    "Jastrzębski's; for S ≪ N both have η/S.",
    printed=sp.Eq(noise_scale / N, f * (eta / S) * (N - 1) / N, evaluate=False),
    assumptions=(
        Assumption("Batches are subsets, with f = (N−S)/(N−1).", sp.Eq(f, (N - S) / (N - 1), evaluate=False)),
        Assumption("Smith's F is the covariance in its 1/(N−1) form.", sp.Eq(F, C * N / (N - 1), evaluate=False)),
        Assumption(
            "ψ is the fluctuation of the sum loss's gradient.", sp.Eq(Cov(psi), N * (N / S - 1) * F, evaluate=False)
        ),
    ),
    formula=eta * (N / S - 1) / N,
    arguments=(eta, N, S),
    steps=steps,
    check=check,
    slip=Slip("the noise scale with its time not changed", eta * (N / S - 1)),
)
