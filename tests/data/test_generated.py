"""The generated sets: seeded, any size, learnable; the chain's law against its equations."""

import random

import numpy as np
import pytest

import sdesgd as sg
from sdesgd.data import frames, mnist1d


@pytest.mark.parametrize(
    ("name", "number", "shape", "classes"), [("mnist1d", 83, (40,), 10), ("frames", 301, (360,), 1973)]
)
def test_same_seed_same_arrays(name, number, shape, classes):
    first, again, other = (sg.data.load(name, number, 57, seed=seed) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.inputs, other.inputs)
    assert first.inputs.shape == (number, *shape)
    assert first.test_inputs.shape == (57, *shape)
    assert (first.shape, first.num_classes) == (shape, classes)
    assert first.inputs.dtype == first.test_inputs.dtype == np.float32
    assert first.labels.dtype == first.test_labels.dtype == np.int32
    assert not {row.tobytes() for row in first.inputs} & {row.tobytes() for row in first.test_inputs}
    assert len(sg.data.load(name, 20).test_labels) == 1000


def nearest_mean(dataset):
    """Held-out accuracy of the nearest class mean, and of the commonest class."""
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
    means = np.zeros((dataset.num_classes, dataset.inputs.shape[1]))
    np.add.at(means, dataset.labels, dataset.inputs)
    means /= np.maximum(counts, 1)[:, None]
    scores = dataset.test_inputs @ means.T - 0.5 * (means**2).sum(axis=1)
    scores[:, counts == 0] = -np.inf
    right = (scores.argmax(axis=1) == dataset.test_labels).mean()
    return right, (dataset.test_labels == counts.argmax()).mean()


def test_both_global_generators_are_put_back():
    of_numpy, of_python = np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    with mnist1d.global_generators_kept():
        np.random.seed(5)  # noqa: NPY002
        random.seed(5)
    np.testing.assert_equal(np.random.get_state(legacy=False), of_numpy)  # noqa: NPY002
    assert random.getstate() == of_python


def test_mnist1d_can_be_learnt_and_leaves_the_global_generator():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    dataset = sg.data.load("mnist1d", 1000, 300, balanced=True)
    assert np.random.random() == expected  # noqa: NPY002
    assert np.bincount(dataset.labels).tolist() == [100] * 10
    assert nearest_mean(dataset)[0] > 0.2  # chance 0.1, its standard error 0.017


def test_frames_can_be_learnt():
    right, commonest = nearest_mean(sg.data.load("frames", 20_000, 2000))
    assert right > 0.3
    assert commonest < 0.03


def test_frames_can_be_balanced():
    dataset = sg.data.load("frames", 2000, 10, balanced=True)
    counts = np.bincount(dataset.labels, minlength=1973)
    assert (counts.min(), counts.max(), counts.sum()) == (1, 2, 2000)


def test_states_go_left_to_right_and_last_as_long_as_said():
    spoken = frames.language()
    assert spoken.size.sum() == 1973
    assert spoken.frequencies.sum() == pytest.approx(1)
    states = frames.state_sequences(spoken, 400, np.random.default_rng(0))
    assert states.shape == (400, 300)
    last = spoken.first + spoken.size - 1
    before, after = states[:, :-1].ravel(), states[:, 1:].ravel()
    stays, next_in_unit = after == before, after == before + 1
    next_unit = np.isin(before, last) & np.isin(after, spoken.first)
    assert (stays | (next_in_unit & ~np.isin(before, last)) | next_unit).all()
    # A state is left with probability 1/3; a unit followed by itself looks like a stay only if it had one state.
    left = 1 - stays.mean()
    assert left == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / stays.size))
    shares = np.bincount(states.ravel(), minlength=1973)
    by_unit = np.add.reduceat(shares, spoken.first) / states.size
    expected = spoken.frequencies * spoken.size / (spoken.frequencies * spoken.size).sum()
    commonest = np.argsort(-expected)[:50]
    np.testing.assert_allclose(by_unit[commonest], expected[commonest], rtol=0.5)


def test_emissions_have_the_law_of_their_equations():
    """One state held: mean μ, variance σ², correlation ρ of neighbours; a change of state moves the mean by half."""
    spoken = frames.language()
    states = np.full((4000, 6), 17)
    states[:, 3:] = 900
    scaled = (frames.emissions(spoken, states, np.random.default_rng(1)) - spoken.level) / spoken.spread
    n, sd = len(states), frames.NOISE
    old, new = spoken.means[17], spoken.means[900]
    for t, mean in ((0, old), (2, old), (3, (old + new) / 2), (4, old / 4 + 3 * new / 4)):
        assert np.abs(scaled[:, t].mean(axis=0) - mean).max() < 5 * sd / np.sqrt(n)
        assert np.abs(scaled[:, t].var(axis=0) / sd**2 - 1).max() < 5 * np.sqrt(2 / n)
    here, there = (scaled[:, t] - scaled[:, t].mean(axis=0) for t in (1, 2))
    correlation = (here * there).mean(axis=0) / sd**2
    assert np.abs(correlation - frames.PERSISTENCE).max() < 5 * np.sqrt(1.25 / n)


def test_windows_hold_the_neighbours():
    """Unstandardised: the middle of a window is the frame, its sides the frames before and after it."""
    spoken = frames.language()
    part = frames._part(spoken, [7, 0], 200, 0)
    rows = part.rows(np.arange(300)).reshape(300, 9, 40)  # the first utterance
    frame = rows[:, 4]
    for k in range(9):
        clamped = [min(max(t + k - 4, 0), 299) for t in range(300)]
        np.testing.assert_array_equal(rows[:, k], frame[clamped])
    order = np.random.default_rng(0).permutation(len(part.labels))[:500]
    np.testing.assert_array_equal(part.rows(order)[0], part.rows(order[:1])[0])
