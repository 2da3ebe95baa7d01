"""What ``load`` promises of every set: the split, the scale, the noise, the balance, the refusals."""

import jax.numpy as jnp
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.data import dataset as module
from sdesgd.data.__main__ import main
from tests.data.written import IDX_NAMES, idx_bytes, refused, speech, write_cifar, write_idx, write_timit


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    write_idx(folder, train=4000, test=500, packed=True)
    return folder


def rows(inputs):
    return {row.tobytes() for row in inputs}


def test_there_are_eight():
    assert sg.data.names() == sorted(
        ["digits", "mnist5k", "mnist1d", "fashion_mnist", "mnist", "cifar10", "timit", "frames"]
    )


@pytest.mark.parametrize(("name", "shape"), [("digits", (8, 8, 1)), ("mnist5k", (28, 28, 1)), ("mnist1d", (40,))])
def test_sets_without_a_test_part_are_split(name, shape):
    dataset = sg.data.load(name, 90, 60, seed=2, balanced=True)
    assert (dataset.shape, dataset.num_classes) == (shape, 10)
    assert np.bincount(dataset.labels).tolist() == [9] * 10
    assert not rows(dataset.inputs) & rows(dataset.test_inputs)
    assert dataset.inputs.mean() == pytest.approx(0, abs=1e-5)
    assert dataset.inputs.std() == pytest.approx(1, rel=1e-5)


def test_shape_is_the_order_of_the_flat_inputs():
    from sklearn.datasets import load_digits

    dataset = sg.data.load("digits", 1700, 97)
    pictures = dataset.inputs.reshape(-1, *dataset.shape)[..., 0].astype(float)
    restored = pictures * load_digits().images.std() + load_digits().images.mean()  # nearly the training part's
    known = {picture.astype(int).tobytes() for picture in load_digits().images}
    assert sum(np.rint(picture).astype(int).tobytes() in known for picture in restored) > 1600


def test_the_scale_is_of_the_chosen_training_part_alone(mnist):
    dataset = sg.data.load("mnist", 30, 500, data_dir=mnist)
    assert dataset.inputs.mean(dtype=float) == pytest.approx(0, abs=1e-5)
    assert dataset.inputs.std(dtype=float) == pytest.approx(1, rel=1e-5)
    # The images differ so much in brightness that any other choice to fit on would show.
    assert abs(dataset.test_inputs.mean()) + abs(dataset.test_inputs.std() - 1) > 0.01


def test_constant_pixels_stay_constant_and_nothing_is_divided_by_zero(tmp_path):
    write_idx(tmp_path)
    (tmp_path / IDX_NAMES[0]).write_bytes(idx_bytes(np.full((60, 28, 28), 77, np.uint8)))
    dataset = sg.data.load("mnist", 30, 20, data_dir=tmp_path)
    assert (dataset.inputs == 0).all()
    assert np.isfinite(dataset.test_inputs).all()


def test_held_out_examples_come_from_the_test_part(tmp_path):
    train, _, pictures, labels = write_idx(tmp_path, test=20)
    dataset = sg.data.load("mnist", 60, data_dir=tmp_path)
    assert sorted(dataset.test_labels) == sorted(labels)
    restored = np.rint(dataset.test_inputs.astype(float) * train.std() + train.mean()).astype(np.uint8)
    assert rows(restored) == rows(pictures)


def test_the_same_seed_gives_the_same_and_another_another(mnist):
    first, again, other = (sg.data.load("mnist", 100, 50, seed, data_dir=mnist, label_noise=0.3) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.inputs, other.inputs)
    assert not np.array_equal(first.test_inputs, other.test_inputs)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_label_noise(mnist, p):
    clean, noisy, twice = (sg.data.load("mnist", 4000, 500, data_dir=mnist, label_noise=x) for x in (0.0, p, p))
    np.testing.assert_array_equal(noisy.labels, twice.labels)
    np.testing.assert_array_equal(noisy.inputs, clean.inputs)
    np.testing.assert_array_equal(noisy.test_inputs, clean.test_inputs)
    np.testing.assert_array_equal(noisy.test_labels, clean.test_labels)
    wrong = noisy.labels != clean.labels
    expected = p * (1 - 1 / 10)
    assert wrong.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 4000))
    # Uniform over the other nine: shifts of the label, 4 standard errors.
    shifts = np.bincount((noisy.labels - clean.labels)[wrong] % 10, minlength=10)[1:] / wrong.sum()
    assert np.abs(shifts - 1 / 9).max() < 4 * np.sqrt(8 / 81 / wrong.sum())


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_label_noise_out_of_range(p):
    refused(lambda: sg.data.load("digits", 20, 20, label_noise=p), p, "below 1")


@pytest.mark.parametrize("number", [10, 101, 119])
def test_balanced_counts(mnist, number):
    dataset = sg.data.load("mnist", number, 50, data_dir=mnist, balanced=True, seed=6)
    counts = np.bincount(dataset.labels, minlength=10)
    assert counts.sum() == number
    assert counts.max() - counts.min() <= 1
    assert len(rows(dataset.inputs)) == number
    assert len(set(dataset.labels[:10])) > 2  # mixed, not class after class
    assert not np.array_equal(
        dataset.inputs, sg.data.load("mnist", number, 50, data_dir=mnist, balanced=True, seed=7).inputs
    )


