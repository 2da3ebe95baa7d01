"""What ``compare`` makes of given replicas: units, parts and counts, without a simulation."""

import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd.comparison import protocol
from sdesgd.dynamics import HalvedSDE
from sdesgd.errors import InputError
from sdesgd.trajectories import Trajectories

PROBLEM = sg.Problem(lambda w, x: 0.5 * (w - x) ** 2, np.zeros(()), np.arange(8.0))
REPLICAS, LOST = 400, 40
CARDS = []  # the rates that cards were asked for
# The means at the end, and standard deviations, of x; the Gaussian and the SDE are coupled.
SGD, GAUSSIAN, SDE, HALF = (10.0, 2.0), (8.0, 6.0), (5.0, 6.0), (4.0, 6.0)


def of(values, lost=0):
    """Trajectories that start at one constant and are these numbers from then on; the last ones diverged at the end."""
    x = np.stack([np.ones(len(values)), values, values], axis=1)
    diverged = np.arange(len(values)) >= len(values) - lost
    x[diverged, -1] = np.nan
    return Trajectories(np.arange(3.0), np.arange(3), {"x": x}, {"w": np.zeros((len(values),))}, diverged)


def no_card(*args, **options):
    CARDS.append(args[1])
    raise InputError("no card")


@pytest.fixture
def given(monkeypatch):
    """``simulate`` without a simulation, and no cards."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=REPLICAS)
    asked = []

    def alone(dynamics, problem, *, replicas, **options):
        asked.append((type(dynamics).__name__, replicas))
        if isinstance(dynamics, HalvedSDE):
            return of(HALF[0] + HALF[1] * shared[:replicas])
        return of(SGD[0] + SGD[1] * rng.normal(size=replicas), LOST)

    def paired(first, second, problem, *, replicas, **options):
        z = shared[:replicas]
        return of(GAUSSIAN[0] + GAUSSIAN[1] * z), of(SDE[0] + SDE[1] * z)

    monkeypatch.setattr(protocol, "simulate", alone)
    monkeypatch.setattr(protocol, "simulate_coupled", paired)
    monkeypatch.setattr(protocol, "validity_card", no_card)
    monkeypatch.setattr(protocol, "_replica", lambda *args: None)
    return asked


def compared(rate=0.1, **options):
    return sg.compare(
        PROBLEM, sg.SGD(rate, 2), num_steps=2, save_every=1, key=jr.key(0), replicas=REPLICAS, progress="",
        observables={"x": lambda w: w}, **options,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*diverged:RuntimeWarning")
def test_parts_are_in_sgds_own_deviations_and_under_their_names(given):
    """SGD − SDE = 5 = 2.5 SD of SGD, of which 1 is SGD − Gaussian SGD; h − h/2 is 0.5. The others' SD is 6."""
    made = compared()
    wanted = {"gap": 2.5, "non_gaussian": 1.0, "discretisation": 1.5, "h_against_half": 0.5}
    for name, size in wanted.items():
        part = getattr(made, name)["x"]
        assert part.low[1] < size < part.high[1], name
        assert part.mean[1] == pytest.approx(size, abs=0.5), name
    for name in ("discretisation", "h_against_half"):  # nothing but SGD's deviation is uncertain
        part = getattr(made, name)["x"]
        assert part.high[1] - part.low[1] < 0.4 * wanted[name]
    worst = made.worst["x"]
    assert worst.mean == pytest.approx(2.5, abs=0.5)
    assert worst.low < 2.5 < worst.high
    assert made.verdicts["x"].kind == "different"
    assert given[-1] == ("HalvedSDE", 16)


@pytest.mark.filterwarnings("ignore:.*diverged:RuntimeWarning")
def test_a_margin_is_in_its_own_unit(given):
    """The gap of 5 is 2.5 SD: within 3.5 SD and within 6.5 of its own unit, but not within 3.5 of it."""
    absolute = [sg.evidence.Margin(size, "absolute") for size in (6.5, 3.5)]
    for margin, inside in ((3.5, True), (absolute[0], True), (absolute[1], False)):
        # The rates of divergence keep the verdict itself from being "equivalent".
        p_value = compared(margin=margin).verdicts["x"].equivalence_p_values[1]
        assert (p_value < 0.05) == inside, margin


@pytest.mark.filterwarnings("ignore:.*diverged:RuntimeWarning")
def test_diverged_replicas_are_counted(given):
    made = compared()
    assert made.design.replicas["SGD"] == REPLICAS
    assert made.trajectories["SGD"].diverged.sum() == LOST
    assert f"{LOST} of {REPLICAS} replicas of SGD diverged; means are over the others" in " ".join(str(made).split())
    rates = made.verdicts["x"].divergence
    assert rates.count_a == REPLICAS
    assert rates.rate_a == pytest.approx(LOST / REPLICAS)
    assert rates.rate_b == 0
    assert made.verdicts["x"].says_diverged, "by what the runs say, not by NaN in an observable"
    assert "10 % of SGD's and 0 % of the SDE's replicas diverged" in made.sentence("x")


@pytest.mark.filterwarnings("ignore:.*diverged:RuntimeWarning")
def test_the_cards_of_a_schedule_are_for_its_largest_rate(given):
    CARDS.clear()
    made = compared(rate=lambda n: 0.3 - 0.2 * n)
    assert pytest.approx([0.3, 0.3]) == CARDS
    assert made.setting.largest_rate == pytest.approx(0.3)
    assert made.setting.learning_rate == "0.1 to 0.3 (schedule)"
