"""One step of the third-order small-noise Runge–Kutta scheme on geometric Brownian motion: its two moments' errors."""

import mpmath
import sympy as sp

from derivations import assumptions, linear_models, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import h

a, s, z, kappa = sp.symbols("a s z kappa", real=True)  # dX = −aX dt + εsX dW; z = ah
epsilon = sp.Symbol("varepsilon", positive=True)
alpha = (24 - sp.sqrt(96)) / 40
beta = 3 - 4 * alpha
errors = sp.Matrix(
    [
        (a * h) ** 4 / 24,
        epsilon**4 * s**4 * h**2 / 2 + epsilon**2 * s**2 * a**2 * h**3 * (3 + 2 * sp.sqrt(6)) / 30 + (a * h) ** 4 / 12,
    ]
)


def one_step(drift, diffusion, start, increment, length):
    """k1 = a(X), n = εb(X + ½hk1)ΔW, k2 = a(X + ½hk1 + αn), k3 = a(X − hk1 + 2hk2 + βn)."""
    k1 = drift(start)
    noise = diffusion(start + length / 2 * k1) * increment
    k2 = drift(start + length / 2 * k1 + alpha * noise)
    k3 = drift(start - length * k1 + 2 * length * k2 + beta * noise)
    return start + length / 6 * (k1 + 4 * k2 + k3) + noise


def steps(formula):
    """The scheme is linear in X here, so a step is X' = X(P + Q ΔW)."""
    decay = lambda q: -z * q  # noqa: E731
    drifted = one_step(decay, lambda q: 0, sp.S.One, 0, sp.S.One)
    # The noise n = 1 − z/2 alone, carried along: a step from 0 with all of it given.
    n = 1 - z / 2
    noisy = one_step(decay, lambda q: n, sp.S.Zero, 1, sp.S.One)
    P, Q = (1 - z + z**2 / 2 - z**3 / 6).subs(z, a * h), (n * (n + alpha / 3 * z**2)).subs(z, a * h)
    small = {epsilon: sp.sqrt(kappa * h)}
    means, squares = sp.exp(-a * h), sp.exp(-2 * a * h + kappa * s**2 * h**2)
    return [
        Step(
            "On dX = −aX dt + εsX dW a step is X' = X(P + εsQ ΔW). Without noise the scheme is Kutta's third-order "
            "one, so from X = 1, with z = ah, the stages −z, −z(1 − z/2), … add up to",
            drifted,
            1 - z + z**2 / 2 - z**3 / 6,
            name=sp.Symbol("P"),
        ),
        Step(
            "The noise is drawn at the midpoint, as 1 − z/2, and then carried half a step by the stages, where 4α + β "
            "= 3:",
            noisy,
            n * (n + alpha / 3 * z**2),
            name=sp.Symbol("Q"),
            shown=sp.Eq(
                n * (1 - (4 * sp.Symbol("α") + sp.Symbol("β")) * z / 6 + sp.Symbol("α") * z**2 / 3),
                n * (n + sp.Symbol("α") * z**2 / 3),
                evaluate=False,
            ),
        ),
        Step(
            "E X' is P. The exact mean is exp(−ah), and the scheme's is short of it by",
            means - P,
            formula[0],
            order=(h, 5),
            name=sp.Symbol("δE(X)"),
        ),
        Step(
            "ΔW has the variance h, so E X'² = P² + ε²s²hQ². The exact one is exp((−2a + ε²s²)h). With ε² = κh "
            "counted as small as the step the scheme's is short of it by",
            squares - P**2 - kappa * s**2 * h**2 * Q**2,
            formula[1].subs(small),
            order=(h, 5),
            name=sp.Symbol("δE(X²)"),
            shown=sp.Eq(
                squares - sp.Symbol("P") ** 2 - kappa * s**2 * h**2 * sp.Symbol("Q") ** 2,
                formula[1].subs(small),
                evaluate=False,
            ),
        ),
        Step(
            "The term ε⁴s⁴h²/2 is what is left without drift, P = Q = 1: one draw of noise has no iterated integral "
            "∫W dW.",
            sp.exp(kappa * s**2 * h**2) - 1 - kappa * s**2 * h**2,
            formula[1].subs(a, 0).subs(small),
            order=(h, 6),
        ),
    ]


