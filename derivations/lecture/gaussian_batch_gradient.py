"""Lecture (16): by how much the probabilities of a Gaussian miss those of a batch gradient."""

import mpmath
import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import N, P, S

F = sp.Symbol("F", positive=True)  # variance of the per-example gradients along one direction
skewness = sp.Symbol("gamma_3", real=True)  # their κ₃/κ₂^(3/2)
psi = sp.Symbol("psi", real=True)
u, z = sp.symbols("u z", real=True)  # z: ψ in units of its standard deviation
delta = sp.Symbol("delta", positive=True)  # S^(−1/2)
BELL = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
bell = sp.Function("φ")(z)  # the same, by its name


def steps(formula):
    """The generating function of a sum of S independent gradients, and its inverse."""
    unit = u * delta  # each of the S standardised gradients is scaled by 1/√S
    one = unit**2 / 2 + skewness * unit**3 / 6  # its cumulant generating function, up to u⁴
    x = sp.Symbol("x", real=True)
    ratio = sp.simplify(1 + sp.diff(formula, z) / BELL)  # of the two densities
    shifted = sp.expand(BELL.subs(z, x) * ratio.subs(z, u + x))  # e^{uz} BELL(z) = e^{u²/2} BELL(z − u)
    with_skewness = sp.exp(u**2 / 2) * (1 + skewness * u**3 / (6 * sp.sqrt(S)))
    error, change = (skewness * p / (6 * sp.sqrt(S)) for p in (1 - z**2, z**3 - 3 * z))
    root = sp.Pow(2 * sp.pi * S, -sp.Rational(1, 2), evaluate=False)
    return [
        Step(
            "The cumulants u²/2, γ₃u³/6, … of S = δ⁻² independent draws add, each scaled by δ = 1/√S. The generating "
            "function E exp(uz) tends to a Gaussian's as S → ∞, whatever N; the skewness is what comes first:",
            sp.exp(sp.Mul(S, one, evaluate=False)).subs(S, delta**-2),
            sp.exp(u**2 / 2) * (1 + skewness * delta * u**3 / 6),
            order=(delta, 2),
        ),
        Step(
            "The error of P(ψ ≤ z) named above changes the normal density φ(z) by its derivative:",
            sp.Derivative(formula, z),
            change * BELL,
            shown=sp.Eq(sp.Derivative(error * bell, z), change * bell, evaluate=False),
        ),
        Step(
            "The density so changed has that generating function:",
            sp.exp(u**2 / 2) * sp.Integral(shifted, (x, -sp.oo, sp.oo)),
            with_skewness,
            shown=sp.Eq(
                sp.Integral(sp.exp(u * z) * (1 + change) * bell, (z, -sp.oo, sp.oo)), with_skewness, evaluate=False
            ),
        ),
        Step(
            "The error is largest in the middle. It is small if S ≫ γ₃²/(72π):",
            sp.Subs(formula, z, 0),
            skewness / 6 * root.doit(),
            shown=sp.Eq(sp.Subs(error * bell, z, 0), sp.Mul(skewness / 6, root, evaluate=False), evaluate=False),
        ),
    ]


def check(formula):
    """Gradients of an exponential law (skewness 2): a sum of S of them has the gamma density."""
    size = 10_000
    comparisons = []
    for at in (0, sp.Rational(1, 2), -2):
        with mpmath.workdps(30):
            edge = size + mpmath.mpf(str(sp.N(at, 30))) * mpmath.sqrt(size)
            # The law by quadrature of its density, from 12 standard deviations below.
            law = mpmath.quad(
                lambda x: mpmath.exp((size - 1) * mpmath.log(x) - x - mpmath.loggamma(size)),
                mpmath.linspace(size - 12 * mpmath.sqrt(size), edge, 7),
            )
            error = law - mpmath.ncdf(mpmath.mpf(str(sp.N(at, 30))))
        comparisons.append(
            Comparison(
                f"error of P(ψ ≤ {at} standard deviations) times √S, for exponential gradients and S = 10⁴, up to "
                f"S^(−1/2)",
                100 * formula.subs({skewness: 2, S: size, z: at}).evalf(20),
                100 * sp.Float(error, 20),
                sp.Rational(1, 500),
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"γ₃": skewness, "z": z, "S": S}
    return [prose.formula("γ₃(1 − z²) exp(−z²/2)/(6√(2πS))", formula, names)]


CLAIM = Claim(
    module=__name__,
    title="A batch gradient's fluctuation as a Gaussian",
    sources=(Source("lecture", "16"),),
    verdict=Verdict.ORDER,
    order="S^(−1/2)",
    summary="The probability that ψ is at most z standard deviations is a Gaussian's plus γ₃(1 − z²) "
    "exp(−z²/2)/(6√(2πS)) with γ₃ the skewness of the per-example gradients. Of the limits named, draws "
    "with replacement need S → ∞ alone: neither N → ∞ nor S ≪ N.",
    printed=sp.Eq(
        P(psi),
        sp.Mul(
            sp.Pow(2 * sp.pi * N**2 * F / S, -sp.Rational(1, 2), evaluate=False),
            sp.exp(-(psi**2) * S / (2 * N**2 * F)),
            evaluate=False,
        ),
        evaluate=False,
    ),
    assumptions=(
        assumptions.WITH_REPLACEMENT,
        Assumption("The batch is large.", sp.Gt(S, skewness**2, evaluate=False)),
        Assumption("The gradients vary along the direction looked at and have a third moment."),
        Assumption("They don't lie on a lattice, whose jumps of order S^(−1/2) come on top."),
    ),
    formula=skewness * (1 - z**2) * BELL / (6 * sp.sqrt(S)),
    arguments=(z, S, skewness),
    slip=Slip("the sign of the correction", skewness * (z**2 - 1) * BELL / (6 * sp.sqrt(S))),
)
