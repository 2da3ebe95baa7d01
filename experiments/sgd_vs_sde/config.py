"""What sgd-vs-sde compares: its configuration, the nets and data it knows, the observables."""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

import sdesgd as sg
from experiments._shared.options import named, option
from experiments._shared.own_problem import OwnProblem, load, problem_option
from sdesgd import nets, observables
from sdesgd.dynamics.protocol import SAMPLING_MODES
from sdesgd.errors import InputError

# -- presets ---------------------------------------------------------------------------------------------

PRESETS = ("cpu", "gpu")
# The nets as published: what they bring with them, whatever the preset.
_NETS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "logistic": {},
    "f1": {"normalization": "batch"},
    "f2": {"normalization": "batch"},
    "c1": {"normalization": "batch", "dropout": 0.5},
}
# Sizes that two cores compute in less than ten minutes. With batch norm ε² is η, so the SDE takes half steps.
_DENSE_ON_CPU: dict[str, Any] = {
    "width": 64,
    "num_examples": 512,
    "batch_size": 32,
    "num_steps": 24,
    "save_every": 4,
    "replicas": "80",
    "check_replicas": 48,
    "substeps": 2,
    "svag_ell": 4,
}
_ON_CPU: dict[str, dict[str, Any]] = {
    "mlp": {},
    "logistic": {},
    "f1": _DENSE_ON_CPU,
    "f2": _DENSE_ON_CPU,
    "c1": {
        "width": 16,
        "num_examples": 128,
        "num_test": 256,
        "batch_size": 16,
        "num_steps": 12,
        "save_every": 4,
        "replicas": "76",
        "check_replicas": 20,
        "substeps": 2,
        "svag_ell": 2,
    },
}
# Full width, the paper's small batch; as many examples as there are, in whole batches.
_FULL_WIDTH = {"mlp": 512, "f1": 512, "f2": 512, "c1": 64}
_PAPER_BATCH = 256
_GPU_EXAMPLES = {"digits": 1280, "fashion_mnist": 59_904, "mnist": 59_904, "cifar10": 49_920, "timit": 65_536}
_GPU_EXAMPLES |= {"frames": 65_536}


# name → label with units
OBSERVABLES = {
    "train_loss": "train loss (nats)",
    "test_loss": "test loss (nats)",
    "test_accuracy": "test accuracy (fraction)",
    "distance_squared": "‖θ−θ₀‖²",
    "gradient_norm_squared": "‖g‖²",
    "trace_covariance": "tr C",
}

_PART_OF = {
    "test_loss": "test",
    "test_accuracy": "test",
    "gradient_norm_squared": "moments",
    "trace_covariance": "moments",
}
_OF_THE_DESCENDED_LOSS = ("gradient_norm_squared", "trace_covariance")


# -- the options -----------------------------------------------------------------------------------------

EXAMPLES = (
    "--data digits --learning-rate 0.01 --sampling no_replacement",
    "--model f2 --data mnist5k",
    "--replicas 100 --observables train_loss,test_accuracy --figure gap.svg",
    "--problem my_net.py:make --learning-rate 0.1 --batch-size 8",
)


# What a problem of one's own stands in place of.
_OF_THE_NET = (
    *("data", "data_dir", "num_test", "label_noise", "balanced", "model", "width", "depth", "reading"),
    *("normalization", "dropout", "preset"),
)


