"""Lecture, section 2: what a small determinant of the Hessian says: the area of the basin, not the curvature."""

import mpmath
import sympy as sp

from derivations import assumptions, oracles, prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict

rise = sp.Symbol("Delta", positive=True)  # the basin is where the loss is less than this above its minimum
h11, h22, lam1, lam2, s, det = sp.symbols("H_11 H_22 lambda_1 lambda_2 s delta", positive=True)
h12, angle = sp.symbols("H_12 alpha", real=True)
r, phi = sp.symbols("r phi", nonnegative=True)


def steps(formula):
    """The ellipse becomes the unit disc; the Jacobian is what the determinant measures."""
    turn = sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])
    turned = turn * sp.diag(lam1, lam2) * turn.T
    entries = {h11: turned[0, 0], h12: turned[0, 1], h22: turned[1, 1]}
    u, v = sp.sqrt(2 * rise / lam1) * r * sp.cos(phi), sp.sqrt(2 * rise / lam2) * r * sp.sin(phi)
    jacobian = sp.Matrix(2, 2, lambda row, column: sp.Derivative((u, v)[row], (r, phi)[column]))
    density = 2 * rise * r / sp.sqrt(lam1 * lam2)
    return [
        Step(
            "A turn to the axes of H leaves areas and the determinant alone:",
            sp.Determinant(sp.MatMul(turn, sp.diag(lam1, lam2), turn.T, evaluate=False)),
            lam1 * lam2,
            name=sp.Symbol("det H"),
        ),
        Step(
            "Along them the basin is ½(λ_1u² + λ_2v²) ≤ Δ. In stretched polar coordinates, u = √(2Δ/λ_1) r cos φ and "
            "v = √(2Δ/λ_2) r sin φ, it is r ≤ 1:",
            (lam1 * u**2 + lam2 * v**2) / 2,
            rise * r**2,
        ),
        Step("Their area element:", sp.Determinant(jacobian), density),
        Step(
            "So the area, in the entries of H in any axes, is",
            sp.Integral(density, (phi, 0, 2 * sp.pi), (r, 0, 1)),
            sp.sqrt(sp.trigsimp((formula**2).subs(entries))),
            name=sp.Symbol("area"),
            shown=sp.Eq(sp.Integral(density, (phi, 0, 2 * sp.pi), (r, 0, 1)), formula, evaluate=False),
        ),
        Step(
            "Eigenvalues H_11 = s and H_22 = δ/s, with H_12 = 0, have determinant δ for every s: the same area, though "
            "the curvature s may be as large as one likes.",
            sp.Subs(formula.subs({h11: s, h12: 0}), h22, det / s),
            2 * sp.pi * rise / sp.sqrt(det),
        ),
    ]


def check(formula):
    """The widths of the ellipse's horizontal slices, integrated by quadrature."""
    comparisons = []
    for numbers in ((2, "0.7", "0.5", 1), (30, -4, 1, "0.2"), ("0.01", 0, 500, 3)):
        values = [sp.Rational(number) for number in numbers]
        with mpmath.workdps(30):
            a, b, c, height = (mpmath.mpf(number) for number in numbers)

            def width(y, a=a, b=b, c=c, height=height):
                # The two roots x of ax² + 2bxy + cy² = 2Δ; rounding may push the root's argument below 0 at the ends.
                return 2 * mpmath.sqrt(max(b * b * y * y - a * (c * y * y - 2 * height), 0)) / a

            top = mpmath.sqrt(2 * height * a / (a * c - b * b))
            area = oracles.quadrature(width, (-top, 0, top))
        derived = formula.subs(dict(zip((h11, h12, h22, rise), values, strict=True))).evalf(30)
        comparisons.append(
            Comparison(
                f"area for (H_11, H_12, H_22, Δ) = ({', '.join(map(str, values))}), by quadrature", derived, area, 1e-12
            )
        )
    return comparisons


def says(formula):
    """What the summary states, in numbers."""
    at = {h12: 0, h22: 1, rise: 1}
    bent = {n: sp.diag(n, sp.Rational(3, n)) for n in (10, 1000, 10**6)}
    twice = sp.Symbol("u")
    return [
        prose.formula(
            "area 2πΔ/√det H",
            formula,
            {"Δ": rise, "det H": h11 * h22 - h12**2},
            text="2πΔ/√det H",
            at={h11: 3, h12: 1, h22: 2},
        ),
        prose.direction(
            "the smaller the determinant, the larger the basin",
            [formula.subs(at).subs(h11, value) for value in (4, 2, 1)],
            "the area for Δ = 1 and determinants 4, 2, 1",
            word="larger",
        ),
        prose.cases(
            "eigenvalues s and δ/s have determinant δ and one arbitrarily sharp direction",
            [m.det() == 3 and max(m.eigenvals()) == n for n, m in bent.items()],
            "determinant and largest eigenvalue for δ = 3 and s = 10, 10³, 10⁶",
        ),
        prose.cases(
            "The determinant also changes with the parametrisation",
            [sp.diff((2 * twice) ** 2 / 2, twice, 2) != sp.diff(twice**2 / 2, twice, 2)],
            "the curvature of x²/2 in u = x/2 and in x",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="The determinant of the Hessian and flatness",
    sources=(Source("lecture", place="section 2"),),
    verdict=Verdict.CONDITIONAL,
    summary="For a quadratic minimum in the plane the region up to Δ above it has area 2πΔ/√det H, so the smaller "
    "the determinant, the larger the basin. It does not mean small curvature: eigenvalues s and δ/s have "
    "determinant δ and one arbitrarily sharp direction. The determinant also changes with the "
    "parametrisation.",
    printed=sp.Implies(sp.Function("det")(sp.Symbol("H")) < det, sp.Symbol("flat")),
    assumptions=(
        assumptions.POSITIVE_DEFINITE,
        Assumption("The loss is quadratic up to the height Δ."),
        Assumption("Flatness is the size of the basin."),
    ),
    formula=2 * sp.pi * rise / sp.sqrt(h11 * h22 - h12**2),
    arguments=(h12, h11, h22, rise),
    slip=Slip("det H for its root", 2 * sp.pi * rise / (h11 * h22 - h12**2)),
)
