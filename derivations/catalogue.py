"""The claims by name, title, source and topic, read from their files and not run: no sympy, a fraction of a second."""

import ast
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import derivations
from derivations.sources import Source, Verdict

_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
# Folder of claims → its topic.
TOPICS = {
    "lecture": "The lecture",
    "thesis": "The thesis",
    "dynamics": "SGD and its equations",
    "stationary": "Stationary laws",
    "basins": "Basins",
    "sharpness": "Sharpness",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the list says of a claim.

    Attributes:
        name: on the command line.
        title: what it says, in a few words.
        sources: where it is printed.
        verdict: what became of the printed equation.
        topic: of its folder.
        words: the docstring of its file.
    """

    name: str
    title: str
    sources: tuple[Source, ...]
    verdict: Verdict
    topic: str
    words: str

    def mentions(self, word: str) -> bool:
        """Whether the word is part of the name, the title, a source, the topic, the verdict or the docstring."""
        sources = " ".join(map(str, self.sources))
        text = " ".join((self.name, self.title, sources, self.topic, self.verdict, self.words))
        return word.casefold() in text.casefold()


def search(words: Sequence[str]) -> list[Entry]:
    """The claims that mention every word, in the order of the tables; without a word, all."""
    return [e for e in map(entry, derivations.modules()) if all(map(e.mentions, words))]


def entry(name: str) -> Entry:
    """What the file of a claim says of it.

    Raises:
        ValueError: it has no ``CLAIM = Claim(…)`` at its top level whose title, sources and verdict are written out.
    """
    chapter, module = derivations.modules()[name].split(".")[1:]
    file = Path(derivations.__file__).parent / chapter / f"{module}.py"
    text = file.read_text(encoding="utf-8")
    words = _DOCSTRING.match(text)
    try:
        told = {k.arg: k.value for k in _claim(text).keywords}
        sources = tuple(_source(call) for call in ast.iter_child_nodes(told["sources"]) if isinstance(call, ast.Call))
        verdict = ast.unparse(told["verdict"]).removeprefix("Verdict.")
        title = ast.literal_eval(told["title"])
        return Entry(name, title, sources, Verdict[verdict], TOPICS[chapter], words[1] if words else "")
    except (KeyError, StopIteration, SyntaxError, ValueError):
        raise ValueError(
            f"{file} can't be listed: write CLAIM = Claim(…) at its top level, with title, sources and verdict in place"
        ) from None


def _claim(text: str) -> ast.Call:
    """The call in CLAIM = Claim(…); what stands before it isn't parsed, which takes most of the time."""
    after = f"\n{text}".partition("\nCLAIM = ")[2]
    return next(node for node in ast.walk(ast.parse(after)) if isinstance(node, ast.Call))


def _source(call: ast.Call) -> Source:
    given = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg is not None}
    return Source(*map(ast.literal_eval, call.args), **given)