@dataclasses.dataclass(frozen=True)
class Config:
    """SGD, Gaussian SGD, the SDE and SVAG from one start on one net and data set: is the SDE a good description?"""

    data: str = option(
        "mnist5k",
        "Data set, as `python -m experiments data` lists them",
        choices=tuple(sg.data.names()),
        kind="data set",
        group="data",
    )
    data_dir: str = option("", "Folder of the data set's files; empty: where the system keeps them.", group="data")
    num_examples: int = option(500, "Training examples N.", least=1, most=10**7, group="data")
    num_test: int = option(500, "Held-out examples.", least=1, most=10**7, group="data")
    label_noise: float = option(
        0.0, "Probability that a training label is drawn at random.", least=0, below=1, group="data"
    )
    balanced: bool = option(False, "The same number of training examples of each class.", group="data")
    model: str = option("mlp", "The net.", choices=tuple(_NETS), group="net")
    problem: str = problem_option(*_OF_THE_NET)
    preset: str = option(
        "cpu", "Sizes fit for a laptop, or a GPU (full width, the paper's batch size).", choices=PRESETS
    )
    width: int = option(32, "Units of a hidden layer; of c1 channels.", least=1, most=10**5, group="net")
    depth: int = option(1, "Hidden layers of the mlp.", least=1, most=1000, group="net")
    reading: str = option(
        "paper",
        "Of c1, which has 283k parameters at full width, or 1.8M.",
        choices=("paper", "released"),
        group="net",
    )
    normalization: str = option("none", "Layers that normalise.", choices=("batch", "group", "none"), group="net")
    dropout: float = option(
        0.0, "Dropout rate of the dense layers.", least=0, below=1, remedy="pass a rate with 0 ≤ p < 1", group="net"
    )
    learning_rate: float = option(0.05, "Learning rate η.", above=0, group="dynamics")
    batch_size: int = option(16, "Batch size S.", least=1, group="dynamics")
    sampling: str = option("replacement", "How batches are drawn.", choices=SAMPLING_MODES, group="dynamics")
    momentum: float = option(0.0, "Heavy-ball momentum m.", least=0, below=1, group="dynamics")
    num_steps: int = option(60, "SGD steps.", least=1, most=10**8, group="dynamics")
    save_every: int = option(5, "Steps between saves; must divide the steps.", least=1)
    replicas: str = option("decide", "Independent runs of each arm, or decide: as many as the verdicts need.")
    max_minutes: float = option(
        10.0, "With --replicas decide, the minutes after which no further runs are begun.", above=0
    )
    check_replicas: int = option(
        0,
        "Runs of the SDE made again at h/2, to check its step h; 0: 8 to 32 of them.",
        least=2,
        zero="8 to 32 of them",
        remedy="an error bar needs at least 2",
    )
    substeps: int = option(1, "SDE solver steps per step of SGD.", least=1, most=10_000, group="dynamics")
    svag_ell: int = option(
        0, "SVAG's ℓ, for a further arm between SGD and the SDE; 0 leaves it out.", most=10_000, group="dynamics"
    )
    observables: str = option(
        "all",
        "Comma-separated names of what to compare.",
        choices=("all", *OBSERVABLES),
        several=True,
        kind="observable",
    )
    margin: float = option(
        0.5,
        "Equivalence margin, in SGD's standard deviations.",
        above=0,
        remedy="pass a positive number of standard deviations",
    )
    seed: int = option(0, "Seed of the start, the subset of the data and all runs.")

    def label(self) -> str:
        """A readable name of the run."""
        net = f"{self.model}-{self.data}-n{self.num_examples}-w{self.width}"
        if self.problem:
            net = f"{Path(self.problem).name.replace('.py:', '-')}-n{self.num_examples}"
        return f"{net}-eta{self.learning_rate:g}-s{self.batch_size}-k{self.num_steps}-r{self.replicas}"


def implied(config: Config) -> dict[str, Any]:
    """What the model, the data and the preset imply for the options that aren't given, or N of one's own problem."""
    if config.problem:
        return {"num_examples": own(config).problem.num_examples}
    model = config.model
    if config.preset == "cpu":
        without = {"svag_ell": 0} if config.momentum else {}  # SVAG has none
        return _NETS[model] | _ON_CPU[model] | without
    sizes: dict[str, Any] = {"batch_size": _PAPER_BATCH, "num_examples": _GPU_EXAMPLES.get(config.data, 3840)}
    if model in _FULL_WIDTH:
        sizes["width"] = _FULL_WIDTH[model]
    return _NETS[model] | sizes


def describe(config: Config) -> str:
    """The net and the data in words, for titles."""
    if config.problem:
        return own(config).name
    names = {"mlp": "MLP", "logistic": "logistic regression", "c1": f"C1 ({config.reading})"}
    words = [names.get(config.model, config.model.upper())]
    if config.model != "logistic":
        words.append(f"width {config.width}")
    if config.normalization != "none":
        words.append(f"{config.normalization} norm")
    if config.dropout:
        words.append(f"dropout {config.dropout:g}")
    return f"{', '.join(words)} on {config.data}"


# -- the problem -----------------------------------------------------------------------------------------


def own(config: Config) -> OwnProblem:
    """The problem of ``--problem``."""
    return load(config.problem, config.num_examples, config.seed)


