"""sgd-vs-sde on the nets of the sources: what a model and a preset imply, and what the problem then is."""

import dataclasses

import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from experiments.__main__ import EXPERIMENTS, main
from experiments._shared import cli
from experiments.sgd_vs_sde.config import Config, build, describe

pytestmark = pytest.mark.slow


def parsed(*options, results):
    """The configuration that a command line comes to."""
    seen = []

    def capture(config, folder):
        seen.append(config)
        raise sg.InputError("seen")

    experiment = dataclasses.replace(EXPERIMENTS["sgd-vs-sde"], compute=capture)
    assert (
        cli.main({"sgd-vs-sde": experiment, "other": experiment}, ["sgd-vs-sde", *options, "--results", results]) == 2
    )
    return seen[0]


def test_a_model_brings_its_normalization_and_sizes_along(tmp_path):
    plain, f2, c1 = (parsed("--model", m, results=str(tmp_path)) for m in ("mlp", "f2", "c1"))
    assert plain == Config()
    assert (f2.normalization, f2.dropout, f2.width, f2.num_examples % f2.batch_size) == ("batch", 0.0, 64, 0)
    assert (c1.normalization, c1.dropout, c1.width, c1.num_examples % c1.batch_size) == ("batch", 0.5, 16, 0)


def test_what_is_given_wins_over_what_is_implied(tmp_path):
    options = ["--model", "c1", "--dropout", "0.0", "--width", "20", "--normalization", "none"]
    config = parsed(*options, results=str(tmp_path))
    assert (config.dropout, config.width, config.normalization, config.batch_size) == (0.0, 20, "none", 16)
    # also where the value given is the default's
    assert parsed("--model", "f2", "--width", "32", results=str(tmp_path)).width == 32


def test_the_gpu_preset_has_full_width_and_the_papers_batch(tmp_path):
    for model, width, data in (("f1", 512, "mnist"), ("f2", 512, "frames"), ("c1", 64, "cifar10")):
        config = parsed("--model", model, "--data", data, "--preset", "gpu", results=str(tmp_path))
        assert (config.width, config.batch_size, config.num_examples % 256) == (width, 256, 0)
        assert config.num_examples > 40_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "f3"], "unknown model 'f3': did you mean 'f2'?"),
        (["--preset", "gup"], "unknown preset 'gup': did you mean 'gpu'?"),
        (["--model", "f2", "--num-examples", "100"], "N = 100 examples are not a multiple of unit_size = 32"),
        (["--model", "f2", "--batch-size", "1"], "batch_size is 1: batch norm needs the examples of a batch"),
        (["--model", "f2", "--num-examples", "32"], "unit_size 32 leaves one group"),
        (["--model", "c1", "--data", "frames"], "C1 takes images of at most 32×32 pixels"),
        (["--dropout", "0.5"], "use sampling='no_replacement', which is exact"),
        (["--dropout", "1.5"], "dropout is 1.5: pass a rate with 0 ≤ p < 1"),
        (["--normalization", "bacth"], "unknown normalization 'bacth': did you mean 'batch'?"),
        (["--model", "logistic", "--dropout", "0.5"], "logistic has no hidden layer"),
        (["--data", "digits", "--data-dir", "x"], "digits reads no folder of files"),
        (["--label-noise", "1"], "label_noise is 1: pass a number with 0 ≤ label_noise < 1"),
    ],
)
def test_bad_choices_are_one_line_and_status_2(options, message, tmp_path, capsys):
    assert cli.main(EXPERIMENTS, ["sgd-vs-sde", *options, "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("sgd-vs-sde/*"))


def test_observables_of_a_net_with_batch_norm_and_dropout_are_functions_of_the_parameters():
    """Evaluated as the net in use; ‖g‖² and tr C on one partition and one draw of masks, the same at each call."""
    config = Config(
        data="digits",
        model="f1",
        normalization="batch",
        dropout=0.5,
        num_examples=24,
        num_test=20,
        batch_size=4,
        width=3,
    )
    problem, observables = build(config, jr.key(0))
    net = problem.params
    values = {name: float(value) for name, value in observables(net).items()}
    assert values == {name: float(value) for name, value in observables(net).items()}
    inputs, labels = problem.data
    logits = np.asarray(net(inputs))
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(24), labels]
    assert values["train_loss"] == pytest.approx(losses.mean(), rel=1e-9)
    assert values["distance_squared"] == 0
    assert values["trace_covariance"] > 0
    assert describe(config) == "F1, width 3, batch norm, dropout 0.5 on digits"


def test_the_list_of_data_sets_is_a_command(capsys):
    assert main(["data"]) == 0
    printed = capsys.readouterr().out
    for name in sg.data.names():
        assert name in printed
    assert main(["dta"]) == 2
    assert "did you mean 'data'?" in capsys.readouterr().err
