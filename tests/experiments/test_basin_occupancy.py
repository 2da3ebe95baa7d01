"""basin-occupancy at toy size: exact laws and theory against independent numbers, verdicts, resuming, refusals."""

import dataclasses
import itertools
import json
import math

import jax
import jax.random as jr
import numpy as np
import pytest
import xarray as xr
from scipy import integrate, optimize, sparse
from scipy.sparse import linalg

from derivations import claim
from experiments.__main__ import EXPERIMENTS
from experiments._shared import cli, running
from experiments.basin_occupancy import sources, verdicts
from experiments.basin_occupancy.config import POTENTIALS, Config, implied
from experiments.basin_occupancy.result import Measured, Row, Theory
from experiments.basin_occupancy.setting import build
from sdesgd import toys
from sdesgd.errors import InputError
from sdesgd.stationary.gibbs import GibbsSample
from tests.experiments.toy_experiment import stage_files

pytestmark = pytest.mark.slow

TOY = {
    "temperatures": "0.02,0.12",
    "batch_size": 1,
    "replicas": 256,
    "crossings": 2000,
    "steps": 20_000,
    "nuts_samples": 0,
    "curve_points": 2,
    "etas": 5,
}
CONFIG = Config(**TOY)
OPTIONS = itertools.chain.from_iterable((f"--{k.replace('_', '-')}", str(v)) for k, v in TOY.items())
COMMAND = ["basin-occupancy", *OPTIONS]
T, ETA = 0.12, 0.1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One toy run, shared; JAX set to 32 bits, as it is for users."""
    folder = tmp_path_factory.mktemp("results")
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, [*COMMAND, "--results", str(folder)]) == 0
    (made,) = (folder / "basin-occupancy").iterdir()
    return made


@pytest.fixture(scope="module")
def summary(finished):
    return json.loads((finished / "summary.json").read_text())


@pytest.fixture(scope="module")
def kept(finished):
    kept, _ = running.read_run(EXPERIMENTS["basin-occupancy"], finished)
    return kept


@pytest.fixture(scope="module")
def setting():
    return build(CONFIG)


# -- the asymmetric double well, by hand ------------------------------------------------------------------------


def value(x):
    return (x**2 - 1) ** 2 / 4 * (1 + 0.6 * x / np.sqrt(1 + x**2)) - x / 30


def slope(x):
    root = np.sqrt(1 + x**2)
    return x * (x**2 - 1) * (1 + 0.6 * x / root) + (x**2 - 1) ** 2 / 4 * 0.6 / root**3 - 1 / 30


LEFT, TOP, RIGHT = (optimize.brentq(slope, *ends, xtol=1e-14) for ends in ((-1.3, -0.6), (-0.3, 0.4), (0.6, 1.3)))


def share(density):
    """P(right) by adaptive quadrature; the right well is the deeper, A."""
    ends, options = ((-4, TOP), (TOP, 4)), dict(epsabs=0, epsrel=1e-9, limit=200)
    left, right = (
        integrate.quad(density, *side, points=[p], **options)[0] for side, p in zip(ends, (LEFT, RIGHT), strict=True)
    )
    return right / (left + right)


def gibbs(temperature):
    return share(lambda x: math.exp(-value(x) / temperature))


def share_of_sgd(eta, kicks, probabilities, temperature):
    """P(right) under θ ← θ − η(V′ + kick): mass split linearly over 8,000 cells, the ridge's cell too."""
    del temperature
    x = np.linspace(-2.6, 2.4, 8001)
    rows, columns, weights = [], [], []
    for kick, p in zip(kicks, probabilities, strict=True):
        at = np.clip((x - eta * (slope(x) + kick) - x[0]) / (x[1] - x[0]), 0, len(x) - 1.000001)
        low = at.astype(int)
        for k, w in ((0, 1 - (at - low)), (1, at - low)):
            rows.append(np.arange(len(x)))
            columns.append(low + k)
            weights.append(p * w)
    entries = (np.concatenate(weights), (np.concatenate(columns), np.concatenate(rows)))
    matrix = sparse.coo_array(entries, shape=(len(x),) * 2).tocsc()
    _, law = linalg.eigs(matrix, k=1, sigma=1 + 1e-9)
    law = np.real(law[:, 0]) / np.real(law[:, 0]).sum()
    return float(law @ np.clip(0.5 + (x - TOP) / (x[1] - x[0]), 0, 1))


