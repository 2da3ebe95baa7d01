"""Reads a formula as prose prints it, such as −η³κ₃φ‴/(6S²), and evaluates it at numbers.

What stands together without a space is multiplied first, so that η/4S is η/(4S); then / and products with a space
between the factors, from left to right: (η/S) C/λ is ((η/S)C)/λ.
"""

import re
from collections.abc import Mapping
from typing import Any

import sympy as sp

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵏ", "0123456789+−nk")
_CONSTANTS: dict[str, Any] = {"π": sp.pi, "e": sp.E, "½": sp.Rational(1, 2), "¼": sp.Rational(1, 4)}
_FUNCTIONS = {"exp": sp.exp, "ln": sp.log, "log": sp.log}
_ROOTS = {"√": 2, "∛": 3}
_CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|"}
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[-−]?\d+)?")
_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵏ]+")
_OPERATORS = "+−-·×/^!()[]{}|√∛"


def value(text: str, at: Mapping[str, Any] | None = None) -> Any:
    """The value of a printed formula, a sympy number.

    Args:
        text: the formula; all of it is read.
        at: what each name stands for. A name may be any string of the text, such as "det H" or "Σ ln λ_i".

    Raises:
        ValueError: a part of the text is no formula of these names.
    """
    parser = _Parser(text, {name: sp.sympify(number) for name, number in (at or {}).items()})
    found = parser.sum()
    if parser.position < len(parser.tokens):
        raise ValueError(f"{text!r} can't be read from {parser.tokens[parser.position][1]!r} on")
    return found


def number(text: str) -> Any:
    """A printed number as a rational, such as 2.8e-03."""
    return sp.Rational(text.replace("−", "-").replace(",", ""))


class _Parser:
    """Recursive descent over tokens (kind, text or value, whether a space stands before it)."""

    def __init__(self, text: str, names: Mapping[str, Any]) -> None:
        self.text = text
        self.names = names
        self.tokens: list[tuple[str, Any, bool]] = []
        self.position = 0
        longest_first = sorted({**_CONSTANTS, **names}, key=len, reverse=True)
        place = 0
        while place < len(text):
            start = place
            while place < len(text) and text[place].isspace():
                place += 1
            rest = text[place:]
            if not rest:
                break
            kind, token = self._token(rest, longest_first)
            self.tokens.append((kind, token, place > start))
            place += len(token)

    def _token(self, rest: str, names: list[str]) -> tuple[str, str]:
        for function in _FUNCTIONS:  # before the number e, which exp begins with
            if rest.startswith(function):
                return "function", function
        for name in names:
            if rest.startswith(name):
                return "name", name
        if found := _NUMBER.match(rest):
            return "number", found[0]
        if found := _SUPERSCRIPT.match(rest):
            return "superscript", found[0]
        if rest[0] in _OPERATORS:
            return "operator", rest[0]
        raise ValueError(f"{self.text!r} can't be read from {rest[:12]!r} on: what is it?")

    def sum(self, closing: str = "") -> Any:
        """Terms with + and −."""
        total = self._term(closing) if self._peek("+", "−", "-") is None else sp.S.Zero
        while (sign := self._peek("+", "−", "-")) is not None:
            self.position += 1
            term = self._term(closing)
            total = total + term if sign == "+" else total - term
        return total

    def _term(self, closing: str) -> Any:
        """Products and quotients, from left to right."""
        product = self._tight(closing)
        while True:
            sign = self._peek("/", "·", "×")
            if sign is not None:
                self.position += 1
                factor = self._tight(closing)
                product = product / factor if sign == "/" else product * factor
            elif self._starts_factor(closing):
                product = product * self._tight(closing)
            else:
                return product

    def _tight(self, closing: str) -> Any:
        """Factors with no space between them."""
        product = self._power(closing)
        while self._starts_factor(closing) and not self.tokens[self.position][2]:
            product = product * self._power(closing)
        return product

    def _power(self, closing: str) -> Any:
        root = self._peek(*_ROOTS)
        if root is not None:
            self.position += 1
            return sp.root(self._power(closing), _ROOTS[root])
        base = self._primary()
        while self.position < len(self.tokens):
            kind, token, spaced = self.tokens[self.position]
            if kind == "superscript" and not spaced:
                self.position += 1
                base = base ** value(token.translate(_RAISED), self.names)
            elif token == "^":
                self.position += 1
                negative = self._peek("−", "-") is not None
                self.position += negative
                exponent = self._primary()
                base = base ** (-exponent if negative else exponent)
            elif token == "!":
                self.position += 1
                base = sp.factorial(base)
            else:
                break
        return base

    def _primary(self) -> Any:
        if self.position >= len(self.tokens):
            raise ValueError(f"{self.text!r} ends where a number, a name or a bracket is missing")
        kind, token, _ = self.tokens[self.position]
        self.position += 1
        if kind == "number":
            return number(token)
        if kind == "name":
            return self.names[token] if token in self.names else _CONSTANTS[token]
        if kind == "function":
            return _FUNCTIONS[token](self._primary())
        if token in _CLOSING:
            inside = self.sum(_CLOSING[token])
            if self._peek(_CLOSING[token]) is None:
                raise ValueError(f"{self.text!r} has a {token} that isn't closed")
            self.position += 1
            return sp.Abs(inside) if token == "|" else inside
        raise ValueError(f"{self.text!r} has a {token!r} where a number, a name or a bracket is missing")

    def _starts_factor(self, closing: str) -> bool:
        if self.position >= len(self.tokens):
            return False
        kind, token, _ = self.tokens[self.position]
        return kind in ("number", "name", "function") or (token != closing and (token in _CLOSING or token in _ROOTS))

    def _peek(self, *operators: str) -> str | None:
        """The next token, if it is one of these operators."""
        if self.position < len(self.tokens):
            kind, token, _ = self.tokens[self.position]
            if kind == "operator" and token in operators:
                return token
        return None
