"""What a summary says in words is tied to a comparison that would fail if it were false."""

import contextlib
import dataclasses
import functools
import re
from collections.abc import Iterator

import pytest
import sympy as sp

import derivations
from derivations import prose
from derivations.basins import optimal_batch_size
from derivations.prose import Says
from derivations.verification import compare

NAMES = list(derivations.modules())
x = sp.Symbol("x", positive=True)
# Names of things, which state nothing: pattern → what it is.
NAMED = {
    r"\((?:\d+|[23]\.\d)\)(?:'s|’s)?": "the number of an equation",
    r"[Ff]igures? \d+\w?(?: and \d+\w?)?|[Ss]ections? \d(?:\.\d)?|Table 1": "a place in a source",
    r"1/\(?N(?:−1\))? form": "one of the two definitions of a covariance",
    r"100\(?x² \+ y[²⁸]\)?|100x²|x⁸|y⁸|c\|θ\|²|½\(f − y\)²|λ\|θ\|²/2|c₀ \+ c₁θ²": "a loss or a noise, by its formula",
    r"dX = −aX dt \+ sX dW|dX = a\(X\) dt \+ εb\(X\) dW": "the equation that is spoken of",
    r"order[- ][12]\b(?! in)|F₂|C₁|\bL2\b|2×2": "the name of an equation, a net or a shape",
    r"higher orders?|(?:of|at) equal depths?|diffusion factor": "what is left out, or named",
    r"the (?:larger|smaller) (?:batch|rate)\b": "one of two things that are compared",
    r"(?:\b(?:[Aa]t|[Ff]or|[Ii]f|[Ww]ith|[Uu]nless|[Ww]here|[Ww]hen|once|and|hence|over|time)|\() ?"
    r"\S+ (?:[=>≥<≤≠≫≪∈]|→) (?:[^\s,.;:)(]|\.\d|\([^()]*\))+": "a condition or a definition",
}
# What states a figure, an order, a direction or that something always holds.
TELLING = re.compile(
    r"O\([^)]*\)+"
    r"|[^\s,;:“”]*(?:\d|[√∝²³⁴⁵⁻½¼]|(?<=[\w)])/(?=[\w(√]))[^\s,;:“”]*"
    r"|(?<!\w)[+−]\w+"
    r"|\b(?:" + "|".join(w for w in prose.DIRECTIONS if w not in ("takes", "short", "adds", "large", "small")) + r"|"
    r"too (?:large|small)|twice|half|double|quarter|factor|times|bends?|straight|never|always|exact|exactly|every|any|"
    r"whatever|none|zero|vanish\w*|equals?|proportional|diverges?|order of magnitude|"
    r"(?:do|does)(?:n.t| not) depend)\b(?!-)"
)


# A digit or a sign → another one.
CHANGED = dict(zip("0123456789²³⁴+−", "1234567890³⁴²−+", strict=True))


@functools.cache
def ties(name: str) -> list[Says]:
    claim = derivations.claim(name)
    return list(claim.says(claim.formula))


def loose(summary: str, tied_to: list[Says]) -> list[str]:
    """What the summary states in words that no comparison is tied to, and ties to words that it doesn't have."""
    tied = [False] * len(summary)
    bad = []
    for says in tied_to:
        places = [m.span() for m in re.finditer(re.escape(says.says), summary)]
        bad += [] if places else [f"not in the summary: {says.says}"]
        for start, end in places:
            tied[start:end] = [True] * (end - start)
    blanked = summary
    for pattern in NAMED:
        blanked = re.sub(pattern, lambda m: "§" * len(m[0]), blanked)
    for found in TELLING.finditer(blanked):
        if not any(tied[found.start() : found.end()]):
            around = summary[max(0, found.start() - 30) : found.end() + 30]
            bad.append(f"nothing is tied to {found[0]!r} in: …{around}…")
    return bad


def opposites(says: Says) -> Iterator[Says]:
    """The opposite sign or answer, and half as much again."""
    stated = says.derived if isinstance(says.derived, list) else [says.derived]
    for values in ([v + 1 if v == 0 else -v for v in stated], [v + 1 if v == 0 else 1.5 * v for v in stated]):
        yield dataclasses.replace(says, derived=values if isinstance(says.derived, list) else values[0])


