"""What a terminal, a script or a slip of the hand gives the command line: one line on stderr, and the right status."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli
from experiments._shared.options import check_options
from experiments._shared.suggestions import meant
from sdesgd import files
from sdesgd.errors import InputError
from tests.experiments import toy_experiment
from tests.experiments.toy_experiment import contents, stage_files

TOP = Path(__file__).resolve().parents[2]
NUMBERS = [
    (experiment, field)
    for experiment in EXPERIMENTS.values()
    for field in dataclasses.fields(experiment.config)
    if field.type in (int, float, "int", "float")
]


def told(capsys):
    """The one line of stderr."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert len(lines[0]) <= 320
    return lines[0]


def changed(**functions):
    """The toy with other functions."""
    return {"toy": dataclasses.replace(toy_experiment.EXPERIMENT, **functions)}


def raising(error):
    def function(*arguments):
        raise error

    return function


# -- options -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))
def test_no_number_of_any_experiment_may_be_absurd(experiment, tmp_path, capsys):
    """10¹⁴ steps, 2⁶⁴ as a seed, 10⁵⁰⁰ examples, 1e300 as a rate: refused before anything is computed or made."""
    never = {experiment.name: dataclasses.replace(experiment, compute=raising(AssertionError("computed")))}
    tried = 0
    for owner, field in NUMBERS:
        if owner is not experiment:
            continue
        whole = field.type in (int, "int")
        for value in (
            ("100000000000000", str(2**64), "-3", "1" + "0" * 500) if whole else ("1e300", "nan", "inf", "1e-60")
        ):
            option = "--" + field.name.replace("_", "-")
            status = cli.main(never, [experiment.name, option, value, "--results", str(tmp_path / "r")])
            line = told(capsys)
            assert status == 2, (option, value)
            assert field.name in line
            tried += 1
    assert tried >= 12
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("value", ["1e400", "0.1,1e300", "0.1,inf", "0.1,1e-50", "nan"])
def test_no_list_of_numbers_may_be_absurd(value, tmp_path, capsys):
    assert toy_experiment.main("--rates", value, "--results", tmp_path / "r") == 2
    assert "rates holds" in told(capsys)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sise", "3"], "--sise"),
        (["--size"], "--size"),
        (["--size", "x"], "--size"),
        (["--size", "2.5"], "--size"),
        (["--rate", "a" * 5000], "--rate"),
        (["more"], "more"),
        (["--results", " "], "--results"),
        (["--figure", "a.pdf"], ".png or .svg"),
        (["--figure", "no_such_folder/a.svg"], "folder that exists"),
    ],
)
def test_arguments_that_are_none(arguments, words, tmp_path, capsys):
    status = toy_experiment.main(*arguments, *([] if "--results" in arguments else ["--results", tmp_path / "r"]))
    line = told(capsys)
    assert status == 2, line
    assert words in line
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("text", ["a/b", "..", "../../up", "/etc", "x" * 400, "é\n", " ", "-"])
def test_text_in_the_name_of_a_run_leads_nowhere_else(text, tmp_path):
    assert toy_experiment.main(f"--data={text}", "--results", tmp_path / "r", "--size", "50") == 0
    (folder,) = (tmp_path / "r" / "toy").iterdir()
    assert {Path(name).parts[:3] for name in contents(tmp_path)} == {("r", "toy", folder.name), ("r", "stages", "toy")}
    assert "summary.json" in os.listdir(folder)


# -- what the machine lacks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 64.0 TiB"),
        OverflowError("Python int too large to convert to C long"),
        ValueError("array is too big; `arr.size * arr.dtype.itemsize` is larger than the maximum possible size."),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4611686018427387904 bytes."),
    ],
)
def test_too_little_memory_is_one_line(error, tmp_path, capsys):
    assert cli.main(changed(compute=raising(error)), ["toy", "--results", str(tmp_path / "r")]) == 1
    assert "choose smaller sizes" in told(capsys)
    assert contents(tmp_path) == {}, "no folder is left where nothing was kept"


def test_another_fault_keeps_its_traceback(tmp_path):
    """A bug isn't bad input: it must not be mistaken for it."""
    with pytest.raises(ZeroDivisionError):
        cli.main(changed(compute=raising(ZeroDivisionError("of ours"))), ["toy", "--results", str(tmp_path)])


def test_a_failed_stage_leaves_no_folder_and_a_kept_one_stays(tmp_path, capsys):
    def compute(config, folder):
        folder.stage("one", lambda: toy_experiment.xr.Dataset({"x": ("row", [1.0])}))
        raise MemoryError

    assert cli.main(changed(compute=compute), ["toy", "--results", str(tmp_path)]) == 1
    assert list(stage_files(tmp_path)) == ["one"]


# -- terminals and archives --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_greek(encoding, tmp_path):
    script = toy_experiment.script(tmp_path)
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    options = {"cwd": TOP, "env": environment, "capture_output": True, "check": False}
    done = subprocess.run([sys.executable, "-c", script], **options)
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode(encoding)
    assert ("η" if encoding == "utf-8" else "?") in said
    assert b"Traceback" not in done.stderr


