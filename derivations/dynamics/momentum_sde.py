"""The SDE of heavy-ball SGD in phase space: one step against a time δ = √η."""

import mpmath
import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import Cov, E, S, Var, c, eta, g, m, theta

delta = sp.Symbol("delta", positive=True)  # √η, the time of one step
gamma, p = sp.symbols("gamma p", real=True)  # friction (1 − m)/δ; velocity v/δ
H, L3, c1, x, y = sp.symbols("H L_3 c_1 x y", real=True)  # L'', L''', C'; displacements of θ and p
START = {x: 0, y: 0}
heavy_ball = sp.Matrix([delta * p - delta**2 * (gamma * p + g), -delta * (gamma * p + g)])


def expectation(f, formula):
    """f + δ𝓛f + (δ²/2)𝓛²f at the start, with the drift and the noise of the formula met along the path."""
    here = formula.subs({g: g + H * x + L3 * x**2 / 2, p: p + y, c: c + c1 * x}, simultaneous=True)
    once, twice = f, f
    for n in range(2):
        twice = here[0] * sp.diff(twice, x) + here[1] * sp.diff(twice, y) + here[2] / 2 * sp.diff(twice, y, 2)
        once = twice if n == 0 else once
    return sp.expand(sum(term.subs(START) for term in (f, delta * once, delta**2 / 2 * twice)))


def steps(formula):
    """The recursion in (θ, p), then the generator's series for the SDE."""
    v = sp.Symbol("v", real=True)
    velocity = m * v - eta * g
    scaled = sp.Matrix([velocity, (velocity - v) / delta]).subs({v: delta * p, eta: delta**2, m: 1 - gamma * delta})
    first, other = expectation(x, formula), expectation(y, formula)
    means = sp.Matrix([first, other])
    covariances = sp.Matrix([expectation(f, formula) for f in (x**2, x * y, y**2)])
    covariances -= sp.Matrix([first**2, first * other, other**2])
    kick = sp.Matrix([delta**4, delta**3, delta**2]) * c / S
    return [
        Step(
            "With p = v/δ and m = 1 − γδ the step v ← mv − ηg, θ ← θ + v moves θ and p on average by:",
            scaled,
            heavy_ball,
            name=E(sp.Symbol(r"(\Delta\theta,\Delta p)")),
        ),
        Step(
            "To first order in δ that is the equation's drift times δ:",
            heavy_ball,
            delta * formula[:2, :],
            order=(delta, 2),
        ),
        Step(
            "The gradient's noise gives p a kick −δ·noise of variance δ²C/S; the equation's noise must collect it"
            " in a time δ:",
            delta * formula[2],
            delta**2 * c / S,
            name=Var(sp.Symbol(r"\Delta p")),
        ),
        Step(
            "At the next order the two means part: the heavy ball moves θ with the new velocity, the equation with the "
            "mean of old and new.",
            means - heavy_ball,
            delta**2 / 2 * sp.Matrix([gamma * p + g, gamma * (gamma * p + g) - H * p]),
            order=(delta, 3),
        ),
        Step(
            "The covariances agree to O(δ³) in a step. So one step is wrong by O(δ²), and a fixed time, 1/δ "
            "steps, by O(δ):",
            covariances,
            kick,
            order=(delta, 3),
            name=Cov(sp.Symbol(r"\Delta\theta,\Delta p")),
        ),
    ]


def check(formula):
    """A cubic loss: the drift integrated by RK4 and the p-noise by quadrature, against one enumerated step."""
    d, friction, size = sp.Rational(1, 10**4), sp.Rational(3, 2), 4
    slope = lambda q: sp.Rational(2, 3) + sp.Rational(7, 5) * q - 2 * q**2  # noqa: E731
    start = sp.Matrix([sp.Rational(1, 2), sp.Rational(-4, 3)])
    values = {delta: d, gamma: friction, S: size, c: 3}

    def drift(z):
        return formula[:2, :].subs(values | {g: slope(z[0]), p: z[1]})

    k1 = drift(start)
    k2 = drift(start + d / 2 * k1)
    k3 = drift(start + d / 2 * k2)
    moved = d / 6 * (k1 + 2 * k2 + 2 * k3 + drift(start + d * k3))
    ends = []  # both values of a two-point gradient noise of variance c/S
    for kick in (sp.sqrt(3) / 2, -sp.sqrt(3) / 2):
        velocity = (1 - friction * d) * d * start[1] - d**2 * (slope(start[0]) + kick)
        ends.append(sp.Matrix([velocity, velocity / d - start[1]]))
    with mpmath.workdps(30):
        rate, time = sp.lambdify(delta, formula[2].subs({S: size, c: 3}))(mpmath.mpf(1) / 10**4), mpmath.mpf(1) / 10**4
        collected = sp.Float(rate * mpmath.quad(lambda s: mpmath.exp(-3 * s), [0, time]), 25)
    return [
        Comparison("mean of one step, δ = 10⁻⁴, up to 10 δ²", moved, (ends[0] + ends[1]) / 2, 10 * d**2),
        Comparison(
            "variance of p after one step, δ = 10⁻⁴, up to 10 δ³",
            collected,
            ((ends[0] - ends[1])[1] / 2) ** 2,
            10 * d**3,
        ),
    ]


dt, dW, dp = sp.symbols("dt dW dp")
CLAIM = Claim(
    module=__name__,
    title="The SDE of heavy-ball SGD",
    sources=(Source("Li, Tai & E 2017"), Source("Li, Tai & E 2019")),
    verdict=Verdict.ORDER,
    order="√η",
    summary="With δ = √η, γ = (1 − m)/δ and p = v/δ, a heavy-ball step is a time δ of dθ = p dt, dp = −(γp + g) "
    "dt + η^{1/4} √(C/S) dW. One step is off by O(δ²) in the mean, so at fixed γ and fixed time the weak "
    "error is O(√η), and without momentum O(η).",
    printed=sp.Eq(dp, -gamma * p * dt - g * dt + eta ** sp.Rational(1, 4) * sp.sqrt(c / S) * dW, evaluate=False),
    assumptions=(
        Assumption("One step lasts δ = √η.", sp.Eq(delta, sp.sqrt(eta), evaluate=False)),
        Assumption(
            "The friction is fixed while η → 0, so m → 1: at fixed m it would grow like 1/√η.",
            sp.Eq(gamma, (1 - m) / sp.sqrt(eta), evaluate=False),
        ),
        Assumption("The batch size is fixed.", sp.Ge(S, 1, evaluate=False)),
        Assumption("A smooth loss.", sp.Eq(g, sp.Derivative(sp.Function("L")(theta), theta), evaluate=False)),
    ),
    formula=sp.Matrix([p, -gamma * p - g, delta * c / S]),
    arguments=(delta, gamma, S, p, g, c),
    steps=steps,
    check=check,
    slip=Slip(
        "the noise of SGD without momentum, η C/S in place of √η C/S", sp.Matrix([p, -gamma * p - g, delta**2 * c / S])
    ),
)
