"""What a claim is: a printed equation, what is right, a derivation in steps, an independent check, a planted slip."""

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp


class Verdict(enum.StrEnum):
    """What became of the printed equation.

    WRONG: it contradicts what the source itself says or assumes. CONDITIONAL: it needs an assumption that the source
    doesn't grant, or only inherits another equation's slip.
    """

    EXACT = "exact"
    CONDITIONAL = "holds under assumptions"
    ORDER = "holds to order"
    WRONG = "wrong as printed"
    STATEMENT = "not a statement"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an equation is printed.

    Attributes:
        document: "lecture", "thesis", or a paper such as "Malladi et al. 2022".
        equation: its number there, as printed, such as "14" or "3.2"; empty for running text.
        place: a section, table or page, for what bears no number.
    """

    document: str
    equation: str = ""
    place: str = ""

    @property
    def anchor(self) -> str:
        """The anchor of a numbered equation, such as lecture-14."""
        return f"{self.document}-{self.equation}".replace(" ", "-").lower()

    def __str__(self) -> str:
        number = f"({self.equation})" if self.equation else ""
        return " ".join(part for part in (self.document, number, self.place) if part)


@dataclasses.dataclass(frozen=True)
class Assumption:
    """In words and as a sympy object: a relation, a predicate of ``sympy.Q``, or a set membership."""

    words: str
    condition: sp.Basic


@dataclasses.dataclass(frozen=True)
class Step:
    """One line of a derivation: left = right, exactly, or up to O(variable^order).

    Both sides may hold unevaluated sums, integrals, derivatives and limits: the check evaluates them.

    Attributes:
        words: why the line holds.
        left, right: scalars or matrices of one shape.
        order: (variable, n) if left − right = O(variable^n) as variable → 0; None for equality.
        name: what the line computes, for display only, such as Cov(ψ): shown as name = left = right.
        shown: an equation that is shown in place of left = right where those are long (entries of generic matrices):
            the same statement in shorter notation, such as HΓ + ΓH = (η/S)C.
    """

    words: str
    left: Any
    right: Any
    order: tuple[sp.Symbol, int] | None = None
    name: sp.Basic | None = None
    shown: Any = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One number of the independent check: the formula against enumeration, quadrature or propagated moments.

    Attributes:
        words: what is compared and how the second number was found.
        derived: from the formula.
        independent: found without it. Rationals are compared exactly at tolerance 0.
        tolerance: the largest |derived − independent| allowed.
    """

    words: str
    derived: Any
    independent: Any
    tolerance: Any = 0

    @property
    def heading(self) -> str:
        """What is compared, for display."""
        return self.words

    @property
    def agreement(self) -> str:
        """How the two agree at tolerance 0, for display."""
        return "exactly equal"


@dataclasses.dataclass(frozen=True)
class Slip:
    """A mistake planted in the formula, which both checks must catch."""

    words: str
    formula: Any


@dataclasses.dataclass(frozen=True)
class Example:
    """A number that shows what the printed form does.

    Attributes:
        words: what the number is and where it is taken.
        printed: its value by the printed form.
        right: its value by the corrected form.
    """

    words: str
    printed: Any
    right: Any


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim of a source, with everything needed to check it and to show it.

    Attributes:
        module: ``__name__`` of the file; the claim's name is its last part.
        title: what it says, in a few words.
        sources: where it is printed.
        verdict: see ``Verdict``.
        summary: one to three sentences: what holds, when, and what is wrong if anything.
        printed: the equation as the source has it (its symbols translated where they clash).
        corrected: the right equation; None where the printed one is right.
        assumptions: under which it holds.
        formula: the right result, an expression or a matrix in ``arguments``; callers lambdify it.
        arguments: the symbols of the formula, in the order of the lambdified function.
        steps: formula ↦ the derivation; at least one step has the formula in it.
        check: formula ↦ the independent check.
        says: formula ↦ what the summary says in words, each phrase tied to a comparison that would fail if it were
            false (see ``derivations.prose``).
        slip: a mutated formula that must fail both.
        order: for "holds to order": the error, such as "η²".
        printed_formula: for "wrong as printed": the printed result in the form of ``formula``, if it has one; it
            must fail both checks too.
        example: for "wrong as printed": a number that shows the difference.
    """

    module: str
    title: str
    sources: Sequence[Source]
    verdict: Verdict
    summary: str
    printed: sp.Basic
    assumptions: Sequence[Assumption]
    formula: Any
    arguments: Sequence[sp.Basic]
    steps: Callable[[Any], Sequence[Step]]
    check: Callable[[Any], Sequence[Comparison]]
    slip: Slip
    says: Callable[[Any], Sequence[Comparison]] = lambda formula: ()
    corrected: sp.Basic | None = None
    order: str = ""
    printed_formula: Any = None
    example: Example | None = None

    def __post_init__(self) -> None:
        wrong = self.verdict is Verdict.WRONG
        if wrong != (self.example is not None) or wrong != (self.corrected is not None):
            raise ValueError(
                f"{self.name}: a corrected form and an example belong to 'wrong as printed', and only there"
            )
        if (self.verdict is Verdict.ORDER) != bool(self.order):
            raise ValueError(f"{self.name}: an order belongs to 'holds to order' alone")
        unknown = self.formula.free_symbols - {s for a in self.arguments for s in a.free_symbols}
        if unknown:
            raise ValueError(f"{self.name}: the formula has symbols {unknown} that are not among its arguments")

    @property
    def name(self) -> str:
        """The name on the command line."""
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def verdict_in_words(self) -> str:
        """The verdict, with the order where there is one."""
        return f"{self.verdict} {self.order}".strip()

    def function(self, modules: str = "numpy") -> Callable:
        """The formula as a function of ``arguments``.

        Args:
            modules: "numpy", "jax" or what else ``sympy.lambdify`` takes.
        """
        return sp.lambdify(list(self.arguments), self.formula, modules, cse=True)