def misprints(says: Says) -> Iterator[Says]:
    """The phrase with one digit or sign changed, where it can still be read."""
    for place, letter in enumerate(says.says):
        if letter in CHANGED:
            with contextlib.suppress(ValueError, ZeroDivisionError):
                yield says.reworded(says.says[:place] + CHANGED[letter] + says.says[place + 1 :])


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_and_direction_of_a_summary_is_tied(name):
    assert not loose(derivations.claim(name).summary, ties(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_false_sentence_is_seen(name):
    for says in ties(name):
        assert compare(says).holds, says.says
        for false in opposites(says):
            assert not compare(false).holds, f"{says.says}: {says.derived} → {false.derived}"
        for false in misprints(says):
            if false.derived != says.derived:
                assert not compare(false).holds, f"{says.says} → {false.says}"


def test_the_wrong_sign_of_the_gaussian_step_is_seen():
    """The sentence had −: the formula is SGD's mean minus the Gaussian's, the sentence is about the replacement."""
    right = [says for says in ties("gaussian-step") if "+η³κ₃φ‴/(6S²)" in says.says]
    assert len(right) == 2
    for says in right:
        assert not compare(says.reworded(says.says.replace("+", "−"))).holds
    summary = derivations.claim("gaussian-step").summary.replace("+η³κ₃", "−η³κ₃")
    assert len(loose(summary, ties("gaussian-step"))) >= 2


def test_a_line_that_is_said_to_bend_and_is_straight_is_seen():
    """The sentence was: the lines of figures 10b and 11b bend as B nears N."""
    claim = derivations.claim("optimal-batch-size")
    at = dict(zip((str(a) for a in claim.arguments), claim.arguments, strict=True))
    values = {at["g_*"]: optimal_batch_size.BEST, at["m"]: 0}
    against_rate = [(r, claim.formula.subs(values).subs({at["N"]: 6, at["eta"]: r})) for r in (0.1, 0.2, 0.3)]
    against_number = [(n, optimal_batch_size.best(n, optimal_batch_size.BEST / 2)) for n in (3, 6, 9)]
    found = [optimal_batch_size.bends(places) for places in (against_rate, against_number)]
    assert not compare(prose.cases("the lines of figures 10b and 11b bend as B nears N", found, "")).holds
    (says,) = [says for says in ties("optimal-batch-size") if "figure 11b" in says.says]
    assert compare(says).holds
    assert not compare(says.reworded(says.says.replace("stays", "never stays"))).holds
    old = (
        "If accuracy peaks at a fixed noise scale g_*, batches drawn without replacement should have "
        "B = ηN/((1 − m)g_* + η) examples. B ∝ ηN/(1 − m) is too large by a relative B/N, so the lines of figures 10b "
        "and 11b bend as B nears N; drawn with replacement they are straight."
    )
    assert any("'bend'" in fault for fault in loose(old, ties("optimal-batch-size")))
    assert any("figure 11b" in fault for fault in loose(old, ties("optimal-batch-size")))


def test_a_tied_phrase_that_is_no_longer_in_the_summary_is_named():
    (fault,) = loose("It says nothing.", [prose.figure("exactly 2", 2, "", text="2")])
    assert fault == "not in the summary: exactly 2"


@pytest.mark.parametrize(
    ("says", "holds"),
    [
        (prose.figure("0.53", 0.5349, "found"), True),
        (prose.figure("0.53", 0.5351, "found"), False),
        (prose.figure("twice as large", 2, "found", text="twice"), True),
        (prose.figure("half as large", 2, "found", text="half"), False),
        (
            prose.figure(
                "is ηN/S", sp.Rational(1, 2), "found", {"η": sp.Rational(1, 10), "N": 10, "S": 2}, text="ηN/S"
            ),
            True,
        ),
        (
            prose.figure("is ηN", sp.Rational(1, 2), "found", {"η": sp.Rational(1, 10), "N": 10, "S": 2}, text="ηN"),
            False,
        ),
        (prose.formula("η²/2", x**2 / 2, {"η": x}), True),
        (prose.formula("η²/2", x**2 / 3, {"η": x}), False),
        (prose.formula("−η²/2", x**2 / 2, {"η": x}), False),
        (prose.direction("falls with S", [3, 2, 1], "found"), True),
        (prose.direction("falls with S", [3, 2, 2], "found"), False),
        (prose.direction("grows with S", [3, 2, 1], "found"), False),
        (prose.direction("the smaller S, the larger C", [1, 2], "found", word="larger"), True),
        (prose.direction("is wider", [[1, 2], [3, 2]], "found"), False),
        (prose.order("an error O(η²)", {0.1: 0.01, 0.05: 0.0025}, "η", "found"), True),
        (prose.order("an error O(η)", {0.1: 0.01, 0.05: 0.0025}, "η", "found"), False),
        (prose.order("an error O((η/N)²)", {0.1: 0.01, 0.05: 0.0025}, "η", "found"), True),
        (prose.order("falls as 1/√S", {4: 0.5, 16: 0.25}, "S", "found", text="1/√S"), True),
        (prose.cases("holds for every S", [True, True], "found"), True),
        (prose.cases("holds for every S", [True, False], "found"), False),
        (prose.cases("never holds", [False, False], "found"), True),
        (prose.cases("never holds", [False, True], "found"), False),
        (prose.cases("it doesn't never hold", [True], "found"), True),
    ],
)
def test_what_is_said_is_compared_with_what_is_found(says, holds):
    assert compare(says).holds is holds


def test_phrases_that_state_nothing_are_refused():
    with pytest.raises(ValueError, match="0 words of direction"):
        prose.direction("with S", [1, 2], "found")
    with pytest.raises(ValueError, match="2 words of direction"):
        prose.direction("the smaller S, the larger C", [1, 2], "found")
    with pytest.raises(ValueError, match="isn't part of"):
        prose.figure("is ηN", 1, "found", {"η": 1, "N": 1}, text="ηS")
    says = prose.figure("C is 2 here", 2, "found", text="2")
    with pytest.raises(ValueError, match="in more than '2'"):
        says.reworded("C was 2 here")
