"""Every number in the README's results is the one in the summary stored beside the figure.

A sentence stands in ``tests.readme.sentences`` with functions of the stored summary for its numbers; a result that
stands there nowhere is found by the digits it leaves over.
"""

import dataclasses
import json
import re
import shlex
from pathlib import Path

import pytest

from experiments.__main__ import EXPERIMENTS
from experiments._shared import figure_summaries
from sdesgd.errors import InputError
from tests.readme.sentences import NO_RESULTS, RESULTS, Sentence

TOP = Path(__file__).resolve().parents[2]
FIGURES = TOP / "experiments" / "figures"
README = (TOP / "README.md").read_text(encoding="utf-8")
SECTIONS = (
    "Two commands",
    "The nets of the literature",
    "How fast do the SDEs approach SGD?",
    "Where does SGD end up?",
    "What batch size?",
    "What to keep in mind",
)
_NUMBERS = (
    r"\d|[½⅓¼]|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twice|half|hundredth|tens|dozen)\b"
)
# Figures whose sentences are from an earlier run: their summaries are still to be stored.
NOT_STORED = {"batch_size_fashion"}
COMMANDS = re.findall(r"-m (experiments .* --figure .*)$", (TOP / "Makefile").read_text(encoding="utf-8"), flags=re.M)


def stored(name: str) -> dict:
    """The JSON beside a figure."""
    return json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))


def prose(readme: str) -> dict[str, str]:
    """The results sections' words, without code and pictures, each on one line."""
    found = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", readme, flags=re.M | re.S))
    cut = {
        name: re.sub(r"^```.*?^```|^    .*?$|!\[.*?\]\(.*?\)", "", found[name], flags=re.M | re.S) for name in SECTIONS
    }
    return {name: " ".join(re.sub(r"`[^`]*`", "``", text).split()) for name, text in cut.items()}


def has_number(words: str) -> bool:
    return re.search(_NUMBERS, words) is not None


def written(sentence: Sentence) -> str:
    """The sentence as the stored summary has it."""
    found = sentence.earlier if sentence.figure in NOT_STORED else sentence.values(stored(sentence.figure))
    text = sentence.text.format(**found)
    return " ".join(re.sub(r"`[^`]*`", "``", text).split())


def faults(readme: str) -> list[str]:
    """Sentences that the summaries have otherwise, and numbers that no sentence accounts for."""
    sections, found = prose(readme), []
    for text in [*map(written, RESULTS), *(" ".join(text.split()) for text in NO_RESULTS)]:
        where = [name for name, words in sections.items() if text in words]
        if not where:
            found.append(f"not in the README: {text}")
        for name in where:
            sections[name] = sections[name].replace(text, " … ")
    for name, words in sections.items():
        found += [f"{name}, numbers that nothing accounts for: {part}" for part in words.split("…") if has_number(part)]
    return found


def test_what_has_no_stored_summary_is_named():
    drawn = {Path(shlex.split(command)[-1]).stem for command in COMMANDS}
    assert {name for name in drawn if not (FIGURES / f"{name}.json").exists()} == NOT_STORED
    assert {sentence.figure for sentence in RESULTS if sentence.earlier} == NOT_STORED
    assert {sentence.figure for sentence in RESULTS} == drawn


def test_every_number_is_that_of_a_stored_summary():
    assert faults(README) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("69.6 ± 0.8 %", "69.7 ± 0.8 %"),
        ("step and +4.2 for", "step and −4.2 for"),
        ("**α = 0.92 [0.86, 0.98]**", "**α = 0.92 [0.68, 0.98]**"),
        ("measured power 1.00", "measured power 0.50"),
        ("by a factor of 2.3", "by a factor of 3.2"),
        ("**β = 0.21 [0.12, 0.30]**", "**β = 0.21 [0.15, 0.30]**"),
        ("only 2.0 times as far", "only twice as far"),
        ("`stationary-loss` asks", "SGD is 3 times as good. `stationary-loss` asks"),
        ("`stationary-loss` asks", "SGD is twice as good. `stationary-loss` asks"),
    ],
)
def test_a_number_that_was_changed_or_added_is_found(old, new):
    assert README.count(old) == 1
    assert faults(README.replace(old, new))


@pytest.mark.parametrize("command", [c for c in COMMANDS if Path(c.split()[-1]).stem not in NOT_STORED])
def test_a_stored_summary_is_that_of_the_command_that_draws_the_figure(command):
    """`make figures` would write the same configuration today; it is small, and compact already."""
    _, name, *options = shlex.split(command)
    given = {key[2:].replace("-", "_"): value for key, value in zip(options[::2], options[1::2], strict=True)}
    figure = Path(given.pop("figure"))
    assert (TOP / figure).is_file()
    content = stored(figure.stem)
    experiment = EXPERIMENTS[name]
    kinds = {field.name: type(field.default) for field in dataclasses.fields(experiment.config)}
    config = experiment.config(**{key: kinds[key](value) for key, value in given.items()})
    implied = {key: value for key, value in experiment.implied(config).items() if key not in given}
    wanted = dataclasses.asdict(dataclasses.replace(config, **implied))
    assert content["experiment"] == name
    assert {key: wanted[key] for key in content["config"]} == content["config"]
    assert len((FIGURES / f"{figure.stem}.json").read_bytes()) < 60_000
    assert figure_summaries.compact(content) == content


def test_the_summary_beside_a_figure(tmp_path, capsys):
    """Curves go, floats are rounded, nothing else changes; the latest finished run is taken."""
    summary = {
        "config": {"x": 1.23456789, "names": ["a"] * 40},
        "curve": [0.5] * 40,
        "short": [1, None, 2e-9],
        "ok": True,
    }
    manifest = {"versions": {"jax": "1"}, "git": {"commit": "abc"}, "device": {}, "config": "not again"}
    for k, name in enumerate(("old", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(summary | {"k": k}))
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "unfinished").mkdir()
    figure = tmp_path / "figure.svg"
    assert figure_summaries.main([str(figure), str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "figure.json").read_text())
    assert kept.pop("run") == {name: manifest[name] for name in ("versions", "git", "device")}
    assert kept == {"config": {"x": 1.2346, "names": ["a"] * 40}, "short": [1, None, 2e-9], "ok": True, "k": 1}
    assert figure_summaries.main([str(figure), str(tmp_path / "old")]) == 0
    assert json.loads((tmp_path / "figure.json").read_text())["k"] == 0
    assert figure_summaries.main([str(figure), str(tmp_path / "unfinished")]) == 2
    assert "holds no finished run" in capsys.readouterr().err
    (tmp_path / "old" / "summary.json").write_text("[1, 2")
    with pytest.raises(InputError, match="can't be read"):
        figure_summaries.write(figure, tmp_path / "old")