def test_balancing_refuses_what_cannot_be(tmp_path):
    write_idx(tmp_path, train=60)
    labels = np.arange(60) % 10
    labels[labels == 7] = 3
    labels[7] = 7
    (tmp_path / IDX_NAMES[1]).write_bytes(idx_bytes(labels))
    refused(lambda: sg.data.load("mnist", 20, 5, data_dir=tmp_path, balanced=True), "1 examples of class 7", "takes 2")
    labels[7] = 3  # nine classes are left
    (tmp_path / IDX_NAMES[1]).write_bytes(idx_bytes(labels))
    dataset = sg.data.load("mnist", 20, 5, data_dir=tmp_path, balanced=True)
    assert dataset.num_classes == 10
    assert sorted(np.bincount(dataset.labels, minlength=10)) == [0, 2, 2, 2, 2, 2, 2, 2, 3, 3]
    for name in ("frames", "timit"):
        refused(lambda name=name: sg.data.load(name, 1972, 5, balanced=True), "1973 classes", "1972 balanced")


def test_too_many_examples(tmp_path):
    refused(lambda: sg.data.load("digits", 1797, 1), "1797", "digits")
    refused(lambda: sg.data.load("digits", 1797), "1797", "digits")
    refused(lambda: sg.data.load("digits", 0), "0 training")
    refused(lambda: sg.data.load("digits", 10, 0), "0 held-out")
    write_idx(tmp_path)
    refused(lambda: sg.data.load("mnist", 61, 5, data_dir=tmp_path), "60 training", "61")
    refused(lambda: sg.data.load("mnist", 60, 21, data_dir=tmp_path), "20 held-out", "21")
    assert len(sg.data.load("mnist", 60, 20, data_dir=str(tmp_path)).labels) == 60


def test_other_refusals(tmp_path):
    refused(lambda: sg.data.load("fashion_mnits", 10), "did you mean 'fashion_mnist'")
    refused(lambda: sg.data.load("digits", 10, data_dir=tmp_path), "digits", tmp_path)
    for seed in (-1, 2**32):
        refused(lambda seed=seed: sg.data.load("digits", 10, 10, seed), seed)
    for name in ("mnist", "cifar10", "timit"):
        refused(lambda name=name: sg.data.load(name, 10), name, "--data-dir")


def test_names_in_capitals():
    for name in ("MNIST", "Mnist", "MNIST5K", "CIFAR10", "Fashion_MNIST"):
        refused(lambda name=name: sg.data.load(name, 10), name, f"did you mean '{name.lower()}'")
    refused(lambda: sg.data.load(None, 10), "None")


@pytest.mark.parametrize("value", [30.0, "30", None, True, np.True_, np.float32(30), [30], np.array([30]), 1e300, 3j])
def test_numbers_that_are_not_whole(value):
    for name, options in (("num_examples", {}), ("num_test", {"num_examples": 10}), ("seed", {"num_examples": 10})):
        if name == "num_test" and value is None:
            continue
        message = refused(lambda n=name, o=options: sg.data.load("digits", **{**o, n: value}), name, "whole number")
        assert len(message) <= 300


@pytest.mark.parametrize("kind", [int, np.int8, np.int64, np.uint32, np.array, jnp.asarray])
def test_whole_numbers_of_any_make(kind):
    one, other = (sg.data.load("digits", of(30), of(20), of(7)) for of in (kind, int))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_numbers_out_of_range():
    for number in (-1, 0, np.int64(-5)):
        refused(lambda n=number: sg.data.load("digits", n), f"{number} training")
        refused(lambda n=number: sg.data.load("digits", 10, n), f"{number} held-out")
    for name in ("frames", "mnist1d", "mnist", "digits"):  # before anything is generated or looked for
        for number in (3_000_000_000, 2**64, 10**40):
            refused(lambda n=name, m=number: sg.data.load(n, m), "at most")
            refused(lambda n=name, m=number: sg.data.load(n, 10, m), "at most")
    for option in ({"label_noise": "0.1"}, {"label_noise": None}, {"balanced": "yes"}, {"balanced": 1}):
        refused(lambda o=option: sg.data.load("digits", 10, **o), next(iter(option.values())))
    refused(lambda: sg.data.load("mnist", 10, data_dir=3), "data_dir is 3")
    refused(lambda: sg.data.load("mnist", 10, data_dir="a\0b"), "a")
    refused(lambda: sg.data.load("mnist", 10, data_dir=""), "mnist")


def test_the_catalogue_tells_what_is_here(tmp_path, capsys):
    write_cifar(tmp_path)
    write_timit(tmp_path, speech([3]), speech([3]))
    here = {info.name: missing is None for info, missing in sg.data.catalogue(tmp_path)}
    assert here["cifar10"]
    assert here["timit"]
    assert here["digits"]
    assert not here["mnist"]
    assert main(["--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "mnist: " in shown
    assert "cifar10: " not in shown
    assert all(name in shown for name in sg.data.names())
    assert main([]) == 0
    assert "cifar-10-binary.tar.gz" in capsys.readouterr().out
    assert main(["--data-dir", str(tmp_path / "none")]) == 2
    assert main(["--nothing"]) == 2


@pytest.mark.parametrize("loader", module._MODULES, ids=lambda loader: loader.INFO.name)
def test_what_is_said_beforehand_is_whole(loader):
    info = loader.INFO
    assert info.num_features == np.prod(info.shape)
    assert all(text and "\n" not in text for text in (info.what, info.examples, info.how))