# -- exact laws and theory, against others ----------------------------------------------------------------------


def test_quadrature_stage_against_adaptive_quadrature(summary):
    for row, temperature in zip(summary["temperatures"], (0.02, 0.12), strict=True):
        assert row["theory"]["gibbs"][0] == pytest.approx(gibbs(temperature), abs=2e-5)
        assert sum(row["theory"]["gibbs"]) == pytest.approx(1)


@pytest.mark.parametrize("tilts", ["symmetric", "skewed"])
def test_exact_law_of_sgd_against_another_discretisation(setting, tilts):
    """Points of the stage to 0.02 of a point, where SGD is 1 (symmetric) and 15 (skewed) points from Gibbs."""
    variance = 2 * T / ETA
    kicks = [math.sqrt(variance), -math.sqrt(variance)]
    if tilts == "skewed":
        kicks = [math.sqrt(variance / 3) * k for k in (3, -1, -1, -1)]
    want = share_of_sgd(ETA, kicks, np.full(len(kicks), 1 / len(kicks)), T)
    skewed = dataclasses.replace(setting, config=dataclasses.replace(CONFIG, tilts=tilts))
    found = sources.exact(skewed, "SGD", T).occupancy
    assert found[0] == pytest.approx(want, abs=2e-4)
    assert abs(want - gibbs(T)) > (0.1 if tilts == "skewed" else 0.002)


def test_exact_law_of_gaussian_sgd_against_nystrom(setting):
    """π(y) = ∫ N(y; x − ηV′(x), 2Tη) π(x) dx by the trapezoid rule, whose error vanishes faster than any power."""
    x = np.linspace(-2.8, 2.6, 700)
    spread = 2 * T * ETA
    kernel = np.exp(-((x[:, None] - (x - ETA * slope(x))) ** 2) / (2 * spread)) * (x[1] - x[0])
    _, law = linalg.eigs(kernel / math.sqrt(2 * math.pi * spread), k=1, which="LM")
    law = np.real(law[:, 0])
    fine = np.linspace(x[0], x[-1], 200_001)
    density = np.interp(fine, x, law)
    want = density[fine > TOP].sum() / density.sum()
    assert sources.exact(setting, "Gaussian SGD", T).occupancy[0] == pytest.approx(want, abs=2e-4)
    assert abs(want - gibbs(T)) > 0.005


def test_exact_laws_tend_to_gibbs(setting, summary):
    """The factor of 2 in σ² = 2ST/η and all others: at η = 0.001 SGD is within 0.1 points of Gibbs, of S = 3 too."""
    three = dataclasses.replace(setting, config=dataclasses.replace(CONFIG, batch_size=3))
    for chosen in (setting, three):
        assert sources.exact(chosen, "SGD", T, 0.001).occupancy[0] == pytest.approx(gibbs(T), abs=1e-3)
    assert abs(gibbs(T) - gibbs(2 * T)) > 0.02
    assert abs(summary["powers"]["arms"]["Gaussian SGD"]["order"] - 1) < 0.05


def test_skewed_tilts_approach_with_half_the_power(setting):
    rates = ETA / 2.0 ** np.arange(8, 3, -1)
    skewed = dataclasses.replace(setting, config=dataclasses.replace(CONFIG, tilts="skewed"))
    laws = np.array([sources.exact(skewed, "SGD", T, float(eta)).occupancy for eta in rates])
    dataset = xr.Dataset(
        {"limit_SGD": (("limit_eta", "basin"), laws), "limit_reference": ("basin", [gibbs(T), 1 - gibbs(T)])},
        {"limit_eta": rates},
    ).assign(limit_T=T)
    flat = dataset["limit_SGD"] * 0 + dataset["limit_reference"] + (1e-3 * dataset["limit_eta"])
    found = verdicts.powers(dataset.assign({"limit_Gaussian SGD": flat}), skewed, 0).arms
    assert found["SGD"].order == pytest.approx(0.5, abs=0.02)
    assert found["Gaussian SGD"].order == pytest.approx(1, abs=1e-3)
    assert found["SGD"].expected == 0.5


