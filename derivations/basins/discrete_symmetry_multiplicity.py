"""How many copies of a minimum a symmetry makes: permutations and sign flips of hidden tanh units."""

import itertools

import sympy as sp

from derivations.claim import Assumption, Claim, Comparison, Slip, Source, Step, Verdict
from derivations.symbols import theta

group, stabiliser = sp.symbols("|G| |stab|", positive=True, integer=True)  # orders of G and of what fixes θ
units = sp.Symbol("n_h", positive=True, integer=True)  # hidden units
n1, n2, dead = sp.symbols("n_1 n_2 n_0", positive=True, integer=True)  # units alike, up to sign; units that are zero


def steps(formula):
    """Orbit and stabiliser, then a direct count of the distinct placements."""
    order = 2**units * sp.factorial(units)
    fixed = 2**dead * sp.factorial(dead) * sp.factorial(n1) * sp.factorial(n2)
    total = dead + n1 + n2
    a, b, p, q = sp.symbols("a b p q", real=True)
    hessian = sp.Matrix([[p, a], [a, q]])
    move = sp.Matrix([[0, -1], [1, 0]])  # exchanges two coordinates and flips one sign
    return [
        Step(
            "A unit a tanh(w·x) is unchanged when w and a change sign together:",
            -b * sp.tanh(-a),
            b * sp.tanh(a),
        ),
        Step(
            "A signed permutation moves the last of n units to one of n places with one of two signs, so the order of "
            "the group is 2n times that of n − 1 units, which is 2ⁿ n!:",
            2 * units * order.subs(units, units - 1),
            order,
            name=group,
        ),
        Step(
            "The map g ↦ gθ takes each image as often as there are g that fix θ. If no two units agree up to sign and "
            "none is zero, that is once:",
            formula.subs({group: order, stabiliser: 1}),
            order,
        ),
        Step(
            "With n₁ and n₂ units alike up to sign and n₀ that are zero, placements and signs can be counted directly: "
            "a multinomial coefficient times a sign for each unit that isn't zero. |G|/|G_θ| agrees:",
            formula.subs({group: order.subs(units, total), stabiliser: fixed}),
            sp.factorial(total) / (sp.factorial(dead) * sp.factorial(n1) * sp.factorial(n2)) * 2 ** (n1 + n2),
        ),
        Step(
            "G acts by orthogonal matrices, so all images have the same determinant of the Hessian, and the weight of "
            "the class is the number of images times that of one:",
            (move * hessian * move.T).det(),
            hessian.det(),
        ),
    ]


def check(formula):
    """The orbits of six vectors under all signed permutations of three units, enumerated."""
    generic = ((1, 2), (3, -1), (2, 5))
    cases = {
        "three different units": generic,
        "two equal units": ((1, 2), (1, 2), (2, 5)),
        "two units equal up to sign": ((1, 2), (-1, -2), (2, 5)),
        "one unit zero": ((1, 2), (3, -1), (0, 0)),
        "three equal units": ((1, 2),) * 3,
        "two units zero": ((1, 2), (0, 0), (0, 0)),
    }
    elements = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))
    comparisons = []
    for words, vector in cases.items():
        images = [tuple((s * vector[i][0], s * vector[i][1]) for i, s in zip(*e, strict=True)) for e in elements]
        derived = formula.subs({group: len(elements), stabiliser: images.count(vector)})
        comparisons.append(Comparison(f"images of a vector with {words}, counted", derived, len(set(images))))
    outputs = {
        sum(s * a * sp.tanh(s * w * sp.Rational(1, 3)) for (w, a), s in zip(generic, signs, strict=True))
        for signs in itertools.product((1, -1), repeat=3)
    }
    derived = formula.subs({group: 2**3, stabiliser: 2**3})
    return [*comparisons, Comparison("outputs of the eight sign flips at x = 1/3, counted", derived, len(outputs))]


CLAIM = Claim(
    module=__name__,
    title="Number of equivalent minima under a finite symmetry",
    sources=(Source("orbit–stabiliser theorem"), Source("Bishop 2006", place="section 5.1.1")),
    verdict=Verdict.EXACT,
    summary="A finite symmetry group G makes |G|/|G_θ| copies of a minimum θ, where G_θ are the elements that fix it. "
    "For n hidden tanh units that is 2ⁿ n! if no two units agree up to sign and none is zero, else fewer.",
    printed=sp.Eq(sp.Symbol("|orbit|"), group / stabiliser, evaluate=False),
    assumptions=(
        Assumption(
            "The loss is invariant under the group.",
            sp.Eq(sp.Function("L")(sp.Symbol("g") * theta), sp.Function("L")(theta), evaluate=False),
        ),
        Assumption("The group is finite.", sp.Q.finite(group)),
    ),
    formula=group / stabiliser,
    arguments=(group, stabiliser),
    steps=steps,
    check=check,
    slip=Slip("every element taken to give a new minimum", group),
)
