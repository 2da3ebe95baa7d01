"""How many copies of a minimum a symmetry makes: permutations and sign flips of hidden tanh units."""

import itertools

import sympy as sp

from derivations import prose
from derivations.parts import Assumption, Claim, Comparison, Slip, Source, Step, Verdict

# Orders of the group and of the subgroup that fixes θ.
group, stabiliser = (sp.Symbol(name, positive=True, integer=True) for name in ("|G|", "|Stab θ|"))


def steps(formula):
    """Orbit and stabiliser; the group of a layer of tanh units; a direct count of the distinct placements."""
    a, w, x, p, q, r = sp.symbols("a w x p q r", real=True)
    n, n0, n1, n2, j = sp.symbols("n n_0 n_1 n_2 j", positive=True, integer=True)
    order = 2**n * sp.factorial(n)
    total, fixed = n0 + n1 + n2, 2**n0 * sp.factorial(n0) * sp.factorial(n1) * sp.factorial(n2)
    placements = sp.factorial(total) / (sp.factorial(n0) * sp.factorial(n1) * sp.factorial(n2))
    hessian = sp.ImmutableMatrix([[p, r], [r, q]])
    move = sp.ImmutableMatrix([[0, -1], [1, 0]])  # exchanges two coordinates and flips one sign
    return [
        Step(
            "If g takes θ to some image, so do g times each element that fixes θ, and no others. Summed over the "
            "images these are all of G, which gives their number:",
            sp.Sum(stabiliser, (j, 1, formula)),
            group,
        ),
        Step(
            "A hidden unit a tanh(w·x) is unchanged when w and a change sign together:",
            sp.Mul(-a, sp.tanh(-w * x, evaluate=False), evaluate=False),
            a * sp.tanh(w * x),
        ),
        Step(
            "So permutations with signs leave the output of n units alone. The last unit goes to one of n places with "
            "one of two signs, the others as n − 1 units do. If only the identity fixes θ, this is the number of "
            "copies:",
            sp.Mul(2 * n, order.subs(n, n - 1), evaluate=False),
            order,
            name=group,
        ),
        Step(
            "With n₁ and n₂ units alike up to sign and n₀ that are zero, permutations among these, and the signs of "
            "zero units, fix θ. A direct count of placements, and of signs of the units that aren't zero, agrees:",
            formula.subs({group: order.subs(n, total), stabiliser: fixed}),
            placements * 2 ** (n1 + n2),
            shown=sp.Eq(
                sp.Mul(order.subs(n, total), sp.Pow(fixed, -1, evaluate=False), evaluate=False),
                sp.Mul(placements, 2 ** (n1 + n2), evaluate=False),
                evaluate=False,
            ),
        ),
        Step(
            "G acts by orthogonal matrices, so the Hessians at all images have one determinant, and the weight of the "
            "class is the number of images times that of one:",
            sp.Determinant(sp.MatMul(move, hessian, move.T, evaluate=False)),
            p * q - r**2,
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


def says(formula):
    """What the summary states, in numbers."""
    elements = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))

    def copies(vector):
        return len({tuple(s * vector[i] for i, s in zip(*e, strict=True)) for e in elements})

    return [
        prose.formula("|G|/|Stab θ| copies", formula, {"|G|": group, "|Stab θ|": stabiliser}, text="|G|/|Stab θ|"),
        prose.figure(
            "that is 2ⁿ n!", copies((1, 2, 3)), "images of three different units, counted", {"n": 3}, text="2ⁿ n!"
        ),
        prose.cases(
            "none is zero",
            [copies((1, 2, 0)) == len(elements)],
            "whether as many images are counted with a unit that is zero",
        ),
        prose.direction(
            "else fewer",
            [[copies((1, 2, 3)), copies(other)] for other in ((1, -1, 3), (1, 2, 0))],
            "images of different units, then with two alike up to sign or one zero",
        ),
    ]


CLAIM = Claim(
    module=__name__,
    title="Number of equivalent minima under a finite symmetry",
    sources=(Source("orbit–stabiliser theorem"), Source("Bishop 2006", place="section 5.1.1")),
    verdict=Verdict.EXACT,
    summary="A finite symmetry group G makes |G|/|Stab θ| copies of a minimum θ, where Stab θ are the elements that "
    "fix it. For n hidden tanh units that is 2ⁿ n! if no two units agree up to sign and none is zero, else fewer.",
    printed=sp.Eq(sp.Symbol("|Gθ|"), group / stabiliser, evaluate=False),
    assumptions=(
        Assumption("The loss is invariant under the group."),
        Assumption("The group is finite."),
    ),
    formula=group / stabiliser,
    arguments=(group, stabiliser),
    slip=Slip("every element taken to give a new minimum", group),
)