def test_powers_are_not_measured_across_a_change_of_sign(setting):
    rates = ETA / 2.0 ** np.arange(5, -1, -1)
    values = np.stack([0.5 + 1e-3 * (rates - rates[3]), 0.5 - 1e-3 * (rates - rates[3])], axis=1)
    laws = {f"limit_{arm}": (("limit_eta", "basin"), values) for arm in ("SGD", "Gaussian SGD")}
    dataset = xr.Dataset({**laws, "limit_reference": ("basin", [0.5, 0.5])}, {"limit_eta": rates}).assign(limit_T=T)
    found = verdicts.powers(dataset, setting, 0).arms["SGD"]
    assert found.fit is None
    assert math.isnan(found.order)


def test_laplace_against_the_claims_by_hand(setting):
    """Depths and curvatures by finite differences of V by hand; the one-dimensional claim for the next order."""
    h = 1e-3
    curvatures = [(slope(x + h) - slope(x - h)) / (2 * h) for x in (RIGHT, LEFT)]
    odds = claim("two-basins").function()(0.05, value(RIGHT), value(LEFT), *curvatures)
    assert sources.laplace(setting, 0.05)[0] == pytest.approx(odds / (1 + odds), abs=1e-6)
    factors = []
    for x, second in zip((RIGHT, LEFT), curvatures, strict=True):
        third = (slope(x + h) - 2 * slope(x) + slope(x - h)) / h**2
        fourth = (slope(x + 2 * h) - 2 * slope(x + h) + 2 * slope(x - h) - slope(x - 2 * h)) / (2 * h**3)
        factors.append(claim("laplace-correction").function()(0.05, second, third, fourth))
    odds *= factors[0] / factors[1]
    found = sources.corrected_laplace(setting, 0.05, sources.contractions(setting))[0]
    assert found == pytest.approx(odds / (1 + odds), abs=1e-5)
    # Each order is nearer to the truth, by a margin that tells them apart.
    errors = [abs(p - gibbs(0.03)) for p in (sources.laplace(setting, 0.03)[0], 0)]
    corrected = sources.corrected_laplace(setting, 0.03, sources.contractions(setting))[0]
    assert abs(corrected - gibbs(0.03)) < errors[0] / 5


def test_modulated_noise(setting):
    """The Itô density by hand, ∝ C⁻¹ exp(−∫V′/(Tφ′²)); Laplace's odds and Kramers' rates from it; SGD tends to it."""
    config = dataclasses.replace(CONFIG, noise="modulated")
    other = dataclasses.replace(setting, config=config)
    bend = lambda x: (1 + math.tanh(x) / 8) ** 2  # noqa: E731

    def density(x):
        return math.exp(-integrate.quad(lambda z: slope(z) / bend(z), 0, x)[0] / T) / bend(x)

    want = share(density)
    assert sources.quadrature(other, sources.reference(other, T))[0] == pytest.approx(want, abs=1e-4)
    assert abs(want - gibbs(T)) > 0.05, "Gibbs is wrong by many points"
    assert sources.exact(other, "SGD", T, 0.005).occupancy[0] == pytest.approx(want, abs=2e-3)
    # At a low temperature rates out of the wells stand in the ratio of Laplace's weights, by detailed balance.
    rates, weights = other.rates(0.03), sources.laplace(other, 0.03)
    assert rates[0, 1] * weights[0] == pytest.approx(rates[1, 0] * weights[1], rel=1e-6)
    assert weights[0] == pytest.approx(sources.quadrature(other, sources.reference(other, 0.03))[0], abs=0.01)


# -- runs ---------------------------------------------------------------------------------------------------------


