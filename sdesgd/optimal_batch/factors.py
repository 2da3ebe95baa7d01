"""The three factors that B_opt may grow with: η, N and 1/(1−m), with their names, symbols, exponents and axes."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from sdesgd.errors import require_known
from sdesgd.types import RealScalarLike


@dataclasses.dataclass(frozen=True)
class Factor:
    """One of η, N and m.

    Attributes:
        option: name of the column and of arguments.
        symbol: of the quantity itself.
        exponent: name of its slope in the power law B_opt ∝ η^α N^β (1−m)^−γ.
        letter: of the slope.
        label: of an axis that shows ``transform`` of it.
        transform: the quantity whose power B_opt follows: η, N, 1/(1−m).
        inverse: of the transform.
    """

    option: str
    symbol: str
    exponent: str
    letter: str
    label: str
    transform: Callable[[Any], Any]
    inverse: Callable[[Any], Any]

    @property
    def grows(self) -> str:
        """What the power is of, in symbols."""
        return self.label.split()[-1]

    def log(self, value: RealScalarLike) -> float:
        """log of the transform, exact for m near 0."""
        return -math.log1p(-value) if self.symbol == "m" else math.log(value)


def _same(value: Any) -> Any:
    return value


RATE = Factor("learning_rate", "η", "alpha", "α", "learning rate η", _same, _same)
EXAMPLES = Factor("num_examples", "N", "beta", "β", "training examples N", _same, _same)
MOMENTUM = Factor("momentum", "m", "gamma", "γ", "1/(1−m)", lambda m: 1 / (1 - m), lambda x: 1 - 1 / x)
FACTORS = (RATE, EXAMPLES, MOMENTUM)


def factor(option: str) -> Factor:
    """The factor of this name.

    Raises:
        InputError: another name (the nearest is told).
    """
    known = {one.option: one for one in FACTORS}
    return known[require_known("factor", option, known)]
