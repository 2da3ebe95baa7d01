"""Where an equation is printed, and what became of it. Without sympy, so that claims are listed at once."""

import dataclasses
import enum


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
