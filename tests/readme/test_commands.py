"""Every command and every snippet of the README is executed, commands at toy size."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from tests.data.written import write_idx

TOP = Path(__file__).resolve().parents[2]
README = (TOP / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.M | re.S)
SNIPPETS = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if line.strip()]
INLINE = sorted(set(re.findall(r"`(make [^`]+)`", README)))
# A later option overrides an earlier one, so the README's own options are parsed before these.
TOY = {
    "sgd-vs-sde": "--num-examples 24 --num-test 20 --width 3 --num-steps 4 --save-every 2 --replicas 4 "
    "--check-replicas 2 --batch-size 4",
    "weak-order": "--steps 12,24,48,96 --momentum-steps 20,40,80,160 --ells 1,4,16,64 --batch-size 2 --net-time 1.6 "
    "--net-steps 4,8,16,32 --num-examples 16 --width 2 --starts 2 --replicas 8",
    "basin-occupancy": "--crossings 300 --least-crossings 100 --replicas 128 --steps 20000 --nuts-samples 0 "
    "--curve-points 2 --etas 5",
    "stationary-loss": "--problems regression --replicas 4 --sde-replicas 4 --num-steps 60",
    "escape-times": "--ratios 2,3 --passages 40 --points 401",
    "real-basins": "--problems sine --sine-rates 0.1 --sine-arrival-rates 0.05 --replicas 12 --steps 800 --frames 8 "
    "--runs 20 --arrival-time 10 --starts 64 --nuts-samples 0",
    "batch-size": "--width 8 --learning-rates 0.02 --learning-rate 0.02 --examples 30,60 --num-examples 30 --momenta 0 "
    "--momentum 0 --batch-sizes 2,8,30 --seeds 2 --budget-size 100 --num-test 20 --noise-points 1 --no-compare "
    "--workers 0",
    "batch-size recommend": "--width 3 --num-examples 30 --num-test 20 --learning-rate 0.05 --momentum 0 "
    "--batch-sizes 2,8,30 --minutes 1.5 --workers 0",
}
TOY_OF_ONES_OWN = "--num-examples 24 --num-steps 4 --save-every 2 --replicas 4 --check-replicas 2 --batch-size 4"
TOY_NET = "--substeps 1 --svag-ell 0 --observables train_loss,test_accuracy"

# Commands of equal shapes share their compilations, here and with the next run of the suite.
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


def test_there_is_something_to_test():
    assert {language for language, _ in BLOCKS} == {"python", "sh"}
    assert len(SNIPPETS) >= 2
    assert {"make demo", "make test"} <= set(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippets_run_in_a_fresh_process(code, tmp_path):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_library_example_is_short():
    body = [line for line in SNIPPETS[0].splitlines() if line.strip() and not line.startswith("import")]
    assert len(body) <= 12


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("make")])
def test_commands_run(command, tmp_path):
    program, *arguments = shlex.split(command)
    assert program == "python"
    name = arguments[2] if arguments[:2] == ["-m", "experiments"] else ""
    if arguments[3:4] == ["recommend"]:
        name += " recommend"
    if "--problem" in arguments:
        (tmp_path / "my_net.py").write_text(next(text for text in SNIPPETS if "def make(" in text))
        arguments = [argument.replace("my_net.py", str(tmp_path / "my_net.py")) for argument in arguments]
        arguments += [*shlex.split(TOY_OF_ONES_OWN), "--results", str(tmp_path)]
    elif name in TOY and "--help" not in arguments:
        arguments += [*shlex.split(TOY[name]), "--results", str(tmp_path)]
    if "c1" in arguments or "frames" in arguments:  # these nets compile for minutes: fewer arms and observables
        arguments += shlex.split(TOY_NET)
    if "fashion_mnist" in arguments:  # its package need not be installed
        write_idx(tmp_path / "data")
        arguments += ["--data-dir", str(tmp_path / "data")]
    settings = {"capture_output": True, "text": True, "cwd": TOP, "timeout": 1200, "env": os.environ | CACHE}
    done = subprocess.run([sys.executable, *arguments], **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("command", sorted({*INLINE, *(c for c in COMMANDS if c.startswith("make"))}))
def test_make_targets_exist_and_name_real_commands(command):
    """A dry run; `make test` is what runs this, and the demo's command is the first of those above."""
    done = subprocess.run([*shlex.split(command), "--dry-run"], capture_output=True, text=True, cwd=TOP, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "python" in done.stdout


def test_the_demo_is_the_command_with_its_defaults():
    """`make demo` gives no options: the README's first experiment command spells the defaults out."""
    from experiments.sgd_vs_sde.compute import Config

    command = ["make", "demo", "--dry-run", "--no-print-directory"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, timeout=60)
    assert done.stdout.strip().splitlines()[-1].endswith("-m experiments sgd-vs-sde")
    spelled = next(c for c in COMMANDS if "--replicas" in c)
    defaults = Config()
    for name, value in re.findall(r"--([a-z-]+) (\S+)", spelled):
        assert str(getattr(defaults, name.replace("-", "_"))) == value, name


def test_files_and_links_exist():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(
        r"`((?:experiments|sdesgd|tests|derivations)/[\w./]*)`", README
    ):
        assert (TOP / path).exists(), path