def make_net(config: Config, shape: tuple[int, ...], num_classes: int, key: PRNGKeyArray) -> nets.Net:
    """The net of the configuration for examples of this shape."""
    in_size, options = 1, {"normalization": config.normalization, "dropout": config.dropout, "key": key}
    for n in shape:
        in_size *= n
    if config.model == "logistic":
        if config.normalization != "none" or config.dropout:
            raise InputError("logistic has no hidden layer: leave out --normalization and --dropout")
        return nets.logistic_regression(in_size, num_classes, key=key)
    if config.model == "mlp":
        return nets.mlp(in_size, num_classes, width=config.width, depth=config.depth, **options)
    if config.model == "c1":
        return nets.c1(shape, num_classes, reading=config.reading, width=config.width, **options)
    return {"f1": nets.f1, "f2": nets.f2}[config.model](in_size, num_classes, width=config.width, **options)


def build(config: Config, key: PRNGKeyArray) -> tuple[sg.Problem, observables.Together]:
    """The problem on the training part, and the observables.

    Train and test loss and accuracy are those of the net in use: dropout off, batch norm by the statistics of the
    evaluated set. ‖g‖² and tr C belong to the loss that is descended: with batch norm and dropout, that of one
    random partition and one draw of masks, the same at all times.

    Raises:
        InputError: a problem of one's own with another N than was asked for.
    """
    if config.problem:
        problem = own(config).problem
        if problem.num_examples != config.num_examples:
            raise InputError(
                f"num_examples is {config.num_examples}, but {own(config).name} has {problem.num_examples}: leave it "
                "out, or let the function heed it"
            )
        key_masks = jr.split(key)[1]
        loss = observables.Loss(problem, key_masks if problem.needs_key else None)
        return problem, _observed(problem, key_masks, {"train_loss": loss}, config)
    folder = Path(config.data_dir) if config.data_dir else None
    options: dict[str, Any] = {"data_dir": folder, "label_noise": config.label_noise, "balanced": config.balanced}
    dataset = sg.data.load(config.data, config.num_examples, config.num_test, config.seed, **options)
    key_net, key_masks = jr.split(key)
    net = make_net(config, dataset.shape, dataset.num_classes, key_net)
    problem = nets.finite_sum(net, dataset.inputs, dataset.labels, config.batch_size)
    test = jnp.asarray(dataset.test_inputs), jnp.asarray(dataset.test_labels)
    losses = {
        "train_loss": nets.Evaluation(nets.cross_entropy, *problem.data),
        "test": nets.Evaluation({"test_loss": nets.cross_entropy, "test_accuracy": nets.correct}, *test),
    }
    return problem, _observed(problem, key_masks, losses, config)


def _observed(problem: sg.Problem, key: PRNGKeyArray, losses: dict[str, Any], config: Config) -> observables.Together:
    """The observables that were chosen.

    Args:
        problem: the finite sum.
        key: of the one draw of masks and groups, where there are any.
        losses: the parts that depend on what the net is for.
        config: of the run.
    """
    parts = losses | {
        "distance_squared": observables.SquaredDistance(problem.params),
        "moments": observables.GradientMoments(problem, key if problem.needs_key else None),
    }
    needed = {_PART_OF.get(name, name) for name in chosen(config)}
    return observables.Together({k: parts[k] for k in parts if k in needed}, tuple(chosen(config)))


# -- observables -----------------------------------------------------------------------------------------


def chosen(config: Config) -> dict[str, str]:
    """The observables asked for: name → label with units; with groups and masks what belongs to one draw says so."""
    one_draw = {name: f"{OBSERVABLES[name]} (one partition)" for name in _OF_THE_DESCENDED_LOSS}
    if config.problem:
        one_draw = one_draw if own(config).problem.unit_size > 1 else {}
        labels = {name: label for name, label in OBSERVABLES.items() if _PART_OF.get(name) != "test"}
        labels |= one_draw | {"train_loss": "loss L(θ)"}
    else:
        labels = OBSERVABLES | (one_draw if config.normalization == "batch" else {})
    asked = named(config, "observables")
    names = sorted(asked, key=[name.strip() for name in config.observables.split(",")].index)  # in the order given
    if "all" in names:
        return labels
    if not labels.keys() >= set(names):
        missing = ", ".join(name for name in names if name not in labels)
        raise InputError(f"{own(config).name} has no test set: leave {missing} out of --observables")
    return {name: labels[name] for name in names}
