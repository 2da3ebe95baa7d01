"""TIMIT from Kaldi tables that the tests write: the frames, the splicing, the states."""

import numpy as np
import pytest

import sdesgd as sg
from sdesgd.data import timit
from sdesgd.data.loader import Request
from tests.data.written import refused, speech, write_timit

TRAIN, TEST = speech([5, 12, 30, 1], seed=1), speech([7, 9], seed=2)


def spliced(features):
    """All spliced frames of all utterances, by explicit loops."""
    rows = []
    for frames in features.values():
        last = len(frames) - 1
        for t in range(len(frames)):
            rows.append(np.concatenate([frames[min(max(t + d, 0), last)] for d in (-4, -3, -2, -1, 0, 1, 2, 3, 4)]))
    return np.array(rows)


def read(folder):
    return timit.read(Request(1, 1, 0, False, folder))


@pytest.mark.parametrize("scp", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_are_spliced_in_order(tmp_path, scp, dtype):
    parts = [({name: x.astype(dtype) for name, x in features.items()}, states) for features, states in (TRAIN, TEST)]
    write_timit(tmp_path, *parts, scp=scp)
    found = read(tmp_path)
    for part, (features, states) in ((found.train, TRAIN), (found.test, TEST)):
        expected, labels = spliced(features), np.concatenate(list(states.values()))
        np.testing.assert_array_equal(part.labels, labels)
        order = np.random.default_rng(0).permutation(len(labels))
        np.testing.assert_array_equal(part.rows(order), expected[order])
        np.testing.assert_array_equal(part.rows(order[:3]), expected[order[:3]])


def test_absolute_paths_in_an_scp_and_an_scp_before_an_ark(tmp_path):
    write_timit(tmp_path / "archives", TRAIN, TEST, scp=True)
    write_timit(tmp_path, speech([3]), TEST)
    for stem in ("feats", "ali"):
        there = tmp_path / "archives" / "train"
        lines = (there / f"{stem}.scp").read_text().replace(" ", f"\t{there}/")
        (tmp_path / "train" / f"{stem}.scp").write_text(f"\n{lines}\n")
    np.testing.assert_array_equal(read(tmp_path).train.labels, np.concatenate(list(TRAIN[1].values())))


@pytest.mark.parametrize(
    "entry", ["{outside}/feats.ark", "../../outside/feats.ark", "../train/../../outside/feats.ark", "down/../feats.ark"]
)
def test_an_scp_does_not_lead_out_of_the_folder_that_was_named(tmp_path, entry):
    """The last entry climbs from where a link leads, which the text doesn't show."""
    named, outside = tmp_path / "named", tmp_path / "outside"
    write_timit(named, TRAIN, TEST, scp=True)
    (outside / "below").mkdir(parents=True)
    (named / "train" / "feats.ark").rename(outside / "feats.ark")
    (named / "train" / "down").symlink_to(outside / "below")
    index = named / "train" / "feats.scp"
    lines = index.read_text()
    index.write_text(lines.replace("feats.ark", entry.format(outside=outside)))
    refused(lambda: sg.data.load("timit", 20, 5, data_dir=named), index, "line 1", "lies outside")
    # A link of the user's own is the user's word, and a folder above both holds all of them.
    index.write_text(lines)
    (named / "train" / "feats.ark").symlink_to(outside / "feats.ark")
    assert len(read(named).train.labels) == 48
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(named / part)
    index.write_text(lines.replace("feats.ark", f"{outside}/feats.ark"))
    assert len(read(tmp_path).train.labels) == 48


def test_frames_spliced_already_are_not_spliced_again(tmp_path):
    wide = speech([4, 6], columns=360)
    write_timit(tmp_path, wide, TEST)
    np.testing.assert_array_equal(read(tmp_path).train.rows(np.arange(10)), np.concatenate(list(wide[0].values())))
    mixed = {"utt0": wide[0]["utt0"], "utt1": TRAIN[0]["utt1"][:6]}
    write_timit(tmp_path, (mixed, wide[1]), TEST)
    refused(lambda: read(tmp_path), tmp_path, "360", "40")


@pytest.mark.parametrize(("method", "step"), [(2, 1 / 60), (3, 1.01 / 65535), (5, 1.01 / 255)])
def test_compressed_matrices(tmp_path, method, step):
    write_timit(tmp_path, TRAIN, TEST, scp=True, compression_method=method)
    token = {2: b"\0BCM ", 3: b"\0BCM2 ", 5: b"\0BCM3 "}[method]
    assert (tmp_path / "train" / "feats.ark").read_bytes().startswith(b"utt0 " + token)
    found, expected = read(tmp_path).train.rows(np.arange(48)), spliced(TRAIN[0])
    ranges = np.concatenate([np.full(len(x), np.ptp(x)) for x in TRAIN[0].values()])[:, None]
    assert (np.abs(found - expected) <= step * ranges).all()


def test_each_feature_is_standardised_by_the_training_part(tmp_path):
    write_timit(tmp_path, TRAIN, TEST)
    dataset = sg.data.load("timit", 48, 16, data_dir=tmp_path)
    assert (dataset.shape, dataset.num_classes, dataset.inputs.dtype) == ((360,), 1973, np.float32)
    assert dataset.inputs.shape == (48, 360)
    train, test = spliced(TRAIN[0]).astype(float), spliced(TEST[0]).astype(float)
    mean, spread = train.mean(axis=0), train.std(axis=0)
    for inputs, labels, rows, (_, states) in (
        (dataset.inputs, dataset.labels, train, TRAIN),
        (dataset.test_inputs, dataset.test_labels, test, TEST),
    ):
        expected = (rows - mean) / spread
        nearest = np.abs(inputs[:, None] - expected).max(axis=2)
        assert sorted(nearest.argmin(axis=1)) == list(range(len(rows)))
        assert nearest.min(axis=1).max() < 1e-4
        np.testing.assert_array_equal(labels, np.concatenate(list(states.values()))[nearest.argmin(axis=1)])


def test_a_constant_channel_stays_finite(tmp_path):
    features = {name: x.copy() for name, x in TRAIN[0].items()}
    for x in features.values():
        x[:, 7] = 0.1
    write_timit(tmp_path, (features, TRAIN[1]), TEST)
    dataset = sg.data.load("timit", 40, 10, data_dir=tmp_path)
    assert (dataset.inputs.reshape(-1, 9, 40)[:, :, 7] == 0).all()
    assert np.isfinite(dataset.test_inputs).all()


def test_features_and_alignment_must_match(tmp_path):
    features, states = TRAIN
    write_timit(tmp_path, (features, {k: v for k, v in states.items() if k != "utt1"}), TEST)
    refused(lambda: read(tmp_path), tmp_path / "train", "'utt1'", "12 frames", "no alignment")
    write_timit(tmp_path, (features, {**states, "utt2": states["utt2"][:-1]}), TEST)
    refused(lambda: read(tmp_path), tmp_path / "train", "'utt2'", "30 frames", "29")
    write_timit(tmp_path, (features, {**states, "more": states["utt2"]}), TEST)
    assert len(read(tmp_path).train.labels) == 48


@pytest.mark.parametrize("state", [-1, 1973, 2**31 - 1])
def test_states_out_of_range(tmp_path, state):
    states = {**TEST[1], "utt1": TEST[1]["utt1"].copy()}
    states["utt1"][3] = state
    write_timit(tmp_path, TRAIN, (TEST[0], states))
    refused(lambda: read(tmp_path), tmp_path / "test", "'utt1'", state, "1972", "ali-to-pdf")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_non_finite_features(tmp_path, value):
    features = {name: x.astype(float) for name, x in TRAIN[0].items()}
    features["utt1"][2:4, 5] = value
    write_timit(tmp_path, (features, TRAIN[1]), TEST)
    refused(lambda: read(tmp_path), tmp_path / "train" / "feats.ark", "'utt1'", "2 of 12 × 40")


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("stem", ["feats", "ali"])
def test_a_missing_table_is_named(tmp_path, part, stem):
    write_timit(tmp_path, TRAIN, TEST)
    (tmp_path / part / f"{stem}.ark").unlink()
    refused(lambda: sg.data.load("timit", 5, 5, data_dir=tmp_path), tmp_path / part, f"{stem}.ark", "--data-dir")
