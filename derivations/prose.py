"""Ties what a summary says in words to a comparison that would fail if it were false.

The number compared is read from the phrase itself: a formula is evaluated as it is printed, "falls" is −1, "O(η²)" is
the exponent 2, "never" is no case of all that were tried. Who changes the sentence changes what is compared.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sympy as sp

from derivations import notation
from derivations.parts import Comparison

_UP = """large grow grows growing increases rise rises raises larger largest higher more exceeds wider heavier adds
gained gains spreads slower longer steeper sharper favours warmer better"""
_DOWN = """small fall falls falling decreases smaller lower lowers less fewer narrower flatter shorter weakens takes
below short worse"""
# Word → the sign of the change from the first value to the next.
DIRECTIONS = {word: 1 for word in _UP.split()} | {word: -1 for word in _DOWN.split()}
NEGATIONS = {"no", "not", "never", "none", "nor", "neither", "cannot", "nothing"}
NUMBERS = {
    **{"no": 0, "none": 0, "nothing": 0, "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "eight": 8},
    **{
        "twice": 2,
        "half": sp.Rational(1, 2),
        "double": 2,
        "a quarter": sp.Rational(1, 4),
        "an eighth": sp.Rational(1, 8),
    },
}
_DECIMAL = re.compile(r"[−-]?\d+(?:\.(\d+))?(?:e[-−+]?\d+)?")
_NAME = re.compile(r"[^\W\d_¹²³⁰⁴-⁹ⁿ][₀-₉]*")
_WORD = re.compile(r"[\w′″‴’']+")


@dataclasses.dataclass(frozen=True)
class Says(Comparison):
    """A comparison of what a phrase of the summary says with what is found.

    Attributes:
        says: the phrase, as it stands in the summary.
        read: phrase ↦ the number that it states, so that another wording can be compared in its place.
    """

    says: str = ""
    read: Callable[[str], Any] = lambda phrase: sp.nan

    @property
    def heading(self) -> str:
        """The phrase, and how it is checked."""
        return f"“{self.says}”: {self.words}"

    @property
    def agreement(self) -> str:
        """How the two agree."""
        return "as found"

    def reworded(self, phrase: str) -> "Says":
        """The same comparison for another wording."""
        return dataclasses.replace(self, says=phrase, derived=self.read(phrase))


def figure(
    says: str, found: Any, how: str, at: Mapping[str, Any] | None = None, *, text: str = "", tolerance: Any = None
) -> Says:
    """A number or a formula: the printed one, evaluated, beside the one found.

    Args:
        says: the phrase.
        found: the number, found without the phrase.
        how: what is compared and how the number was found.
        at: what the names in the formula stand for.
        text: the part of the phrase that is the figure; by default all of it.
        tolerance: by default half a unit of the last digit of a decimal number, else 0 for rationals.
    """
    part = text or says

    def read(phrase: str) -> Any:
        words = _part(phrase, says, part)
        return sp.sympify(NUMBERS[words]) if words in NUMBERS else notation.value(words, at)

    stated, found = read(says), sp.sympify(found)
    if tolerance is None:
        decimal = _DECIMAL.fullmatch(part)
        if decimal and "." in part:
            power = part.partition("e")[2].replace("−", "-")
            tolerance = sp.Rational(f"{'0.' + '0' * len(decimal[1] or '')}5e{power or 0}")
        else:
            exact = bool(stated.is_Rational) and bool(found.is_Rational)
            tolerance = sp.S.Zero if exact else sp.Float("1e-12") * (abs(stated.evalf()) or 1)
    return Says(how, stated, found, tolerance, says, read)


def formula(
    says: str, derived: Any, names: Mapping[str, Any], *, text: str = "", at: Mapping[Any, Any] | None = None
) -> Says:
    """A formula beside the one that is derived and checked, at numbers without any relation.

    Args:
        says: the phrase.
        derived: the formula, or what follows from it.
        names: each name in the text ↦ the symbol or expression that it stands for.
        text: the part of the phrase that is the formula; by default all of it.
        at: numbers for some of the symbols.
    """
    derived = sp.sympify(derived)
    symbols = set(derived.free_symbols).union(*(sp.sympify(e).free_symbols for e in names.values()))
    numbers = {**generic_numbers(symbols), **(at or {})}
    values = {name: sp.sympify(e).subs(numbers) for name, e in names.items()}
    shown = ", ".join(f"{name} = {v}" for name, v in values.items() if v.is_Rational and name in (text or says))
    how = f"as derived, at {shown}" if shown else "as derived"
    found = derived.subs(numbers).doit()
    if not found.is_Rational:  # exact powers of such fractions have thousands of digits
        values = {name: sp.N(v, 40) if v.is_Rational and not v.is_Integer else v for name, v in values.items()}
    return figure(says, found, how, values, text=text)


def direction(says: str, values: Sequence[Any], how: str, *, word: str = "") -> Says:
    """A direction: the one word of the phrase that has one, beside the sign of every change from value to value.

    Args:
        says: the phrase.
        values: of the quantity that it is about, in the order in which it is said to grow or to fall; for "less than",
            that which it is less than comes first. Or several such sequences.
        how: what the values are and how they were found.
        word: the word, if the phrase has more than one.
    """
    part = word or says
    rows = values if isinstance(values[0], list | tuple) else [values]
    pairs = [pair for row in rows for pair in itertools.pairwise(row)]
    changes = [sp.sign(sp.N(sp.sympify(b) - sp.sympify(a), 30)) for a, b in pairs]

    def read(phrase: str) -> list:
        signs = [DIRECTIONS[w] for w in _words(_part(phrase, says, part)) if w in DIRECTIONS]
        if len(signs) != 1:
            raise ValueError(f"{phrase!r} has {len(signs)} words of direction: name the one that is meant")
        return [sp.Integer(signs[0])] * len(changes)

    return Says(how, read(says), changes, sp.S.Zero, says, read)


def order(says: str, errors: Mapping[Any, Any], of: str, how: str, *, text: str = "", tolerance: float = 0.25) -> Says:
    """An order such as O(η²): its exponent beside the slope between the errors at two small values.

    Args:
        says: the phrase.
        errors: value of the small quantity ↦ the error there; the first and the last are used.
        of: the name of the small quantity in the text.
        how: what the errors are and how they were found.
        text: the part of the phrase that is the order; by default the first O(…) in it, else all of it.
        tolerance: on the exponent.
    """
    part = text or _order_in(says)

    def read(phrase: str) -> Any:
        printed = _part(phrase, says, part)
        printed = printed[2:-1] if printed.startswith("O(") else printed
        others = {name: 1 for name in set(_NAME.findall(printed)) - {"e"}}
        return sp.log(notation.value(printed, {**others, of: 2}), 2)

    (first, one), *_, (last, other) = errors.items()
    slope = sp.log(sp.Abs(sp.N(one / other))) / sp.log(sp.N(first / last))
    return Says(how, read(says), slope.evalf(8), tolerance, says, read)


def cases(says: str, truths: Iterable[Any], how: str) -> Says:
    """What holds in every case, or in none: the phrase with or without a negation beside each case that was tried.

    Args:
        says: the phrase; an odd number of negations says that it holds in none of the cases.
        truths: whether what is said, without its negations, holds in each case.
        how: which cases, and how it was found.
    """

    truths = list(truths)

    def read(phrase: str) -> list:
        negated = sum(w in NEGATIONS or w.endswith(("n't", "n’t")) for w in _words(phrase)) % 2
        return [sp.Integer(1 - negated)] * len(truths)

    return Says(how, read(says), [sp.Integer(bool(t)) for t in truths], sp.S.Zero, says, read)


def _order_in(phrase: str) -> str:
    """The first O(…) of a phrase, with its own closing bracket; all of the phrase if there is none."""
    start, depth = phrase.find("O("), 0
    for place in range(start + 1, len(phrase) if start >= 0 else 0):
        depth += {"(": 1, ")": -1}.get(phrase[place], 0)
        if depth == 0:
            return phrase[start : place + 1]
    return phrase


def _part(phrase: str, says: str, part: str) -> str:
    """What stands in the phrase where the part stands in what was said."""
    before, found, after = says.partition(part)
    if not found:
        raise ValueError(f"{part!r} isn't part of {says!r}")
    if not (phrase.startswith(before) and phrase.endswith(after)):
        raise ValueError(f"{phrase!r} differs from {says!r} in more than {part!r}")
    return phrase[len(before) : len(phrase) - len(after)]


def _words(phrase: str) -> list[str]:
    return [w.lower() for w in _WORD.findall(phrase)]


def generic_numbers(symbols: set) -> dict:
    """Numbers without any relation: S < N, everything else between 0 and 1."""
    numbers: dict = {}
    fractions = (sp.Rational(sp.prime(n), sp.prime(n + 9)) for n in itertools.count(2))
    whole = itertools.chain((2, 5, 4, 6), itertools.count(8))
    for symbol in sorted(symbols, key=str):
        if symbol.is_integer:
            numbers[symbol] = sp.Integer({"N": 7, "S": 3}.get(str(symbol)) or next(whole))
        else:
            numbers[symbol] = next(fractions)
    return numbers
