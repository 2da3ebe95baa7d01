"""What tables and pages need of a verified claim, in plain words and numbers."""

import dataclasses
from typing import Any

import sympy as sp


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One claim's outcome.

    Attributes:
        example: (words, printed, right) of an erratum.
        exact, independent: whether all steps, all comparisons hold.
        caught: whether both checks see every slip.
        failure: which don't, or the exception.
        printed_mathml, corrected_mathml, page: for the HTML, if asked for.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    anchors: tuple[str, ...]
    verdict: str
    order: str
    summary: str
    printed: str
    corrected: str
    assumptions: tuple[str, ...]
    example: tuple[str, str, str] | None
    exact: bool
    independent: bool
    caught: bool
    failure: str
    seconds: float
    printed_mathml: str = ""
    corrected_mathml: str = ""
    page: str = ""

    @property
    def passed(self) -> bool:
        """Whether both checks hold, and see every slip."""
        return self.exact and self.independent and self.caught

    @property
    def verdict_in_words(self) -> str:
        """The verdict, with the order where there is one."""
        return f"{self.verdict} {self.order}".strip()

    def as_json(self) -> dict[str, Any]:
        """The object of ``--json``."""
        return {
            "name": self.name,
            "title": self.title,
            "source": list(self.sources),
            "verdict": self.verdict_in_words,
            "summary": self.summary,
            "printed": self.printed,
            "corrected": self.corrected or None,
            "assumptions": list(self.assumptions),
            "example": self.example and dict(zip(("what", "printed", "right"), self.example, strict=True)),
            "checks": {
                "exact": self.exact,
                "independent": self.independent,
                "slip caught": self.caught,
                "failure": self.failure or None,
            },
            "seconds": round(self.seconds, 3),
        }


def in_digits(value: Any) -> str:
    """A number in four digits, integers as they are, matrices row by row."""
    value = sp.sympify(value)
    if isinstance(value, sp.MatrixBase):
        return "[" + "; ".join(", ".join(in_digits(x) for x in row) for row in value.tolist()) + "]"
    if value.is_Integer or not value.is_number:
        return str(value)
    return f"{float(value):.4g}"


def in_line(expression: Any) -> str:
    """An expression in one line, equations as left = right."""
    if isinstance(expression, sp.Equality):
        return f"{expression.lhs} = {expression.rhs}"
    return str(expression)