def test_runs_agree_with_the_exact_laws(summary):
    """Within 4.5 standard errors of less than 2 points; a slip in T is for the exact laws above to show."""
    row = summary["temperatures"][1]
    for arm, law in (("SGD", row["exact"]["SGD"]), ("SDE", row["theory"]["gibbs"])):
        measured = row["measured"][arm]
        assert abs(measured["probabilities"][0] - law[0]) < 4.5 * measured["standard_errors"][0]
        assert 0 < measured["standard_errors"][0] < 0.02
        assert 1000 < measured["crossings"][0] < 3000
    assert summary["own_laws"]["count"] == 3
    assert summary["own_laws"]["p_value"] > 0.001


def test_a_cold_temperature_is_refused_and_the_rest_goes_on(summary):
    cold, warm = summary["temperatures"]
    assert "would not mix: by Kramers' rates each of 256 replicas needs" in cold["refused"]
    assert cold["measured"] == {}
    assert cold["verdicts"] == [None, None]
    assert warm["refused"] is None


def test_the_plan_is_kramers(setting):
    """√(V″|V″_s|)/2π e^{−ΔV/T} each way; K = 2π_A k_AB η n R."""
    h, temperature = 1e-3, 0.08
    bend = {x: abs(slope(x + h) - slope(x - h)) / (2 * h) for x in (LEFT, TOP, RIGHT)}
    out = [
        math.sqrt(bend[x] * bend[TOP]) / (2 * math.pi) * math.exp(-(value(TOP) - value(x)) / temperature)
        for x in (RIGHT, LEFT)
    ]
    np.testing.assert_allclose(setting.rates(temperature)[[0, 1], [1, 0]], out, rtol=1e-5)
    share_of_a = out[1] / sum(out)
    burn_in, steps = setting.plan(temperature)
    assert steps == pytest.approx(2000 / (2 * share_of_a * out[0] * ETA * 256), abs=1.5)
    assert burn_in == pytest.approx(4 / sum(out) / ETA, rel=1e-2)
    assert setting.barrier == pytest.approx(value(TOP) - value(LEFT))


def test_a_finished_stage_is_kept(finished, summary, monkeypatch, capsys):
    calls = []
    original = sources.measure_occupancy

    def counted(dynamics, *arguments, **options):
        calls.append(type(dynamics).__name__)
        return original(dynamics, *arguments, **options)

    monkeypatch.setattr(sources, "measure_occupancy", counted)
    stage_files(finished.parent.parent)["sde-T0.12"].unlink()
    with jax.enable_x64(False):
        assert cli.main(EXPERIMENTS, [*COMMAND, "--results", str(finished.parent.parent)]) == 0
    assert calls == ["SDE"]
    assert "stage 'exact': kept from an earlier run" in capsys.readouterr().err
    again = json.loads((finished / "summary.json").read_text())
    assert again["temperatures"] == summary["temperatures"]


def test_ctrl_c_keeps_no_half_stage(setting, monkeypatch):
    def cut_short(*_, **__):
        raise InputError("the run was interrupted, so nothing is known of its occupancy: run it again")

    monkeypatch.setattr(sources, "measure_occupancy", cut_short)
    with pytest.raises(KeyboardInterrupt):
        sources.simulated(setting, "SGD", T, jr.key(0))


def test_a_refusal_after_the_run_is_kept_with_its_reason(setting, monkeypatch):
    def too_few(*_, **__):
        raise InputError("not mixed: 3 crossings")

    monkeypatch.setattr(sources, "measure_occupancy", too_few)
    found = sources.simulated(setting, "SDE", T, jr.key(0))
    assert found.attrs["refused"] == "not mixed: 3 crossings"
    assert np.isnan(found["probabilities"]).all()