def check(formula):
    """The scheme run on a three-point law with a Gaussian's moments; the exact law by quadrature of a lognormal."""
    length, rate, strength = sp.Rational(1, 1000), sp.Rational(7, 5), 2
    root = sp.sqrt(length)  # ε
    law = oracles.three_point(root)
    ends = lambda power: oracles.expectation(  # noqa: E731
        lambda dW: one_step(lambda q: -rate * q, lambda q: root * strength * q, sp.S.One, dW, length) ** power, law
    )
    with mpmath.workdps(40):
        step, spread, r = mpmath.mpf(1) / 1000, mpmath.mpf(2) / 1000, mpmath.mpf(7) / 5  # spread: ε s √h
        value = lambda w: mpmath.exp(-r * step - spread**2 / 2 + spread * w)  # noqa: E731
        weight = lambda w: mpmath.exp(-(w**2) / 2) / mpmath.sqrt(2 * mpmath.pi)  # noqa: E731
        exact = [
            sp.Float(mpmath.quad(lambda w: value(w) ** power * weight(w), [-14, 0, 14]), 35)  # noqa: B023
            for power in (1, 2)
        ]
    derived = formula.subs({h: length, a: rate, s: strength, epsilon: root}).evalf(30)
    return [
        Comparison(
            f"error of E {('X', 'X²')[k]}, h = 10⁻³ and ε² = h, up to 50 h⁵",
            derived[k],
            e - ends(k + 1).evalf(35),
            50 * length**5,
        )
        for k, e in enumerate(exact)
    ]


def says(formula):
    """What the summary states, in numbers."""
    names = {"a": a, "h": h, "ε": epsilon, "s": s}
    one, fixed, gap = {}, {}, {}
    for rate in (0.01, 0.005):  # aθ²/2 with a = 1, 1 or 4: dX = −2X dt + √η √2 X dW
        z = 2 * rate
        P, n = 1 - z + z**2 / 2 - z**3 / 6, 1 - z / 2
        Q = n * (n + float(alpha) * z**2 / 3)
        square = P**2 + rate * 2 * rate * Q**2
        one[rate] = linear_models.equation(rate, 2, time=rate) - square
        fixed[rate] = linear_models.equation(rate, 2) - square ** round(1 / rate)
        gap[rate] = linear_models.equation(rate, 2) - linear_models.sgd(rate, 2)
    how = "E X² on aθ²/2, a = 1, 1 or 4, with h = η = 0.01 and 0.005"
    return [
        prose.formula("the mean is short by a⁴h⁴/24", formula[0], names, text="a⁴h⁴/24"),
        prose.formula("ε⁴s⁴h²/2 + ε²s²a²h³(3 + 2√6)/30 + a⁴h⁴/12", formula[1], names),
        prose.order("all of these are O(η⁴)", one, "η", f"{how}, one step"),
        prose.order("the scheme's error is O(η³)", fixed, "η", f"{how}, at t = 1"),
        prose.direction(
            "far below the",
            [gap[0.005], 1000 * abs(fixed[0.005])],
            "the gap between SGD and its SDE, then a thousand times the scheme's error, at η = 0.005",
        ),
        prose.order("the O(η) between SGD and its SDE", gap, "η", f"{how}, at t = 1"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Small-noise Runge–Kutta on geometric Brownian motion",
    sources=(Source("Milstein & Tretyakov 1997", place="SIAM J. Numer. Anal. 34(6), weak sense"),),
    verdict=Verdict.ORDER,
    order="h⁵ with ε² = O(h)",
    summary="In one step the mean is short by a⁴h⁴/24 and the second moment by ε⁴s⁴h²/2 + ε²s²a²h³(3 + 2√6)/30 + "
    "a⁴h⁴/12. With h = η and ε² = η/S all of these are O(η⁴), so over a fixed time the scheme's error is "
    "O(η³), far below the O(η) between SGD and its SDE.",
    printed=sp.Eq(
        sp.Matrix([sp.Symbol("δE(X)"), sp.Symbol("δE(X²)")]), errors.subs(epsilon, sp.Symbol("ε")), evaluate=False
    ),
    assumptions=(
        assumptions.SMALL_NOISE_SCHEME,
        Assumption("Geometric Brownian motion dX = −aX dt + εsX dW (Itô), from X = 1."),
        assumptions.SMALL_NOISE,
        Assumption("ΔW is Gaussian with variance h."),
    ),
    formula=errors,
    arguments=(h, epsilon, a, s),
    slip=Slip("the ε⁴ term forgotten", sp.Matrix([errors[0], errors[1] - epsilon**4 * s**4 * h**2 / 2])),
)
