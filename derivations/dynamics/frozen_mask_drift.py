"""Backward error analysis: the extra drift of a random force that is held during a step and integrated as an ODE."""

from typing import Any

import sympy as sp

from derivations import oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import E, eta, g, theta

hg = sp.Symbol("Hg", real=True)  # the component of H g that belongs to g, with g and H of the mean loss
slope = sp.Symbol("∇TrCov", real=True)  # of the force's covariance, the same component
x, y = sp.symbols("x y", real=True)
move = sp.Symbol("Δ")


def gradient(function) -> Any:
    return sp.Matrix([function.diff(x), function.diff(y)])


def steps(formula):
    """Taylor's formula for the flow of one realisation, then the mean over realisations."""
    loss = sp.Function("ell")(x, y)
    force = gradient(loss)
    hessian = force.jacobian([x, y])
    path = -eta * force + eta**2 / 2 * hessian * force
    G, H = sp.symbols("g_P H_P", commutative=False)
    shown_path = -eta * G + eta**2 / 2 * H * G
    square = sp.Abs(sp.Symbol("g_P")) ** 2
    return [
        Step(
            "With the realisation P held, the displacement Δ(η) solves Δ′ = −g_P(θ + Δ) = −(g_P + H_P Δ) + O(Δ²). The "
            "solution is −ηg_P + ½η²H_P g_P + O(η³): inserted on both sides,",
            path.diff(eta),
            -(force + hessian * path),
            order=(eta, 2),
            name=sp.Derivative(sp.Function("Δ")(eta), eta),
            shown=sp.Eq(shown_path.diff(eta), -(G + H * shown_path), evaluate=False),
        ),
        Step(
            "H_P is symmetric, so its product with g_P is a gradient, for any loss:",
            hessian * force,
            sp.Matrix([sp.Derivative(force.dot(force) / 2, z) for z in (x, y)]),
            shown=sp.Eq(H * G, sp.Function("∇")(square) / 2, evaluate=False),
        ),
        Step(
            "The mean of |g_P|² is |g|² + Tr Cov(g_P), and ½∇|g|² = Hg by the same rule for the mean loss. So, "
            "component by component, one step has the mean",
            -eta * g + eta**2 / 4 * (2 * hg + slope),
            formula,
            name=E(move),
        ),
        Step(
            "Example: ℓ = aθ²/2 with a = 0 or 2, equally likely, has g = Hg = θ and Cov = θ². The flow multiplies θ by "
            "1 or exp(−2η). From θ = 1, at η = 0.2, the mean is 0.406 after time 1, against Itô's 1/e = 0.368 and "
            "SGD's 0.8⁵ = 0.328.",
            (1 + sp.exp(-2 * eta)) / 2 * theta - theta,
            formula.subs({g: theta, hg: theta, slope: 2 * theta}),
            order=(eta, 3),
            name=E(move),
        ),
    ]


def check(formula):
    """Flows that are solved in closed form: a quartic loss, and quadratic ones in the plane by matrix exponentials."""

    time = sp.Symbol("tau", real=True)  # η, which is positive, also about 0

    def second_order(flow):
        return flow.xreplace({eta: time}).diff(time, 2).subs(time, 0) / 2

    # ℓ = aθ⁴/4 with a = 1 or 3: θ′ = −aθ³ has θ(η) = θ/√(1 + 2aηθ²).
    point = sp.Rational(1, 2)
    flow = sp.Add(*(point / sp.sqrt(1 + 2 * a * eta * point**2) for a in (1, 3))) / 2
    values = {g: 2 * point**3, hg: 12 * point**5, slope: 6 * point**5}
    words = "ℓ = aθ⁴/4, a = 1 or 3, at θ = 1/2: coefficient of η² in the mean"
    comparisons = [Comparison(words, second_order(formula.subs(values)), second_order(flow))]
    quadratics: list[Any] = [
        (sp.Matrix([[2, 1], [1, 2]]), sp.Matrix([1, 0])),
        (sp.Matrix([[1, -1], [-1, 1]]), sp.Matrix([-1, 2])),
    ]
    here, start = sp.Matrix([x, y]), {x: sp.Rational(1, 3), y: sp.Rational(-3, 2)}
    losses: list[Any] = [((here - b).T * a * (here - b))[0] / 2 for a, b in quadratics]
    whole = sum(losses) / 2
    trace = sum(gradient(loss).dot(gradient(loss)) for loss in losses) / 2 - gradient(whole).dot(gradient(whole))
    field, pull, tilt = gradient(whole), gradient(whole).jacobian([x, y]) * gradient(whole), gradient(trace)
    ends: Any = sum(((-eta * a).exp() * (here.subs(start) - b) + b for a, b in quadratics), sp.zeros(2, 1)) / 2
    for i in (0, 1):
        values = {g: field[i].subs(start), hg: pull[i].subs(start), slope: tilt[i].subs(start)}
        words = f"two quadratic losses in the plane: coefficient of η² in the mean's component {i + 1}"
        comparisons.append(Comparison(words, second_order(formula.subs(values)), second_order(ends[i])))
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    names = {"η": eta, "g": g, "Hg": hg, "∇Tr Cov": slope}
    point, spread, rate = sp.Integer(1), sp.Integer(1), sp.Rational(1, 10)  # ℓ = aθ²/2 with a = 0 or 2, at θ = 1
    return [
        prose.formula("−ηg + ½η²(Hg + ½∇Tr Cov)", formula, names),
        prose.formula("has −ηg + ½η²Hg", formula.subs(slope, 0), names, text="−ηg + ½η²Hg"),
        prose.figure(
            "SGD −ηg",
            oracles.mean([point - rate * a * point for a in (0, 2)]) - point,
            "a step of SGD on aθ²/2, a = 0 or 2, from θ = 1",
            {"η": rate, "g": spread},
            text="−ηg",
        ),
        prose.cases(
            "behaves as the Stratonovich equation with drift −g does",
            [sp.expand(formula - (eta * (-g + eta / 4 * slope) + eta**2 / 2 * hg)) == 0],
            "a step's mean against that of the Itô equation with drift −g + (η/4)∇Tr Cov",
        ),
        prose.cases(
            "relative to Itô's it climbs Tr Cov, at order η",
            [sp.simplify((formula - formula.subs(slope, 0)) / (eta**2 * slope)) > 0],
            "the part of a step's mean with ∇Tr Cov, over η²∇Tr Cov",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Drift from a force held during a step",
    sources=(Source("after Smith et al. 2021"),),
    verdict=Verdict.ORDER,
    order="η³",
    summary="A random loss drawn once a step (a batch-norm group, a dropout mask) and integrated as an ODE over the "
    "step moves θ by −ηg + ½η²(Hg + ½∇Tr Cov) in the mean, with the covariance of its gradient g_P. The Itô equation "
    "has −ηg + ½η²Hg, and SGD −ηg. So such a flow behaves as the Stratonovich equation with drift −g does: relative to "
    "Itô's it climbs Tr Cov, at order η.",
    printed=sp.Eq(E(move), -eta * g + eta**2 / 2 * (hg + slope / 2), evaluate=False),
    assumptions=(
        Assumption("The realisation is drawn afresh at every step of length η and held within it."),
        Assumption("The losses have bounded third derivatives."),
    ),
    formula=-eta * g + eta**2 / 2 * (hg + slope / 2),
    arguments=(eta, g, hg, slope),
    slip=Slip("the covariance forgotten", -eta * g + eta**2 / 2 * hg),
)