def test_nuts_is_counted_by_basin_and_refused_beyond_four_temperatures(setting, monkeypatch):
    """Independent draws from Gibbs in place of the chains; the barrier handed over is the shallow well's."""
    asked = {}

    def draws(potential, temperature, starts, *, barrier, samples, key):
        asked.update(barrier=barrier, starts=starts)
        x = np.linspace(-2.5, 2.5, 200_001)
        weights = np.cumsum(np.exp(-value(x) / temperature))
        uniform = np.random.default_rng(0).random((4, 5000))
        points = np.interp(uniform, weights / weights[-1], x)[:, :, None]
        return GibbsSample(points, np.ones(1), np.array([20_000.0]), 0)

    refused = sources.nuts(setting, 0.02, jr.key(0))
    assert "11.2 T" in refused.attrs["refused"]
    monkeypatch.setattr(sources, "sample_gibbs", draws)
    found = sources.nuts(setting, T, jr.key(0))
    error = math.sqrt(gibbs(T) * (1 - gibbs(T)) / 20_000)
    assert abs(float(found["probabilities"][0]) - gibbs(T)) < 4.5 * error
    assert float(found["standard_errors"][0]) == pytest.approx(error, rel=0.1)
    assert asked["barrier"] == pytest.approx(value(TOP) - value(LEFT))
    assert len(asked["starts"]) == 4


# -- verdicts --------------------------------------------------------------------------------------------------------


def row(p, se, gibbs=0.6, sgd=0.62, gaussian=0.59, sde=None):
    law = lambda q: np.array([q, 1 - q])  # noqa: E731
    exact = {"SGD": law(sgd), "Gaussian SGD": law(gaussian), "SDE": law(sde or gibbs), "NUTS": law(gibbs)}
    theory = Theory(exact["NUTS"], exact["SDE"], laplace=law(gibbs), corrected=None)
    return Row(0.1, None, theory, exact, {"SGD": Measured(law(p), np.array([se, se]), np.array([9, 9]))})


@pytest.mark.parametrize(
    ("p", "se", "kind"),
    [
        (0.605, 0.002, "equivalent"),
        (0.605, 0.009, "inconclusive"),
        (0.64, 0.005, "different"),
        (0.57, 0.005, "different"),
    ],
)
def test_verdicts(p, se, kind):
    """Within 2 points only if the whole interval is; different only if the interval leaves 0 out."""
    found = verdicts.verdict(row(p, se), 0, 0.02)
    assert found.gibbs.kind == kind
    assert found.gap == pytest.approx(p - 0.6)
    assert found.half_width == pytest.approx(1.96 * se, rel=1e-3)
    assert found.law.kind == kind
    assert verdicts.verdict(row(p, se, sde=p), 0, 0.02).law.difference == pytest.approx(0)
    assert found.parts["finite steps"] == pytest.approx(-0.01)
    assert found.parts["non-Gaussian batches"] == pytest.approx(0.03)
    assert verdicts.verdict(row(1 - p, se, 0.4, 0.38, 0.41), 0, 0.02).gap == pytest.approx(0.6 - p)


def test_a_run_off_its_own_law_is_noticed():
    fine = verdicts.own_laws([row(0.62 + 0.01 * z, 0.01) for z in (1.5, -2.0, 0.3)])
    assert fine.count == 3
    assert fine.largest == pytest.approx(-2)
    assert fine.p_value > 0.05
    off = verdicts.own_laws([row(0.62 + 0.01 * z, 0.01) for z in (1.5, -4.0, 0.3)])
    assert off.p_value < 0.001
    assert off.where == ("SGD", 0.1, 0)


# -- figure, report, input ---------------------------------------------------------------------------------------------


def test_figure_and_report_come_from_the_files_alone(finished, capsys):
    svg = (finished / "figure.svg").read_text()
    assert cli.main(EXPERIMENTS, ["basin-occupancy", "--from", str(finished)]) == 0
    assert (finished / "figure.svg").read_text() == svg
    printed = " ".join(capsys.readouterr().out.split())
    assert "refused: T = 0.02 would not mix" in printed
    assert "more than the 20,000 allowed" in printed
    assert "Gibbs, quadrature" in printed


