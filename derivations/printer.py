"""sympy's MathML printer with the field's notation: accents, upright names, fractions, brackets where they matter."""

from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.conventions import requires_partial
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.simplify.radsimp import fraction

# Characters of a sum that may stand in a numerator.
_SHORT = 40
_ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "dot": "˙"}
_NAMES = {"ell": "ℓ", "hbar": "ℏ", "varepsilon": "ε", "varphi": "φ"}
_FUNCTIONS = {"log": "ln", "E": "𝔼", "Trace": "Tr", "Determinant": "det", "DiracDelta": "δ", "KroneckerDelta": "δ"}


class Printer(MathMLPresentationPrinter):
    """Accents, upright names, exponentials in the numerator, predicates in words."""

    def _node(self, tag: str, *children: Any, text: str = ""):
        node = self.dom.createElement(tag)
        if text:
            node.appendChild(self.dom.createTextNode(text))
        for child in children:
            node.appendChild(child)
        return node

    def _space(self, width: str):
        node = self._node("mspace")
        node.setAttribute("width", width)
        return node

    def _bracketed(self, *inside: Any):
        opening, closing = self._node("mo", text="("), self._node("mo", text=")")
        return self._node("mrow", opening, *inside, closing)

    def _print_Symbol(self, sym: Any, style: str = "plain"):
        base, underscore, rest = sym.name.partition("_")
        core = base.rstrip("'")
        primes = "′" * (len(base) - len(core))
        accent = next((a for a in _ACCENTS if core.endswith(a) and core != a), "")
        if not primes and not accent and core not in _NAMES:
            return super()._print_Symbol(sym, style)
        letter = core.removesuffix(accent)
        if letter in _NAMES:
            shown = self._node("mi", text=_NAMES[letter])
        else:
            shown = super()._print_Symbol(sp.Symbol(letter), style)
        if accent:
            shown = self._node("mover", shown, self._node("mo", text=_ACCENTS[accent]))
            shown.setAttribute("accent", "true")
        upper = [self._node("mo", text=primes)] if primes else []
        lower = [self._print(sp.Symbol(rest))] if underscore else []
        tag = {(0, 0): "", (1, 0): "msub", (0, 1): "msup", (1, 1): "msubsup"}[len(lower), len(upper)]
        return self._node(tag, shown, *lower, *upper) if tag else shown

    def _print_Dummy(self, sym: Any):
        return self._print_Symbol(sp.Symbol(sym.name))

    def _print_Function(self, e: Any):
        name = e.func.__name__
        arguments = self._paren_comma_separated(*e.args)
        symbol = self._print_Symbol(sp.Symbol(name)) if isinstance(e, AppliedUndef) and name not in _FUNCTIONS else None
        head = symbol or self._node("mi", text=str(_FUNCTIONS.get(name, name)))
        return self._node("mrow", head, arguments)

    def _print_log(self, e: Any):
        return self._print_Function(e)

    def _print_DiracDelta(self, e: Any):
        return self._print_Function(e)

    def _print_Trace(self, e: Any):
        return self._node("mrow", self._node("mi", text="Tr"), self._bracketed(self._print(e.args[0])))

    def _print_Determinant(self, e: Any):
        return self._node("mrow", self._node("mi", text="det"), self._bracketed(self._print(e.args[0])))

    def _print_exp(self, expr: Any):
        (exponent,) = expr.args
        if fraction(sp.together(exponent, deep=False))[1] == 1 and not exponent.has(sp.Integral, sp.Sum):
            return super()._print_exp(expr)
        return self._node("mrow", self._node("mi", text="exp"), self._bracketed(self._print(exponent)))

    def _print_Mul(self, expr: Any):
        if expr.could_extract_minus_sign() and expr == expr.func(*expr.args):
            return self._node("mrow", self._node("mo", text="−"), self._product(-expr))
        return self._product(expr)

    def _product(self, expr: Any):
        """Numbers and powers as one fraction, long sums in brackets behind it; exponentials with a minus on top."""
        if not isinstance(expr, sp.Mul):
            return self.parenthesize(expr, PRECEDENCE["Mul"])
        if expr.is_commutative is False:
            return super()._print_Mul(expr)
        if expr != expr.func(*expr.args):  # built unevaluated: as it was written
            return self._as_written(expr.args)
        numerator, denominator = fraction(expr, exact=True)
        factors = list(sp.Mul.make_args(numerator))
        sums = [f for f in factors if isinstance(f, sp.Add)]
        large = [f for f in factors if isinstance(f, sp.Sum | sp.Integral | sp.Limit)]
        plain = [f for f in factors if f not in sums and f not in large and f != 1]
        parts = []
        if denominator != 1:
            if len(str(numerator)) <= _SHORT and not large:
                plain, sums = plain + sums, []
            top = self._row(plain) if plain else self._node("mn", text="1")
            parts.append(self._node("mfrac", top, self._print(denominator)))
        elif plain:
            parts.append(self._row(plain))
        parts += [self._bracketed(self._print(f)) for f in sums + large[:-1]]
        parts += [self._print(f) for f in large[-1:]]
        return parts[0] if len(parts) == 1 else self._node("mrow", *parts)

    def _as_written(self, factors: Any):
        nodes = []
        for position, factor in enumerate(factors):
            inner: Any = factor.args[0] if isinstance(factor, sp.UnevaluatedExpr) else factor
            if nodes:
                number = inner.is_number or inner.as_coeff_Mul()[0] != 1
                nodes.append(self._node("mo", text="·") if number else self._space("0.17em"))
            open_ended = isinstance(inner, sp.Sum | sp.Integral | sp.Limit | sp.Derivative) and factor != factors[-1]
            minus = position > 0 and inner.could_extract_minus_sign()
            bracketed = isinstance(inner, sp.Add | sp.MatAdd) or open_ended or minus
            nodes.append(self._bracketed(self._print(inner)) if bracketed else self._print(inner))
        return self._node("mrow", *nodes)

    def _print_Add(self, expr: Any, order: Any = None):
        """A positive term first, a number if there is one; a sum that was built unevaluated as it was written."""
        if expr != expr.func(*expr.args):
            terms = list(expr.args)
        else:
            terms = list(self._as_ordered_terms(expr, order=order))
            positive = [t for t in terms if not t.could_extract_minus_sign()]
            first = next((t for t in positive if t.is_number), next(iter(positive), terms[0]))
            terms.remove(first)
            terms.insert(0, first)
        nodes = []
        for term in terms:
            inner: Any = term.args[0] if isinstance(term, sp.UnevaluatedExpr) else term
            minus = not isinstance(inner, sp.Add) and inner.could_extract_minus_sign()
            if nodes or minus:
                nodes.append(self._node("mo", text="−" if minus else "+"))
            printed = self._negated(inner) if minus else self._print(inner)
            nodes.append(self._bracketed(printed) if isinstance(inner, sp.Add) else printed)
        return self._node("mrow", *nodes)

    def _negated(self, term: Any):
        """What stands behind a minus."""
        if isinstance(term, sp.Mul) and term != term.func(*term.args) and term.args[0] == -1:
            return self._as_written(term.args[1:])
        opposite = -term
        return self._bracketed(self._print(opposite)) if isinstance(opposite, sp.Add) else self._print(opposite)

    def _print_MatAdd(self, expr: Any):
        nodes = []
        for term in sorted(expr.args, key=lambda t: t.could_extract_minus_sign()):
            minus = term.could_extract_minus_sign()
            if nodes or minus:
                nodes.append(self._node("mo", text="−" if minus else "+"))
            nodes.append(self._print(-term if minus else term))
        return self._node("mrow", *nodes)

    def _print_MatMul(self, expr: Any):
        coefficient, matrices = expr.as_coeff_matrices()
        nodes = []
        if coefficient.could_extract_minus_sign():
            nodes.append(self._node("mo", text="−"))
            coefficient = -coefficient
        if coefficient != 1:
            printed = self._print(coefficient)
            nodes.append(self._bracketed(printed) if isinstance(coefficient, sp.Add) else printed)
        for matrix in matrices:
            printed = self._print(matrix)
            nodes.append(self._bracketed(printed) if isinstance(matrix, sp.MatAdd) else printed)
        return self._node("mrow", *nodes)

    def _print_Identity(self, e: Any):
        return self._node("mi", text="I")

    def _print_Derivative(self, e: Any):
        """∂ⁿ/∂xⁿ, and brackets round a sum, a product that would be torn, a minus."""
        d, total, below = "∂" if requires_partial(e.expr) else "d", 0, []
        for variable, count in e.variable_count:
            total += count
            power = (
                self._node("msup", self._print(variable), self._print(count)) if count != 1 else self._print(variable)
            )
            below += [self._node("mi", text=d), power]
        above = self._node("mi", text=d)
        if total != 1:
            above = self._node("msup", above, self._print(sp.sympify(total)))
        plain = isinstance(e.expr, sp.Function | sp.Symbol | sp.Subs) and not isinstance(e.expr, sp.log)
        body = self._print(e.expr) if plain else self._bracketed(self._print(e.expr))
        return self._node("mrow", self._node("mfrac", above, self._node("mrow", *below)), body)

    def _print_Integral(self, expr: Any):
        """Signs from the outermost in, differentials from the innermost out."""
        nodes = []
        for _, *limits in reversed(expr.limits):
            sign = self._node("mo", text="∫")
            if len(limits) == 2:
                # A space keeps the upper limit off the sign.
                upper = self._node("mrow", self._space("0.25em"), self._print(limits[1]))
                sign = self._node("msubsup", sign, self._print(limits[0]), upper)
            nodes.append(sign)
        body = self._print(expr.function)
        nodes.append(self._bracketed(body) if isinstance(expr.function, sp.Add) else body)
        for variable, *_ in expr.limits:
            nodes += [self._space("0.17em"), self._node("mi", text="d"), self._print(variable)]
        return self._node("mrow", *nodes)

    def _print_Limit(self, e: Any):
        function, variable, point, _ = e.args
        towards = self._node("mrow", self._print(variable), self._node("mo", text="→"), self._print(point))
        body = self._print(function)
        body = self._bracketed(body) if isinstance(function, sp.Add) else body
        return self._node("mrow", self._node("munder", self._node("mo", text="lim"), towards), body)

    def _print_Sum(self, e: Any):
        return self._with_limits("∑", e)

    def _print_Product(self, e: Any):
        return self._with_limits("∏", e)

    def _with_limits(self, sign: str, e: Any):
        nodes = []
        for variable, low, high in reversed(e.limits):
            start = self._node("mrow", self._print(variable), self._node("mo", text="="), self._print(low))
            nodes.append(self._node("munderover", self._node("mo", text=sign), start, self._print(high)))
        body = self._print(e.function)
        torn = isinstance(e.function, sp.Add) or e.function.could_extract_minus_sign()
        nodes.append(self._bracketed(body) if torn else body)
        return self._node("mrow", *nodes)

    def _print_Indexed(self, e: Any):
        return self._node("msub", self._print(e.base), self._node("mrow", *(self._print(i) for i in e.indices)))

    def _row(self, factors: list):
        if len(factors) == 1:
            return self._print(factors[0])
        product: Any = sp.Mul._from_args(factors)
        nodes = []
        for factor in product.as_ordered_factors():
            if nodes:
                nodes.append(self._node("mo", text="&InvisibleTimes;"))
            nodes.append(self.parenthesize(factor, PRECEDENCE["Mul"]))
        return self._node("mrow", *nodes)

    def _print_UnevaluatedExpr(self, e: Any):
        return self._print(e.args[0])

    def _print_Subs(self, e: Any):
        body, variables, points = e.args
        equations = []
        for variable, point in zip(variables, points, strict=True):
            comma = [self._node("mo", text=",")] if equations else []
            equations += [*comma, self._print(variable), self._node("mo", text="="), self._print(point)]
        bar = self._node("msub", self._node("mo", text="|"), self._node("mrow", *equations))
        shown = self._print(body)
        return self._node("mrow", self._bracketed(shown) if isinstance(body, sp.Add) else shown, bar)

    def _print_AppliedPredicate(self, e: Any):
        words = str(e.function.name).replace("_", " ")
        arguments = [self._print(a) for a in e.arguments]
        return self._node("mrow", *arguments, self._node("mtext", text=f" is {words}"))
