"""What a comparison says of ensembles with planted gaps: parts, signs, intervals, words."""

import dataclasses
import re

import numpy as np
import pytest

from sdesgd import evidence
from sdesgd.comparison import judgement, sentences
from sdesgd.comparison.result import Comparison, Design, Setting
from sdesgd.evidence import GroupSequential
from sdesgd.evidence.margins import as_margins
from sdesgd.trajectories import Trajectories

NAMES = ("loss", "distance")
SETTING = Setting(
    "planted", "0.1", 0.1, False, 4, "replacement", "replacement", 0.0, 1, 0, 8, 4, 40, 40, 1, False, 3, "float64"
)


def run(values):
    """Trajectories of normal numbers at three times, the first of them one constant."""
    values = values.copy()
    values[:, 0] = 1.0
    arrays = {name: values for name in NAMES}
    steps = np.arange(3) * 4
    return Trajectories(steps * 0.1, steps, arrays, None, np.zeros(len(values), bool))


def planted(shift_sde=0.0, shift_gaussian=0.0, sizes=(200, 200), seed=0, margin=0.5):
    """A comparison of arms whose shifts are in SDs of SGD."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(sizes[1], 3))
    arms = {
        "SGD": run(rng.normal(size=(sizes[0], 3))),
        "Gaussian SGD": run(shared + shift_gaussian),
        "SDE": run(shared + 0.01 * rng.normal(size=(sizes[1], 3)) + shift_sde),
    }
    monitor = GroupSequential(margin=margin)
    verdicts = monitor.look(arms["SGD"].values, arms["SDE"].values, 1.0)
    gap, first, second = judgement.parts_of_the_gap(arms["SGD"], arms["Gaussian SGD"], arms["SDE"])
    looks, margins = tuple(monitor.looks), as_margins(margin, verdicts)
    replicas = {name: len(arm.diverged) for name, arm in arms.items()}
    return Comparison(
        time=arms["SGD"].time,
        step=arms["SGD"].step,
        labels={name: name for name in NAMES},
        verdicts=verdicts,
        against={},
        gap=gap,
        non_gaussian=first,
        discretisation=second,
        h_against_half={},
        worst=judgement.worst_gaps(arms["SGD"], arms["SDE"], looks, verdicts),
        cards={},
        laws=judgement.joint_laws(arms, 0),
        trajectories=arms,
        setting=SETTING,
        design=Design(False, looks, "fixed", margins, 0.05, replicas, 0, 0.0, {}),
        not_established={},
    )


@pytest.mark.parametrize(
    ("options", "kind", "total", "non_gaussian", "discretisation"),
    [
        ({}, "equivalent", 0, 0, 0),
        ({"shift_sde": 1.0}, "different", -1, 0, -1),
        ({"shift_sde": 1.0, "shift_gaussian": 1.0}, "different", -1, -1, 0),
        ({"sizes": (20, 20)}, "inconclusive", 0, 0, 0),
        ({"shift_sde": 1.0, "sizes": (300, 60)}, "different", -1, 0, -1),
    ],
)
def test_parts_have_their_sign_and_add_up(options, kind, total, non_gaussian, discretisation):
    """SGD − SDE < 0 when the SDE lies above; Gaussian SGD and the SDE shifted together is non-Gaussianity."""
    made = planted(**options)
    assert made.verdicts["loss"].kind == kind
    wanted = {"gap": total, "non_gaussian": non_gaussian, "discretisation": discretisation}
    parts = {name: getattr(made, name)["loss"] for name in wanted}
    for name, part in parts.items():
        assert part.low[-1] - 0.15 < wanted[name] < part.high[-1] + 0.15, name
        assert part.low[-1] <= part.mean[-1] <= part.high[-1]
        assert np.isnan(part.mean[0]), "at the common start there is no SD to divide by"
    np.testing.assert_allclose(parts["gap"].mean[1:], (parts["non_gaussian"].mean + parts["discretisation"].mean)[1:])
    if discretisation == 0:  # else SGD's estimated SD widens it too
        widths = [part.high[-1] - part.low[-1] for part in (parts["discretisation"], parts["gap"])]
        assert widths[0] < 0.1 * widths[1]


@pytest.mark.slow
def test_intervals_of_the_parts_cover_and_count_the_uncertain_deviation():
    """True gap 0.8 SD, coupled within 0.1 SD: 95 % of 300 intervals cover, for the total and the coupled part alike."""
    rng, hits, repetitions = np.random.default_rng(1), np.zeros(2), 300
    for _ in range(repetitions):
        sgd, gaussian = rng.normal(size=(2, 64, 3))
        arms = [run(x) for x in (sgd, gaussian, gaussian - 0.8 + 0.1 * rng.normal(size=(64, 3)))]
        total, _, coupled = judgement.parts_of_the_gap(*arms)
        hits += [part["loss"].low[1] < 0.8 < part["loss"].high[1] for part in (total, coupled)]
    assert np.all(np.abs(hits / repetitions - 0.95) < 4 * np.sqrt(0.95 * 0.05 / repetitions)), hits


def test_the_worst_gap_has_a_wider_interval_than_a_pointwise_one():
    made = planted(shift_sde=0.4)
    worst, pointwise = made.worst["loss"], made.gap["loss"]
    assert worst.step == made.step[worst.index]
    assert worst.mean == pytest.approx(pointwise.mean[worst.index])
    assert worst.low < pointwise.low[worst.index] < pointwise.high[worst.index] < worst.high


def test_looks_at_the_data_widen_the_interval_of_the_worst_gap():
    made = planted(shift_sde=0.4)
    (last,) = made.design.looks
    earlier = [dataclasses.replace(last, fraction=fraction) for fraction in (0.3, 0.6)]
    arms = made.trajectories["SGD"], made.trajectories["SDE"]
    worst = judgement.worst_gaps(*arms, (*earlier, last), made.verdicts)["loss"]
    assert worst.high - worst.low > 1.05 * (made.worst["loss"].high - made.worst["loss"].low)


def test_the_sentence_names_parts_signs_and_the_step():
    made = planted(shift_sde=1.0)
    text, worst = made.sentence("loss"), made.worst["loss"]
    assert text.startswith(f"different; least alike at step {worst.step}, SGD − SDE = {worst.mean:+.2f} SD [")
    assert worst.mean < -0.5
    finite, other = re.search(r"\((\S+) \[\S+ \S+\] by finite η, (\S+) \[\S+ \S+\] by non-Gaussian", text).groups()
    assert float(finite) < -0.5 < float(other)
    assert made.answer == "No: 2 of 2 observables differ, 0 are equivalent."
    assert "nan" not in str(made)


def test_a_real_difference_within_the_margin_is_equivalent_and_said_to_be_real():
    text = planted(shift_sde=0.25, sizes=(2000, 2000)).sentence("loss")
    assert text.startswith("equivalent; ")
    assert "agree within 0.5 SD at every saved step; a difference within the margin was detected" in text


@pytest.mark.slow
def test_margins_in_other_units_change_the_verdict_and_not_the_gap():
    tight = planted(shift_sde=0.25, sizes=(2000, 2000), margin=evidence.Margin(0.1, "absolute"))
    assert tight.verdicts["loss"].kind == "different"
    assert "0.1 in its own units" in str(tight)
    loose = planted(shift_sde=0.25, sizes=(2000, 2000), margin=evidence.Margin(0.5, "absolute"))
    assert loose.verdicts["loss"].kind == "equivalent"
    np.testing.assert_array_equal(tight.gap["loss"].mean, loose.gap["loss"].mean)


def test_the_joint_law_sees_what_means_do_not():
    """Equal means and variances, opposite correlations of the two observables at the end."""
    rng = np.random.default_rng(0)

    def arm(sign):
        z = rng.normal(size=(150, 2, 3))
        made = run(z[:, 0])
        values = {"loss": made.values["loss"], "distance": 0.8 * sign * z[:, 0] + 0.6 * z[:, 1]}
        return Trajectories(made.time, made.step, values, None, made.diverged)

    laws = judgement.joint_laws({"SGD": arm(1), "SDE": arm(-1), "Gaussian SGD": arm(1)}, 0)
    assert laws["SGD against SDE"] < 0.01 < laws["SGD against Gaussian SGD"]


def test_components_of_vectors_are_observables_of_their_own():
    made = run(np.random.default_rng(0).normal(size=(4, 3)))
    values = {"theta": np.zeros((4, 3, 2)), "loss": made.values["loss"]}
    vector = Trajectories(made.time, made.step, values, None, made.diverged)
    split, labels = judgement.scalars_of(vector, {"loss": "loss (nats)", "theta": "θ"})
    assert list(split.values) == ["loss", "theta[0]", "theta[1]"]
    assert labels == {"loss": "loss (nats)", "theta[0]": "θ [0]", "theta[1]": "θ [1]"}


def test_the_answer_counts():
    assert sentences.answer(planted(sizes=(20, 20))).startswith("Undecided: 2 of 2 observables need more replicas")


def test_labels_in_brackets_are_text_and_not_markup():
    made = planted()
    labels = {"loss": "loss [nats]", "distance": "rate [/s]"}
    text = str(dataclasses.replace(made, labels=labels))
    assert "loss [nats]" in text
    assert "rate [/s]" in text


def test_where_there_is_no_interval_the_sentence_says_why():
    few = planted(sizes=(2, 2)).sentence("loss")
    assert "with too few replicas for an interval" in few
    arms = [run(np.full((5, 3), np.nan)) for _ in range(2)]
    made = planted()
    worst = judgement.worst_gaps(*arms, made.design.looks, made.verdicts)
    gone = dataclasses.replace(made, worst=worst).sentence("loss")
    assert "fewer than two replicas of SGD or of the SDE are finite" in gone


def test_the_check_of_the_step_is_held_against_the_margin_in_any_unit():
    """An interval to 0.3 SD, where an SD is 2: within 0.5 SD and 0.7 units, not within 0.5 units; NaN never is."""
    sgd = 2 * np.random.default_rng(0).normal(size=(4000, 1))
    part = judgement.GapEstimate(*(np.array([x]) for x in (0.1, -0.1, 0.3)))
    for margin, within in (
        (evidence.Margin(0.5), True),
        (evidence.Margin(0.7, "absolute"), True),
        (evidence.Margin(0.5, "absolute"), False),
    ):
        assert judgement.within_margin(part, 0, margin, sgd) == within
    lost = judgement.GapEstimate(*(np.array([np.nan]) for _ in range(3)))
    assert not judgement.within_margin(lost, 0, evidence.Margin(0.5), sgd)