def test_the_figure_in_the_plane_and_the_answer_in_words(kept):
    """The toy run's numbers dressed as four wells in the plane."""
    grid, steps = np.linspace(-2, 2, 21), np.arange(50)
    plane = {
        "V": (("x", "y"), np.add.outer(value(grid), value(grid))),
        "paths": (("basin", "short_step", "coordinate"), np.zeros((2, 30, 2))),
        "path": (("path_step", "coordinate"), np.zeros((50, 2))),
        "path_core": ("path_step", np.repeat([0, -1, 1, -1, 0], 10)),
    }
    names = ["x", "V", "density_SGD", "density_reference", "density_gibbs", "path", "path_core", "paths", "samples"]
    rest = kept.data.drop_vars([*names, "path_step", "exact_Gaussian SGD"], errors="ignore")
    changed = dataclasses.replace(
        kept,
        cores=np.zeros((0, 2)),
        basins=tuple(dataclasses.replace(b, minimum=np.append(b.minimum, 0.5)) for b in kept.basins),
        saddles=tuple(
            dataclasses.replace(s, point=np.append(s.point, 0.5), spectrum=np.append(s.spectrum, 1.0))
            for s in kept.saddles
        ),
        data=rest.assign(plane).assign_coords(x=grid, y=grid, path_step=steps),
    )
    assert (kept.dimension, changed.dimension) == (1, 2)
    figure = changed.plot()
    panels = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert len(panels) == 6
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in panels)
    assert "2 hops" in panels[3].get_title(loc="left")


@pytest.mark.parametrize(
    ("p", "se", "text"),
    [
        (
            (0.605, 0.601),
            0.002,
            "SGD sits in each basin as often as Gibbs says, within 2 percentage points, at all 2 temperatures",
        ),
        ((0.64, 0.65), 0.005, "SGD sits in basin A 4.0 to 5.0 percentage points more often than Gibbs says"),
        ((0.57, 0.55), 0.005, "SGD sits in basin A 3.0 to 5.0 percentage points less often than Gibbs says"),
        ((0.57, 0.64), 0.005, "SGD sits in basin A -3.0 to +4.0 percentage points off what Gibbs says"),
        ((0.62, 0.61), 0.02, "SGD's share of basin A can't be told from what Gibbs says, to ±3.9 percentage points"),
    ],
)
def test_the_answer_in_words(kept, p, se, text):
    rows = [row(q, se) for q in p]
    judged = [dataclasses.replace(r, verdicts=tuple(verdicts.verdict(r, k, 0.02) for k in (0, 1))) for r in rows]
    assert dataclasses.replace(kept, temperatures=tuple(judged)).answer().startswith(text)


def test_names_and_presets():
    unusable = {"quadratic", "ring"}
    assert set(POTENTIALS) | unusable == set(toys.names())
    assert {toys.potential(name).dimension for name in POTENTIALS[-3:]} == {2}
    assert implied(Config()) == {}
    assert implied(Config(preset="gpu"))["replicas"] > Config().replicas


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--temperatures", "0.1,-0.2"), "temperatures holds -0.2: pass T > 0"),
        (("--temperatures", "0"), "temperatures holds 0: pass T > 0"),
        (("--temperatures", "warm"), "temperatures is 'warm': pass comma-separated numbers"),
        (("--temperatures", "0.1,0.1"), "a value is repeated"),
        (("--temperatures", "0.01,0.02"), "T = 0.02 would not mix: by Kramers' rates"),
        (("--potential", "asymetric"), "unknown potential 'asymetric': did you mean 'asymmetric'?"),
        (("--potential", "quadratic"), "quadratic has one minimum, whose occupancy is 1"),
        (("--potential", "ring"), "ring has a degenerate minimum"),
        (("--learning-rate", "0.9"), "is not below 2 at the sharpest minimum"),
        (
            ("--learning-rate", "-0.1"),
            "learning_rate is -0.1: pass a number with 0 < learning_rate, or 0",
        ),
        (("--tilts", "lopsided"), "unknown tilts 'lopsided'"),
        (("--noise", "white"), "unknown noise 'white'"),
        (("--potential", "four-wells", "--noise", "modulated"), "noise 'modulated' takes one dimension"),
        (("--replicas", "3"), "replicas is 3: pass at least 64"),
        (("--crossings", "100"), "least_crossings 400 exceeds crossings 100"),
        (("--margin", "0"), "margin is 0:"),
        (("--preset", "tpu"), "unknown preset 'tpu'"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, options, message):
    assert cli.main(EXPERIMENTS, ["basin-occupancy", *options, "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.glob("stages"))
