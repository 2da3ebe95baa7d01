"""One step of the third-order small-noise Runge–Kutta scheme on geometric Brownian motion: its two moments' errors."""

import mpmath
import sympy as sp

from derivations import oracles
from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, Var, h

a, s, z, xi, kappa = sp.symbols("a s z xi kappa", real=True)  # dX = −aX dt + εsX dW; z = ah
epsilon = sp.Symbol("varepsilon", positive=True)
alpha = (24 - sp.sqrt(96)) / 40
beta = 3 - 4 * alpha
X = sp.Symbol("X")
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
    end = sp.expand(one_step(lambda q: -a * q, lambda q: epsilon * s * q, sp.S.One, xi, h))
    drifted, noisy = end.coeff(xi, 0), end.coeff(xi, 1)
    small = {epsilon: sp.sqrt(kappa * h)}
    exact = [sp.exp(-a * h), sp.exp((-2 * a + epsilon**2 * s**2) * h)]
    return [
        Step(
            "Without noise the scheme is Kutta's third-order one, so with z = ah:",
            drifted,
            (1 - z + z**2 / 2 - z**3 / 6).subs(z, a * h),
            name=sp.Symbol("P"),
        ),
        Step(
            "The noise is drawn at the midpoint and then carried half a step by the three stages; 4α + β = 3:",
            noisy,
            (epsilon * s * (1 - z / 2) * (1 - z / 2 + alpha / 3 * z**2)).subs(z, a * h),
            name=sp.Symbol("Q"),
        ),
        Step("The mean falls behind the exact e^{−ah} by", exact[0] - drifted, formula[0], order=(h, 5), name=E(X)),
        Step(
            "ΔW has variance h, so E X'² = P² + hQ². Against the exact e^{(−2a + ε²s²)h}, with ε² = κh counted as"
            " small as the step, there is missing:",
            (exact[1] - drifted**2 - h * noisy**2).subs(small),
            formula[1].subs(small),
            order=(h, 5),
            name=E(X**2),
        ),
        Step(
            "The part without h³ or h⁴ is all that is left as a → 0: one draw of noise has no iterated integral ∫W dW:",
            (exact[1] - drifted**2 - h * noisy**2).subs(a, 0).subs(small),
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
            f"error of E X^{k + 1}, h = 10⁻³ and ε² = h, up to 50 h⁵",
            derived[k],
            e - ends(k + 1).evalf(35),
            50 * length**5,
        )
        for k, e in enumerate(exact)
    ]


CLAIM = Claim(
    module=__name__,
    title="Small-noise Runge–Kutta on geometric Brownian motion",
    sources=(Source("Milstein & Tretyakov 1997"),),
    verdict=Verdict.ORDER,
    order="h⁵ with ε² = O(h)",
    summary="In one step the mean is short by a⁴h⁴/24 and the second moment by ε⁴s⁴h²/2 + ε²s²a²h³(3 + 2√6)/30 + "
    "a⁴h⁴/12. With h = η and ε² = η/S all of these are O(η⁴), so over a fixed time the scheme's error is "
    "O(η³), far below the O(η) between SGD and its SDE.",
    printed=sp.Eq(sp.Tuple(sp.Symbol(r"\delta E(X)"), sp.Symbol(r"\delta E(X^2)")), sp.Tuple(*errors), evaluate=False),
    assumptions=(
        Assumption("Geometric Brownian motion dX = −aX dt + εsX dW (Itô), from X = 1.", sp.Eq(X, 1, evaluate=False)),
        Assumption("The noise is small: ε² is at most of the size of h.", sp.Le(epsilon**2, kappa * h, evaluate=False)),
        Assumption("ΔW is Gaussian with variance h.", sp.Eq(Var(sp.Symbol(r"\Delta W")), h, evaluate=False)),
    ),
    formula=errors,
    arguments=(h, epsilon, a, s),
    steps=steps,
    check=check,
    slip=Slip("the ε⁴ term forgotten", sp.Matrix([errors[0], errors[1] - epsilon**4 * s**4 * h**2 / 2])),
)
