"""Isotropic constant noise: the Gibbs law exp(−L/T), T = ησ²/(2S), is stationary and has no current."""

import numpy as np
import sympy as sp

from derivations import assumptions, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import P, S, eta, lam, sigma, t, theta

loss = sp.Symbol("L", real=True)  # the value of the loss at θ
x, y = sp.symbols("theta_1 theta_2", real=True)
L = sp.Function("L")(x, y)


def steps(formula):
    """Generator → its adjoint and the current → the current of the Gibbs law; then back."""
    diffusion = eta * sigma**2 / (2 * S)
    p, f = sp.Function("p")(x, y), sp.Function("f")(x, y)

    def current(density):
        return [-density * L.diff(u) - diffusion * sp.Derivative(density, u) for u in (x, y)]

    j = current(p)
    generator = sum(-L.diff(u) * f.diff(u) + diffusion * f.diff(u, 2) for u in (x, y))
    surface = [diffusion * (p * f.diff(u) - f * p.diff(u)) - f * p * L.diff(u) for u in (x, y)]
    gibbs = formula.subs(loss, L)
    return [
        Step(
            "Itô's formula gives E f(θ) the rate E[−∇L·∇f + (ησ²/2S) Δf]. Times p this is f times −∇·j, with the "
            "current j = −p ∇L − (ησ²/2S) ∇p, plus a divergence. The divergence integrates to zero, so ∂p/∂t = "
            "−∇·j:",
            p * generator,
            sum(-f * sp.Derivative(j[k], u) + sp.Derivative(surface[k], u) for k, u in enumerate((x, y))),
            shown=sp.Eq(
                sp.Derivative(sp.Function("p")(x, y, t), t),
                -sp.Add(*(sp.Derivative(sp.Function(f"j_{k}")(x, y, t), u) for k, u in ((1, x), (2, y)))),
                evaluate=False,
            ),
        ),
        Step(
            "The logarithm of the Gibbs density falls with the loss, at the rate drift ÷ diffusion:",
            sp.Matrix([sp.Derivative(sp.log(gibbs), u) for u in (x, y)]),
            sp.Matrix([-L.diff(u) / diffusion for u in (x, y)]),
        ),
        Step(
            "So drift and diffusion cancel in each direction: the current is zero everywhere, not only "
            "divergence-free:",
            sp.Matrix(current(gibbs)),
            sp.zeros(2, 1),
        ),
        Step(
            "Conversely, for any p the ratio of p to the Gibbs density changes as its current. Where that "
            "vanishes the ratio is a constant, 1/Z, and there is no other law without current:",
            sp.Matrix([sp.Derivative(p / gibbs, u) for u in (x, y)]),
            sp.Matrix([-component / (diffusion * gibbs) for component in j]),
        ),
    ]


def check(formula):
    """The generator has mean zero under the density, by sums on a grid; Itô's isometry for a parabola."""
    values = {eta: sp.Rational(3, 10), S: 4, sigma: sp.Rational(5, 2)}
    diffusion = float((eta * sigma**2 / (2 * S)).subs(values))
    potential = x**4 / 4 + x**2 * y**2 / 2 + y**4 / 3 + x * y / 2 - x / 3
    # The trapezoidal rule is exact to rounding for smooth functions that vanish at both ends.
    grid = np.linspace(-4, 4, 401)
    points = np.meshgrid(grid, grid, indexing="ij")
    density = sp.lambdify((x, y), formula.subs(values).subs(loss, potential))(*points)
    density = density / density.sum()

    def expectation(expression):
        return float((density * sp.lambdify((x, y), expression)(*points)).sum())

    comparisons = []
    for f in (x**2, x * y, sp.sin(x) + y**4):
        dissipated = sum(potential.diff(u) * f.diff(u) for u in (x, y))
        laplacian = sum(f.diff(u, 2) for u in (x, y))
        comparisons.append(
            Comparison(
                f"E[∇L·∇f] = (ησ²/2S) E[Δf] for a quartic loss in the plane and f = {f}, by sums on a grid",
                expectation(dissipated),
                diffusion * expectation(laplacian + 0 * x),
                1e-10,
            )
        )
    weight = formula.subs(loss, lam * theta**2 / 2)
    line = (theta, -sp.oo, sp.oo)
    s = sp.Symbol("s", positive=True)
    comparisons.append(
        Comparison(
            "Var θ for L = 3θ²/2, by ∫ θ² p dθ and by Itô's isometry (ησ²/S) ∫ e^{−6s} ds",
            (sp.integrate(theta**2 * weight, line) / sp.integrate(weight, line)).subs(values | {lam: 3}),
            (eta * sigma**2 / S * sp.integrate(sp.exp(-2 * lam * s), (s, 0, sp.oo))).subs(values | {lam: 3}),
        )
    )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    diffusion = eta * sigma**2 / (2 * S)
    u = sp.Symbol("u", real=True)
    names = {"η": eta, "σ": sigma, "S": S}
    density = formula.subs(loss, u**4 / 4 - u)
    still = sp.simplify(-(u**3 - 1) * density - diffusion * density.diff(u))
    return [
        prose.formula("exp(−L/T)", formula, {"L": loss, "T": diffusion}),
        prose.formula("T = ησ²/(2S)", -loss / sp.log(formula), names, text="ησ²/(2S)"),
        prose.cases(
            "If the gradient noise is the same in every direction and at every point, C = σ²I, the SDE has the Gibbs "
            "law",
            [still == 0],
            "the current of the density for L = u⁴/4 − u",
        ),
        prose.cases("Its probability current is zero", [still == 0], "for L = u⁴/4 − u"),
    ]


CLAIM = Claim(
    module=__name__,
    title="Gibbs law of isotropic constant noise",
    sources=(Source("Jastrzębski et al. 2017"),),
    verdict=Verdict.CONDITIONAL,
    summary="If the gradient noise is the same in every direction and at every point, C = σ²I, the SDE has the "
    "Gibbs law exp(−L/T) with T = ησ²/(2S), where L is the mean loss. Its probability current is zero, so it is "
    "an equilibrium.",
    printed=sp.Eq(P(theta), sp.Symbol("P_0") * sp.exp(-2 * loss / (eta / S * sigma**2)), evaluate=False),
    assumptions=(
        assumptions.ISOTROPIC,
        Assumption("Batches are drawn with replacement; without, T has the factor (N − S)/(N − 1)."),
        Assumption("exp(−L/T) can be normalised: the loss grows at infinity."),
        Assumption("L has two continuous derivatives."),
    ),
    formula=sp.exp(-2 * S * loss / (eta * sigma**2)),
    arguments=(loss, eta, S, sigma),
    slip=Slip("temperature ησ²/S, without the ½ of the diffusion", sp.exp(-S * loss / (eta * sigma**2))),
)
