"""What a claim is: a printed equation, what is right, a derivation in steps, an independent check, a planted slip."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sympy as sp

from derivations import keywords
from derivations.sources import Source, Verdict

__all__ = ["Assumption", "Claim", "Comparison", "Example", "Slip", "Source", "Step", "Verdict"]


@dataclasses.dataclass(frozen=True)
class Assumption:
    """What a claim needs to hold.

    Attributes:
        words: a sentence.
        condition: the same as a relation or a predicate of ``sympy.Q`` in the claim's symbols, where it is one of
            numbers, such as S ≤ N. The numbers that the claim's check puts into the formula must satisfy it.
    """

    words: str
    condition: Any = None


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


def _of_the_module(formula: Any) -> Any:
    raise NotImplementedError("stands for the function of this name in the claim's module")


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim of a source, with everything needed to check it and to show it.

    Attributes:
        module: ``__name__`` of the file; the claim's name is its last part. ``steps``, ``check`` and ``says`` are by
            default the functions of these names in it.
        title: what it says, in a few words.
        sources: where it is printed.
        verdict: see ``Verdict``.
        summary: one to three sentences: what holds, when, and what is wrong if anything.
        printed: the equation as the source has it (its symbols translated where they clash).
        corrected: the right equation; None where the printed one is right.
        assumptions: under which it holds.
        formula: the right result, an expression or a matrix in ``arguments``; callers lambdify it.
        arguments: the symbols of the formula, in the order of the lambdified function.
        slip: a mutated formula that must fail both checks.
        order: for "holds to order": the error, such as "η²".
        printed_formula: for "wrong as printed": the printed result in the form of ``formula``, if it has one; it
            must fail both checks too.
        example: for "wrong as printed": a number that shows the difference.
        steps: formula ↦ the derivation; at least one step has the formula in it.
        check: formula ↦ the independent check. Where it takes long, let it yield: a slip takes it to the first failure.
        says: formula ↦ what the summary says in words, each phrase tied to a comparison that would fail if it were
            false (see ``derivations.prose``).
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
    slip: Slip
    corrected: sp.Basic | None = None
    order: str = ""
    printed_formula: Any = None
    example: Example | None = None
    steps: Callable[[Any], Sequence[Step]] = _of_the_module
    check: Callable[[Any], Iterable[Comparison]] = _of_the_module
    says: Callable[[Any], Sequence[Comparison]] = _of_the_module

    def __post_init__(self) -> None:
        for part in ("steps", "check", "says"):
            if getattr(self, part) is _of_the_module:
                object.__setattr__(self, part, getattr(sys.modules[self.module], part))
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

    @property
    def keywords(self) -> dict[str, sp.Basic]:
        """Keyword → argument: the symbol's name in letters of Python, λ is ``lam``."""
        return {keywords.keyword(argument): argument for argument in self.arguments}

    def function(self, modules: str = "numpy") -> Callable:
        """The formula as a function of ``arguments``, in their order or by their ``keywords``.

        Args:
            modules: "numpy", "jax" or what else ``sympy.lambdify`` takes.
        """
        named = {argument: keywords.renamed(argument) for argument in self.arguments}
        return sp.lambdify(list(named.values()), self.formula.xreplace(named), modules, cse=True)

    def __call__(self, **numbers: Any) -> Any:
        """The formula at numbers or arrays: ``claim("heavy-ball-variance")(eta=0.1, S=1, lam=1, c=1, m=0)``.

        Args:
            **numbers: one for each of ``keywords``.

        Raises:
            TypeError: a keyword is unknown or missing.
        """
        keywords.check(self.name, self.keywords, numbers)
        return self.function("numpy")(**numbers)

    def _repr_latex_(self) -> str:
        """The right equation, for notebooks."""
        from derivations import latex

        return latex.notebook(self)