def finished(tmp_path):
    assert toy_experiment.main("--results", tmp_path / "r", "--size", "50") == 0
    (folder,) = (tmp_path / "r" / "toy").iterdir()
    return folder


@pytest.mark.parametrize("function", ["plot", "report"])
@pytest.mark.parametrize("error", [KeyError("curve"), TypeError("NoneType"), AttributeError("x"), IndexError("3")])
def test_a_run_of_another_version(function, error, tmp_path, capsys, monkeypatch):
    folder = finished(tmp_path)
    before = contents(folder)
    capsys.readouterr()
    monkeypatch.setattr(toy_experiment.Result, function, raising(error))
    assert cli.main(changed(), ["toy", "--from", str(folder)]) == 2
    line = told(capsys)
    assert folder.name in line
    assert "version" in line
    assert contents(folder) == before


def test_an_archive_that_is_read_only_is_drawn_elsewhere(tmp_path, capsys, monkeypatch):
    folder = finished(tmp_path)
    before = contents(folder)
    drawn = (folder / "figure.svg").read_bytes()
    capsys.readouterr()
    monkeypatch.setattr(  # root may write anywhere
        files,
        "why_not_writable",
        lambda path: PermissionError(13, "Permission denied") if folder in path.parents else None,
    )
    assert toy_experiment.main("--from", folder, "--figure", tmp_path / "copy.svg") == 0
    assert (tmp_path / "copy.svg").read_bytes() == drawn
    assert "mean" in capsys.readouterr().out
    assert toy_experiment.main("--from", folder) == 0
    assert "read-only, so nothing was drawn there: pass --figure" in capsys.readouterr().out.replace("\n", " ")
    assert contents(folder) == before


def test_from_computes_nothing_and_takes_no_options(tmp_path, capsys):
    folder = finished(tmp_path)
    capsys.readouterr()
    assert toy_experiment.main("--from", folder, "--size", "3000") == 2
    assert "--size can't apply" in told(capsys)
    for place, words in ((tmp_path / "gone", "gone"), (tmp_path, "summary.json"), (folder / "summary.json", "")):
        assert toy_experiment.main("--from", place) == 2
        assert words in told(capsys)


# -- help, version, completion -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))
def test_help_is_grouped_and_its_examples_are_accepted(experiment, tmp_path, capsys, monkeypatch):
    assert cli.main(EXPERIMENTS, [experiment.name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "─ Dynamics ─" in printed
    assert "─ Run ─" in printed
    assert f"python -m experiments {experiment.name} --" in printed.partition("Examples:")[2]
    for field in dataclasses.fields(experiment.config):
        assert field.metadata["declared"].group in ("data", "net", "problem", "dynamics", "run")
    seen = []

    def compute(config, folder):
        check_options(config)
        seen.append(config)
        raise InputError("seen")

    monkeypatch.chdir(tmp_path)
    only = {experiment.name: dataclasses.replace(experiment, compute=compute)}
    examples = [options for options in experiment.examples if "--problem my_net" not in options]
    for options in examples:
        assert cli.main(only, [experiment.name, *options.split()]) == 2
        assert told(capsys) == "error: seen", options
    assert len(seen) == len(examples) > 0


def test_the_version_is_printed_without_jax():
    code = "import sys; from experiments.__main__ import main; sys.exit(main(['--version']) or 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sdesgd ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("experiments sg", "sgd-vs-sde"),
        ("experiments weak-order --mom", "--momentum-time --momentum-steps"),
        ("experiments sgd-vs-sde --no-c", "--no-compilation-cache"),
        ("experiments ru", "runs"),
    ],
)
def test_bash_completes_names_and_options_without_jax(line, found):
    """By the script that is printed, in a real bash."""
    words = line.split()
    check = "import sys; from experiments.__main__ import main; main(['--show-completion', 'bash'])"
    script = subprocess.run([sys.executable, "-c", check], cwd=TOP, capture_output=True, text=True, check=True).stdout
    asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}"
    code = f'{script}\n{asked}; _experiments_completion; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.split() == found.split(), done.stderr


@pytest.mark.parametrize(
    ("given", "known", "found"),
    [
        ("--lr", ["--learning-rate", "--label-noise"], "--learning-rate"),
        ("--lr", ["--learning-rates", "--margin"], "--learning-rates"),
        ("--learning_rate", ["--learning-rate"], "--learning-rate"),
        ("--batchsize", ["--num-examples", "--batch-size"], "--batch-size"),
        ("--epochs", ["--num-steps", "--save-every"], "--num-steps"),
        ("--Momentum", ["--momentum"], "--momentum"),
        ("--momentun", ["--momentum", "--margin"], "--momentum"),
        ("--xyz", ["--momentum", "--margin"], None),
        ("-q", ["--momentum", "--seed"], None),
    ],
)
def test_what_is_meant_by_an_option_that_there_is_not(given, known, found):
    assert meant(given, known) == found
